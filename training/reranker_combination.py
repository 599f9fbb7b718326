"""How a re-ranker's score is put together with the fused one, and how many passages it reads.

Both are found on queries of train that the re-ranker did not learn from. Its scores do not depend on how they are
used, so that each passage is scored once and all ways are tried on the same scores.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from chunking.document import Chunk
from evaluation.measures import measure
from evaluation.projection import Projection
from indexing.embedding import Progress
from indexing.encoders.cross import CrossEncoder
from indexing.fusion import Run
from indexing.home import Home
from indexing.releases import Reranker
from indexing.reranking import SCALES, first, may_reorder, placed_text, reordered
from mining.pair_scores import PairScores

DEPTHS = (10, 20, 30, 50, 100)
WEIGHTS = {
    "minmax": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    # A logit is worth more than a difference of 0 to 1.
    "logit": (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0),
}
_TIMED_QUERIES = 12

Logits = dict[str, dict[str, float]]
"""Query id to chunk id to logit."""


@dataclass(frozen=True)
class Combination:
    """The best use of one depth: ``score`` is the measure on the held-out queries, ``milliseconds`` a query's time."""

    use: Reranker
    score: float
    milliseconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the combination as JSON-able values."""
        return {**asdict(self.use), "score": self.score, "milliseconds": self.milliseconds}


@dataclass(frozen=True)
class Chosen:
    """The combination that was chosen, those it was chosen from, and the measure of the fused list as it is."""

    best: Combination
    tried: tuple[Combination, ...]
    fused: float


def score_heads(
    home: Home,
    cross: CrossEncoder,
    texts: Mapping[str, str],
    fused: Run,
    chunks: Mapping[str, Chunk],
    use: Reranker,
    progress: Progress,
    stage: str,
) -> Logits:
    """Return the logits of the first ``use.depth`` passages of every query that the re-ranker may touch.

    Scores are kept on disk (``mining.pair_scores``), so that who goes on after a kill does not compute them again.
    """
    asked = [
        (query, chunk)
        for query, text in texts.items()
        if may_reorder(text, use, cross)
        for chunk in first(fused[query], use.depth)
        if chunk in chunks
    ]
    pairs = [(texts[query], placed_text(chunks[chunk])) for query, chunk in asked]
    logits: Logits = {}
    scores = PairScores(home, cross).score(pairs, lambda done, total: progress(stage, done, total))
    for (query, chunk), score in zip(asked, scores, strict=True):
        logits.setdefault(query, {})[chunk] = score
    return logits


def reordered_run(fused: Run, logits: Logits, use: Reranker) -> Run:
    """Return the fused run with the head of each query of ``logits`` re-ordered; only ``use.depth`` of it count."""
    run: Run = {}
    for query, ranking in fused.items():
        head = set(first(ranking, use.depth))
        known = {chunk: logit for chunk, logit in logits.get(query, {}).items() if chunk in head}
        run[query] = reordered(ranking, known, use)
    return run


def seconds_for_pair(cross: CrossEncoder, texts: Mapping[str, str], fused: Run, chunks: Mapping[str, Chunk]) -> float:
    """Return the time that a pair takes as it is served: a few passages of one query at once."""
    parts = [
        [(texts[query], placed_text(chunks[chunk])) for chunk in first(fused[query], 4) if chunk in chunks]
        for query in list(texts)[:_TIMED_QUERIES]
    ]
    for part in parts[:1]:
        cross.score(part)  # the first call allocates
    started = time.perf_counter()
    for part in parts:
        cross.score(part)
    return (time.perf_counter() - started) / max(1, sum(map(len, parts)))


def choose_combination(
    fused: Run,
    logits: Logits,
    projection: Projection,
    start: Reranker,
    depths: Sequence[int],
    pair_seconds: float,
    longest_seconds: float,
    measured: str,
    worth: float,
) -> Chosen:
    """Return the use that the measure likes best among the depths that ``longest_seconds`` are enough for.

    Of these depths the least is taken whose measure is less than ``worth`` below the best. At least the first depth is
    tried, however slow.
    """
    affordable = [depth for depth in depths if depth * pair_seconds <= longest_seconds] or list(depths[:1])
    tried = [
        _best_at(replace(start, depth=depth), fused, logits, projection, measured, depth * pair_seconds)
        for depth in affordable
    ]
    greatest = max(combination.score for combination in tried)
    best = next(combination for combination in tried if combination.score > greatest - worth)
    return Chosen(best, tuple(tried), measure(fused, projection).mean[measured])


def _best_at(
    use: Reranker, fused: Run, logits: Logits, projection: Projection, measured: str, seconds: float
) -> Combination:
    uses = [replace(use, scale=scale, weight=weight) for scale in SCALES for weight in WEIGHTS[scale]]
    scores = [measure(reordered_run(fused, logits, one), projection).mean[measured] for one in uses]
    place = max(range(len(uses)), key=lambda number: (scores[number], -number))
    return Combination(uses[place], scores[place], 1000.0 * seconds)
