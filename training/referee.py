"""The referee: what a release, an encoder or a composition finds of held-out queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from evaluation.judgements import Query
from evaluation.measures import Measures, measure
from evaluation.projection import Projection
from evaluation.verdict import Comparison, Findings, Guard, PromotionRule, Slice, Slices, Verdict, decide_all, find
from indexing.encoders.query import QueryEncoder
from indexing.exact import ROWS_PER_BLOCK, exact_run
from indexing.fusion import Run
from indexing.geometry import COSINE, Geometry
from indexing.hyperbolic import as_queries, place, score
from indexing.search import Searcher
from training.splits import HeldOut

# As deep as search goes before fusion.
DEPTH = 200


@dataclass(frozen=True)
class Bench:
    """The queries that judge: those that stop the training, those that decide, and those that were set aside to choose
    the fusion, None without such; and the guards by the names of their splits.

    ``slices`` are those of the queries that decide.
    """

    stopping: HeldOut | None
    verdict: HeldOut
    guards: Mapping[str, HeldOut] = field(default_factory=dict)
    slices: Slices = field(default_factory=dict)
    development: HeldOut | None = None

    @property
    def parts(self) -> dict[str, HeldOut]:
        """The parts that have queries, by name."""
        parts = {
            "stopping": self.stopping,
            "verdict": self.verdict,
            **self.guards,
            "development": self.development,
        }
        return {name: part for name, part in parts.items() if part}


BenchRuns = dict[str, Run]
"""The run of one source on every part of the bench, by the part's name."""


def evaluate_release(searcher: Searcher, queries: Sequence[Query], projection: Projection) -> dict[str, Measures]:
    """Measure every run of a release ("bm25", each encoder, "fusion", "reranked") as it is served.

    Only queries of ``projection`` are searched and measured. Raises ValueError when it has none.
    """
    texts = {query.id: query.text for query in queries if query.id in projection.units}
    return {name: measure(run, projection) for name, run in searcher.runs(texts, depth=DEPTH).items()}


def bench_runs(
    encoder: QueryEncoder,
    documents: np.ndarray,
    chunk_ids: Sequence[str],
    bench: Bench,
    geometry: Geometry = COSINE,
    lengths: np.ndarray | None = None,
) -> BenchRuns:
    """Search all of the bench's queries with one encoder alone, exactly, over its (N, d) document vectors.

    A geometry other than the cosine reads the (N,) ``lengths`` that these had before they were normalised.
    """
    return {
        name: encoder_run(encoder, documents, chunk_ids, part, geometry, lengths) for name, part in bench.parts.items()
    }


def encoder_run(
    encoder: QueryEncoder,
    documents: np.ndarray,
    chunk_ids: Sequence[str],
    held_out: HeldOut,
    geometry: Geometry = COSINE,
    lengths: np.ndarray | None = None,
) -> Run:
    """Search held-out queries with one encoder alone, exactly; as ``bench_runs``."""
    embedded = encoder.embed_with_norms(list(held_out.texts.values()))
    return embedded_run(list(held_out.texts), embedded, documents, chunk_ids, geometry, lengths)


def embedded_run(
    queries: Sequence[str],
    embedded: tuple[np.ndarray, np.ndarray],
    documents: np.ndarray,
    chunk_ids: Sequence[str],
    geometry: Geometry,
    lengths: np.ndarray | None,
) -> Run:
    """Search queries that are embedded, as unit rows and norms, exactly by a geometry."""
    rows, norms = embedded
    if not geometry.has_points or lengths is None:
        return exact_run(queries, rows, [documents], chunk_ids, DEPTH)
    blocks = (
        place(documents[first : first + ROWS_PER_BLOCK], lengths[first : first + ROWS_PER_BLOCK], geometry)
        for first in range(0, len(documents), ROWS_PER_BLOCK)
    )
    wanted = as_queries(place(rows, norms, geometry))
    return exact_run(queries, wanted, blocks, chunk_ids, DEPTH, partial(score, geometry=geometry))


def judge(before: BenchRuns, after: BenchRuns, bench: Bench, rule: PromotionRule) -> Verdict:
    """Decide by the rule whether ``after`` replaces ``before``, on the verdict queries and the guards."""
    return judge_all([(before, after)], bench, rule)[0]


def judge_all(pairs: Sequence[tuple[BenchRuns, BenchRuns]], bench: Bench, rule: PromotionRule) -> list[Verdict]:
    """Decide for several candidates at once, each with what is served in its place: (before, after)."""
    return decide_all([find_on(bench, before, after, rule) for before, after in pairs], rule)


def find_on(bench: Bench, before: BenchRuns, after: BenchRuns, rule: PromotionRule) -> Findings:
    """Compare a candidate with what is served, on the verdict queries and the guards, without deciding."""
    guards = {
        name: Guard(measure(before[name], part.projection), measure(after[name], part.projection), part.groups)
        for name, part in bench.guards.items()
    }
    return find(
        measure(before["verdict"], bench.verdict.projection),
        measure(after["verdict"], bench.verdict.projection),
        bench.verdict.groups,
        rule,
        guards,
        bench.slices,
    )


def bench_means(runs: BenchRuns, bench: Bench) -> dict[str, dict[str, float]]:
    """Return the mean of every measure on every part of the bench."""
    return {name: measure(runs[name], part.projection).mean for name, part in bench.parts.items()}


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as JSON-able values; ``reason`` is three lines, as every page shows them."""
    return {
        "promoted": verdict.promoted,
        **_test_json(verdict),
        "p_holm": verdict.p_holm,
        "systems": verdict.systems,
        "guards": {name: _test_json(test) for name, test in verdict.guards.items()},
        "slices": [_slice_json(entry) for entry in verdict.slices],
        "losing": [_slice_json(entry) for entry in verdict.losing],
        "reason": verdict.reason,
    }


def _test_json(test: Comparison) -> dict[str, object]:
    return {
        "before": test.before,
        "after": test.after,
        "difference": test.difference,
        "interval": list(test.interval),
        "p_value": test.p_value,
        "queries": test.queries,
        "groups": test.groups,
    }


def _slice_json(entry: Slice) -> dict[str, object]:
    return {"family": entry.family, "name": entry.name, **_test_json(entry.test)}
