"""The referee: what a release, an encoder or a composition finds of held-out queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.judgements import Query
from evaluation.measures import Measures, measure
from evaluation.projection import Projection
from evaluation.verdict import PromotionRule, Verdict, decide
from indexing.encoders import QueryEncoder
from indexing.exact import exact_run
from indexing.fusion import Run
from indexing.search import Searcher
from training.splits import HeldOut

# As deep as search goes before fusion.
DEPTH = 200


@dataclass(frozen=True)
class Bench:
    """The queries that judge: those that stop the training, those that decide, and the guard; None without such."""

    stopping: HeldOut | None
    verdict: HeldOut
    guard: HeldOut | None

    @property
    def parts(self) -> dict[str, HeldOut]:
        """The parts that have queries, by name."""
        parts = {"stopping": self.stopping, "verdict": self.verdict, "guard": self.guard}
        return {name: part for name, part in parts.items() if part}


BenchRuns = dict[str, Run]
"""The run of one source on every part of the bench, by the part's name."""


def evaluate_release(searcher: Searcher, queries: Sequence[Query], projection: Projection) -> dict[str, Measures]:
    """Measure every run of a release ("bm25", each encoder, "fusion", "reranked") as it is served.

    Only queries of ``projection`` are searched and measured. Raises ValueError when it has none.
    """
    texts = {query.id: query.text for query in queries if query.id in projection.units}
    return {name: measure(run, projection) for name, run in searcher.runs(texts, depth=DEPTH).items()}


def bench_runs(encoder: QueryEncoder, documents: np.ndarray, chunk_ids: Sequence[str], bench: Bench) -> BenchRuns:
    """Search all of the bench's queries with one encoder alone, exactly, over its (N, d) document vectors."""
    return {name: encoder_run(encoder, documents, chunk_ids, part) for name, part in bench.parts.items()}


def encoder_run(encoder: QueryEncoder, documents: np.ndarray, chunk_ids: Sequence[str], held_out: HeldOut) -> Run:
    """Search held-out queries with one encoder alone, exactly."""
    vectors = encoder.embed(list(held_out.texts.values()))
    return exact_run(list(held_out.texts), vectors, [documents], chunk_ids, DEPTH)


def judge(before: BenchRuns, after: BenchRuns, bench: Bench, rule: PromotionRule) -> Verdict:
    """Decide by the rule whether ``after`` replaces ``before``, on the verdict queries and the guard."""
    guard = bench.guard
    return decide(
        measure(before["verdict"], bench.verdict.projection),
        measure(after["verdict"], bench.verdict.projection),
        bench.verdict.groups,
        rule,
        measure(before["guard"], guard.projection) if guard else None,
        measure(after["guard"], guard.projection) if guard else None,
        guard.groups if guard else None,
    )


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as JSON-able values."""
    guard: Mapping[str, object] | None = None
    if verdict.guard is not None:
        guard = {
            "before": verdict.guard.before,
            "after": verdict.guard.after,
            "interval": list(verdict.guard.interval),
            "queries": verdict.guard.queries,
        }
    return {
        "promoted": verdict.promoted,
        "before": verdict.before,
        "after": verdict.after,
        "difference": verdict.difference,
        "interval": list(verdict.interval),
        "p_value": verdict.p_value,
        "queries": verdict.queries,
        "groups": verdict.groups,
        "guard": guard,
        "reason": verdict.reason,
    }
