"""What an operator should see of a training while it runs, and when to worry.

After every evaluation the similarities of a sample of the training queries to all documents are taken. Two numbers tell
whether they collapse, whatever the encoder's scale: the overlap, which is the chance that a document that is not an
answer is more similar than one that is, and the spread, 1 - the mean cosine of two queries.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from indexing.encoders.query import QueryEncoder
from training.similarity import histogram_of, overlap
from training.targets import Example

# Queries that are looked at: their similarities to all documents are millions.
SAMPLE = 128
# Bounds of the warnings; what they were measured on stands in docs/RESULTS.md.
OVERLAP_RISE = 0.05
SPREAD_LEFT = 0.25
CLAMPED = 0.5
LOSS_FALL = 0.01
# Means of the loss between two evaluations.
BLOCKS = 20


@dataclass(frozen=True)
class Look:
    """The similarities at one evaluation: histograms as ``training.similarity`` makes them, and both numbers."""

    similarities: dict[str, list[float]] = field(default_factory=dict)
    overlap: float = 0.0
    spread: float = 0.0


def look(encoder: QueryEncoder, documents: np.ndarray, sample: Sequence[Example]) -> Look:
    """Look at the encoder as it is now."""
    vectors = encoder.embed([example.text for example in sample])
    masked = [np.concatenate([example.positives, example.masked]) for example in sample]
    made = histogram_of(vectors, documents, [example.positives for example in sample], masked)
    return Look(made, round(overlap(made), 6), round(_spread(vectors), 6))


def sample_of(examples: Sequence[Example]) -> list[Example]:
    """Return the queries that are looked at, the same in every training on these examples."""
    order = np.random.default_rng(0).permutation(len(examples))[:SAMPLE]
    return [examples[place] for place in sorted(order)]


def in_blocks(losses: Sequence[float]) -> list[float]:
    """Return the means of up to ``BLOCKS`` runs of consecutive steps."""
    return [float(np.mean(part)) for part in np.array_split(np.asarray(losses), BLOCKS) if len(part)]


def worries(looks: Sequence[Look], losses: Sequence[float], audit: Mapping[str, float], share: float) -> list[str]:
    """Return what is wrong with a training after ``share`` of its steps, one line each, what to do included.

    ``losses`` are the means of blocks of steps since the beginning, ``audit`` that of the last evaluation.
    """
    found = []
    if len(looks) > 1:
        before, now = looks[0], looks[-1]
        if now.overlap > before.overlap + OVERLAP_RISE or now.spread < SPREAD_LEFT * before.spread:
            found.append(
                f"the similarities collapse: a wrong passage outscores a right one {now.overlap:.1%} of the time "
                f"({before.overlap:.1%} at the start), and the spread of the queries is {now.spread:.3f} "
                f"({before.spread:.3f}): lower learning_rate, or choose other negatives"
            )
    quarter = len(losses) // 4
    if share >= 0.5 and quarter:
        first, last = float(np.mean(losses[:quarter])), float(np.mean(losses[-quarter:]))
        if last > first - LOSS_FALL * abs(first):
            found.append(
                f"the loss stalls: {last:.4g} after {share:.0%} of the steps, {first:.4g} at the start: raise "
                "learning_rate, or look whether the negatives are answers"
            )
    if audit.get("clamped", 0.0) > CLAMPED:
        found.append(
            f"{audit['clamped']:.0%} of the queries learn nothing from their negatives, for the debiased loss is "
            "at its bound: lower false_share or raise temperature"
        )
    return found


def peak_memory() -> int:
    """Return the most memory that this process ever held, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def _spread(vectors: np.ndarray) -> float:
    """Return 1 - the mean cosine of two different rows of unit length."""
    count = len(vectors)
    if count < 2:
        return 0.0
    total = float(np.square(vectors.sum(axis=0, dtype=np.float64)).sum())
    return max(0.0, 1.0 - (total - count) / (count * (count - 1)))
