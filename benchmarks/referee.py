"""Does the referee refuse what harms, and how often does luck get past it? Cheap heads over one frozen encoder.

    python -m benchmarks.referee --config specmine.toml [--only ROW ...] [--harmful-seeds 20] [--null-seeds 100]

Rows that do harm: heads trained with shuffled labels; with the hardest passages of each query as its negatives,
judged ones and their siblings among them (false negatives that nothing filters); with a learning rate a hundred times
too high; with all three. Each is compared with the untrained encoder, and must be refused for every seed. The row
"proper" is such a training without any harm, on all training queries: a referee that refuses everything is of no use.

Rows without effect. An effect of zero must be zero whatever the queries, so these rows compare two systems that were
made in the same way by different seeds: exchanging them changes nothing but the sign of the gain, and its expectation
is 0. "same training, other seed": two heads trained on different parts of the training queries in different order.
"noise against noise": two heads of random numbers. "shuffled labels, small steps" compares a head that learned next to
nothing from random labels with the untrained encoder: its expected gain is not above 0. At most 1 in 20 may be
promoted. "any of three" takes three seeds of a row for three encoders that are retrained at once, and counts how often
at least one is promoted, with Holm's correction and, to see what it is good for, without.

What a frozen encoder gives below the head is computed once for each query. Every seed that is finished is a file below
``comparisons/referee`` of the home: a run that was cut off goes on, and processes with different ``--only`` share the
work. Intervals of shares are Clopper and Pearson's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean as mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from scipy.stats import beta

from evaluation.catalogue import Catalogue
from evaluation.measures import MEASURES, Measures, measure
from evaluation.verdict import PromotionRule, Verdict, decide_all, find
from flows.settings import load_settings
from indexing.encoders.query import QueryEncoder
from indexing.exact import exact_run
from indexing.home import read_json, write_json
from indexing.releases import BASE, served
from indexing.search import Searcher
from training.query_training import train
from training.splits import HeldOut, split_queries
from training.targets import Example, examples_of
from training.train_settings import TrainSettings

FORM = "head:16"
RATE = 1e-2
# Each training reads a part of the training queries, drawn by its seed: so many in the rows that do harm, and so many
# in those without effect, of which there are more.
HARMFUL_QUERIES, NULL_QUERIES = 1000, 250
HARDEST = 8
DEPTH = 50  # the first ten ranks are measured, and a judged place may have several passages
NOISE = "noise against noise"
Values = dict[str, float]
"""Query → the measure that decides."""


@dataclass
class Bench:
    """One encoder with a head, its frozen documents, the queries that decide, and the examples that train."""

    name: str
    encoder: QueryEncoder
    documents: np.ndarray
    chunk_ids: Sequence[str]
    verdict: HeldOut
    examples: tuple[Example, ...]
    scratch: Path
    rule: PromotionRule

    def __post_init__(self) -> None:
        self.encoder.take_form(FORM)
        self.empty = {name: tensor.clone() for name, tensor in self.encoder.trained_weights().items()}

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Embed queries; what lies below the head is remembered, and computed in batches of texts of like length."""
        self.encoder.module.eval()
        ordered = sorted(texts, key=len)
        with torch.no_grad():
            for first in range(0, len(ordered), 32):
                self.encoder.forward_tokens(ordered[first : first + 32])
            return self.encoder.forward_tokens(texts).unit.numpy()

    def part(self, seed: int, size: int) -> list[Example]:
        """Draw training queries."""
        chosen = np.random.default_rng(seed).permutation(len(self.examples))[:size]
        return [self.examples[place] for place in chosen]

    def reset(self) -> None:
        """Make the head nothing: the encoder is as published."""
        with torch.no_grad():
            for name, tensor in self.encoder.trained_weights().items():
                tensor.copy_(self.empty[name])

    def measured(self) -> Values:
        """Search the deciding queries with the encoder as it is now."""
        texts = self.verdict.texts
        run = exact_run(list(texts), self.vectors(list(texts.values())), [self.documents], self.chunk_ids, DEPTH)
        return measure(run, self.verdict.projection).column(self.rule.measure)

    def untrained(self) -> Values:
        """Measure the encoder as published."""
        self.reset()
        return self.measured()

    def trained(self, examples: Sequence[Example], seed: int, **changes: float | str) -> Values:
        """Train the head from nothing and measure it."""
        self.reset()
        given: dict[str, object] = {"loss": "full_softmax", "learning_rate": RATE, "epochs": 1, "batch_size": 32}
        settings = TrainSettings(form=FORM, precision="float32", seed=seed, **{**given, **changes})  # type: ignore[arg-type]
        with TemporaryDirectory(dir=self.scratch, prefix="unfinished-") as folder:
            train(self.encoder, self.documents, examples, settings, Path(folder), lambda stage, done, total: None)
        return self.measured()

    def noisy(self, seed: int, strength: float) -> Values:
        """Measure a head of random numbers that moves each query by about ``strength`` of its length."""
        random = torch.Generator().manual_seed(seed)
        weights = self.encoder.trained_weights()
        with torch.no_grad():
            for tensor in weights.values():
                tensor.copy_(torch.randn(tensor.shape, generator=random))
            down, up = (next(t for n, t in weights.items() if n.endswith(end)) for end in ("down", "up"))
            rank, dimension = down.shape
            # |A x| is about √rank |x| for a row of unit variance, |B y| about √dimension |y|.
            up.mul_(strength / (rank * dimension) ** 0.5)
        return self.measured()


def shuffled(examples: Sequence[Example], seed: int) -> list[Example]:
    """Give every query the answers and the masks of another."""
    order = np.random.default_rng(seed).permutation(len(examples))
    return [
        replace(example, positives=examples[other].positives, masked=examples[other].masked)
        for example, other in zip(examples, order, strict=True)
    ]


def unfiltered(bench: Bench, examples: Sequence[Example]) -> list[Example]:
    """Give every query its nearest passages as negatives: all but the one judged passage that is kept as its answer."""
    bench.reset()
    queries = bench.vectors([example.text for example in examples])
    found = []
    for first in range(0, len(queries), 100):
        scores = queries[first : first + 100] @ bench.documents.T
        nearest = np.argpartition(-scores, HARDEST, axis=1)[:, : HARDEST + 1]
        for example, rows in zip(examples[first : first + 100], nearest, strict=True):
            kept = example.positives[:1]
            negatives = np.setdiff1d(rows, kept)[:HARDEST].astype(np.int64)
            found.append(replace(example, positives=kept, masked=np.zeros(0, np.int64), ledger=negatives))
    return found


def harmful(bench: Bench) -> dict[str, Callable[[int], Values]]:
    """Return the trainings that do harm, and the proper one."""

    def part(seed: int) -> list[Example]:
        return bench.part(seed, HARMFUL_QUERIES)

    def hardest(seed: int) -> list[Example]:
        return unfiltered(bench, part(seed))

    return {
        "all three harms": lambda seed: bench.trained(
            shuffled(hardest(seed), seed), seed, loss="lce", learning_rate=100 * RATE
        ),
        "shuffled labels": lambda seed: bench.trained(shuffled(part(seed), seed), seed),
        "false negatives unfiltered": lambda seed: bench.trained(hardest(seed), seed, loss="lce"),
        "learning rate × 100": lambda seed: bench.trained(part(seed), seed, learning_rate=100 * RATE),
        "proper": lambda seed: bench.trained(bench.examples, seed),
    }


def without_effect(bench: Bench, strength: float) -> dict[str, Callable[[int], tuple[Values, Values]]]:
    """Return what makes (before, after) of two systems between which nothing should be preferred."""

    def part(seed: int) -> list[Example]:
        return bench.part(seed, NULL_QUERIES)

    def small_steps(seed: int) -> tuple[Values, Values]:
        return bench.untrained(), bench.trained(shuffled(part(seed), seed), seed, learning_rate=RATE / 30)

    def other_seed(seed: int) -> tuple[Values, Values]:
        first, second = 2 * seed, 2 * seed + 1
        return bench.trained(part(first), first), bench.trained(part(second), second)

    return {
        "same training, other seed": other_seed,
        NOISE: lambda seed: (bench.noisy(2 * seed, strength), bench.noisy(2 * seed + 1, strength)),
        "shuffled labels, small steps": small_steps,
    }


def noise_row(bench: Bench, strength: float) -> str:
    """Return the name of the row of noise of this strength in an encoder's head."""
    return f"{NOISE} {strength:g}, {bench.name}"


def remembered(folder: Path, seed: int, make: Callable[[int], Any]) -> Any:
    """Return what a seed gave, made now or by an earlier run."""
    finished = folder / f"seed-{seed:03d}.json"
    if not finished.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(finished, make(seed))
        print(f"{folder.name}, seed {seed}", flush=True)
    return read_json(finished)


def measures(values: Mapping[str, float]) -> Measures:
    return Measures({query: dict.fromkeys(MEASURES, value) for query, value in values.items()}, {}, ())


def verdicts(pairs: Sequence[tuple[Values, Values]], bench: Bench) -> list[Verdict]:
    """Judge candidates at once, as a retraining does."""
    groups = bench.verdict.groups
    return decide_all([find(measures(a), measures(b), groups, bench.rule) for a, b in pairs], bench.rule)


def interval(promoted: int, seeds: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Clopper and Pearson 1934)."""
    low = float(beta.ppf(0.025, promoted, seeds - promoted + 1)) if promoted else 0.0
    high = float(beta.ppf(0.975, promoted + 1, seeds - promoted)) if promoted < seeds else 1.0
    return low, high


def tell_row(name: str, judged: Sequence[Verdict], promoted: int, seeds: int) -> None:
    low, high = interval(promoted, seeds)
    gains = [verdict.difference for verdict in judged]
    sure = sum(verdict.p_value <= 0.05 and verdict.difference > 0 for verdict in judged)
    print(f"| {name} | {seeds} | {mean(gains):+.4f} | {min(gains):+.4f} to {max(gains):+.4f} ", end="")
    print(f"| {np.std(gains):.4f} | {sure} | {promoted} | {low:.1%} to {high:.1%} |", flush=True)


def tell_rows(name: str, pairs: Sequence[tuple[Values, Values]], bench: Bench) -> None:
    """Print the row of a system without effect: each seed alone, and three at once."""
    alone = [verdict for pair in pairs for verdict in verdicts([pair], bench)]
    tell_row(name, alone, sum(verdict.promoted for verdict in alone), len(alone))
    places = range(0, len(pairs) - 2, 3)
    lucky = sum(any(verdict.promoted for verdict in alone[first : first + 3]) for first in places)
    tell_row(f"{name}: any of three, uncorrected", alone, lucky, len(places))
    at_once = [verdicts(pairs[first : first + 3], bench) for first in places]
    lucky = sum(any(verdict.promoted for verdict in family) for family in at_once)
    tell_row(f"{name}: any of three, Holm", alone, lucky, len(places))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--harmful-seeds", type=int, default=20)
    parser.add_argument("--null-seeds", type=int, default=100)
    parser.add_argument("--strength", type=float, default=0.2, help="of the noise, in lengths of a query's vector")
    parser.add_argument("--only", nargs="*", help="names of rows; all by default")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    home = settings.open_home()
    scratch = home.root / "comparisons" / "referee"
    scratch.mkdir(parents=True, exist_ok=True)
    searcher = Searcher.open(home, settings.index(), served(home))
    splits = split_queries(searcher, Catalogue(settings.catalogue_url()))
    examples = examples_of(splits, searcher.chunks.values(), None, False)
    bench = Bench(
        arguments.encoder,
        searcher.load_encoder(arguments.encoder, BASE),
        searcher.document_vectors(arguments.encoder),
        searcher.chunk_ids,
        splits.verdict,
        examples.examples,
        scratch,
        settings.promotion,
    )
    print("\n| row | seeds | mean gain | gains | their spread | p ≤ .05 and better | promoted | 95 % interval |")
    print("|---|---:|---:|---|---:|---:|---:|---|", flush=True)
    before: Values = remembered(scratch / "untrained", 0, lambda seed: bench.untrained())
    for name, after in harmful(bench).items():
        if not arguments.only or name in arguments.only:
            found = [remembered(scratch / name, seed, after) for seed in range(arguments.harmful_seeds)]
            judged = [verdict for values in found for verdict in verdicts([(before, values)], bench)]
            tell_row(name, judged, sum(verdict.promoted for verdict in judged), len(judged))
    for name, both in without_effect(bench, arguments.strength).items():
        if not arguments.only or name in arguments.only:
            row = noise_row(bench, arguments.strength) if name == NOISE else name
            tell_rows(row, [remembered(scratch / row, seed, both) for seed in range(arguments.null_seeds)], bench)


if __name__ == "__main__":
    main()
