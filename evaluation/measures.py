"""Ranking measures over judged units, computed by ir_measures (MacAvaney et al., ECIR 2022).

A judged unit counts once, however many of its chunks are returned. The ranking of a query (by score, ties by chunk id)
is walked from the top:

* a chunk that hits no unit takes a rank and gains nothing;
* a chunk that hits units not credited yet takes *one* rank, whose gain is the highest grade among them, and credits all
  of them: each counts as found at that rank;
* a chunk all of whose units are credited already is dropped and takes no rank.

nDCG@10 (Järvelin & Kekäläinen 2002, gain = grade, discount 1/log2(rank + 1)) divides by the ideal over all units, one
per rank; each rank's gain is that of a unit of its own, so nDCG ≤ 1. RR@10 is 1/rank of the first rank that hits a
unit. R@k is the share of the units credited within the first k ranks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import ir_measures
from ir_measures import RR, Measure, R, nDCG

from evaluation.projection import Projection

Run = Mapping[str, Mapping[str, float]]
"""Query id → chunk id → score, higher is better."""

MEASURES = ("nDCG@10", "RR@10", "R@10", "R@100")
RECALL_DEPTHS = (10, 100)


@dataclass(frozen=True, slots=True)
class Measures:
    """``per_query``: query id → measure → value in [0, 1]; ``mean``: measure → mean over the queries.

    ``excluded`` names the judged queries that are in neither, because none of their judgements maps to a chunk.
    """

    per_query: dict[str, dict[str, float]]
    mean: dict[str, float]
    excluded: tuple[str, ...]

    def column(self, measure: str) -> dict[str, float]:
        """Return query id → value of one measure. Raises ``ValueError`` for an unknown one."""
        if measure not in MEASURES:
            raise ValueError(f"unknown measure {measure!r} (known: {', '.join(MEASURES)})")
        return {query: values[measure] for query, values in self.per_query.items()}


def measure(run: Run, projection: Projection) -> Measures:
    """Measure a run over every query of the projection; one without results scores 0. Other queries are ignored.

    Raises ``ValueError`` when the projection has no query or a score is not a number.
    """
    queries = projection.units
    if not queries:
        raise ValueError("nothing to measure: no judgement maps to an indexed passage")
    _refuse_nan(run)
    rankings = {query: _walk(run.get(query, {}), projection.hits[query], units) for query, units in queries.items()}
    ranked = {query: _scored([label for label, _ in ranking]) for query, ranking in rankings.items()}
    per_query = _calculate([nDCG @ 10, RR @ 10], queries, ranked)
    # Several units may be found at one rank, which no list of ids can say: recall reads the units found within k ranks.
    depth = max(len(units) for units in queries.values())
    for k in RECALL_DEPTHS:
        found = {
            query: _scored([f"unit {unit}" for _, fresh in ranking[:k] for unit in fresh])
            for query, ranking in rankings.items()
        }
        for query, values in _calculate([R @ depth], queries, found).items():
            per_query[query][f"R@{k}"] = values[f"R@{depth}"]
    mean = {name: sum(values[name] for values in per_query.values()) / len(per_query) for name in MEASURES}
    return Measures(per_query, mean, projection.excluded)


def over(measures: Measures, queries: Collection[str]) -> Measures:
    """Return the measures over ``queries``: 0 for those that were not measured, for their answer is lost there."""
    nothing = dict.fromkeys(MEASURES, 0.0)
    per_query = {query: measures.per_query.get(query, nothing) for query in queries}
    mean = {
        name: sum(values[name] for values in per_query.values()) / len(per_query) if per_query else 0.0
        for name in MEASURES
    }
    return Measures(per_query, mean, measures.excluded)


def _refuse_nan(run: Run) -> None:
    for query, scores in run.items():
        for chunk, score in scores.items():
            if score != score:
                raise ValueError(f"query {query!r}: the score of chunk {chunk!r} is not a number")


def _walk(
    scores: Mapping[str, float], hits: Mapping[str, tuple[str, ...]], grades: Mapping[str, int]
) -> list[tuple[str, tuple[str, ...]]]:
    """Return, for each of the first 100 ranks, what stands there (a unit or a chunk) and the units found there."""
    ranking: list[tuple[str, tuple[str, ...]]] = []
    credited: set[str] = set()
    for chunk in sorted(scores, key=lambda chunk: (-scores[chunk], chunk)):
        units = hits.get(chunk)
        if units is None:
            ranking.append((f"chunk {chunk}", ()))
        elif fresh := tuple(unit for unit in units if unit not in credited):
            credited.update(fresh)
            ranking.append((f"unit {min(fresh, key=lambda unit: (-grades[unit], unit))}", fresh))
        if len(ranking) == max(RECALL_DEPTHS):
            break
    return ranking


def _scored(ranking: list[str]) -> dict[str, float]:
    """Return a ranking with strictly falling scores, so that nothing is left to the tie-breaking of ir_measures."""
    return {label: float(-rank) for rank, label in enumerate(ranking)}


def _calculate(
    measures: list[Measure], units: Mapping[str, Mapping[str, int]], ranked: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    qrels = {query: {f"unit {unit}": grade for unit, grade in of_query.items()} for query, of_query in units.items()}
    values: dict[str, dict[str, float]] = {query: {} for query in units}
    for value in ir_measures.iter_calc(measures, qrels, ranked):
        values[value.query_id][str(value.measure)] = float(value.value)
    return values
