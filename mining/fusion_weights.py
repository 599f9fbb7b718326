"""Which fusion, and with which weights: learned on judged queries, and judged on those that took no part.

Weights that were chosen on some queries look better on these than they are. So the search is repeated without each fold
of the queries in turn, and what it finds is measured on the fold it has not seen: the mean is what to expect of the
weights that all queries together choose (Stone, JRSS B 1974).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from evaluation.measures import measure
from evaluation.projection import Projection
from indexing.fusion import Run, fuse
from indexing.releases import Fusion

_FOLDS = 5
_SWEEPS = 2
# A weight is changed for a gain that is more than rounding.
GAIN = 1e-4

Score = Callable[[Fusion], float]


@dataclass(frozen=True)
class LearnedFusion:
    """A fusion and the means of the measure it was learned by, over all queries.

    ``before`` is that of the fusion the search began with, ``chosen`` that of ``fusion`` on the very queries that chose
    it. For ``held_out`` each query is measured with what was learned without its fold. It is None where all queries
    are one group.
    """

    fusion: Fusion
    before: float
    chosen: float
    held_out: float | None


def learn_fusion(
    sources: Mapping[str, Run],
    projection: Projection,
    groups: Mapping[str, str],
    start: Fusion,
    methods: Sequence[str],
    weights: Sequence[float],
    measured: str,
    seed: int = 0,
) -> LearnedFusion:
    """Return the fusion of the sources' runs that the measure ``measured`` likes best on the projection's queries.

    For each of ``methods`` the weights climb from those of ``start`` and from equal ones, one source at a time, each
    over the values ``weights``; ``start`` itself comes back when nothing tried is better. Queries of one of ``groups``
    (query to group) are in one fold; who is in which is drawn by ``seed``.
    """
    known: dict[tuple[str, tuple[tuple[str, float], ...]], dict[str, float]] = {}

    def by_query(fusion: Fusion) -> dict[str, float]:
        greatest = max(fusion.weights.values())
        # Only proportions count, so that many fusions that are tried are the same.
        key = (fusion.method, tuple(sorted((name, weight / greatest) for name, weight in fusion.weights.items())))
        if key not in known:
            known[key] = measure(fuse(fusion.method, sources, fusion.weights), projection).column(measured)
        return known[key]

    def best_on(queries: Collection[str]) -> Fusion:
        return _best(sources, start, methods, weights, lambda fusion: fmean(by_query(fusion)[q] for q in queries))

    queries = sorted(projection.units)
    folds = _folds(queries, groups, seed)
    held_out: dict[str, float] = {}
    for fold in folds if len(folds) > 1 else []:
        unseen = set(fold)
        learned = by_query(best_on([query for query in queries if query not in unseen]))
        held_out.update((query, learned[query]) for query in fold)
    fusion = best_on(queries)
    return LearnedFusion(
        fusion,
        before=fmean(by_query(start).values()),
        chosen=fmean(by_query(fusion).values()),
        held_out=fmean(held_out.values()) if held_out else None,
    )


def _best(
    sources: Mapping[str, Run], start: Fusion, methods: Sequence[str], weights: Sequence[float], score: Score
) -> Fusion:
    best, best_score = start, score(start)
    equal = dict.fromkeys(sources, 1.0)
    for method in methods:
        for origin in [equal] if start.weights == equal else [equal, start.weights]:
            begun = Fusion(method, {name: origin.get(name, 0.0) for name in sources})
            if not any(begun.weights.values()):
                continue
            fusion, reached = _climb(begun, weights, score)
            if reached > best_score + GAIN:
                best, best_score = fusion, reached
    return best


def _climb(fusion: Fusion, weights: Sequence[float], score: Score) -> tuple[Fusion, float]:
    """Change one source's weight at a time for the better, until a sweep over the sources changes nothing."""
    best, best_score = fusion, score(fusion)
    for _ in range(_SWEEPS):
        swept = best
        for name in fusion.weights:
            for weight in weights:
                tried = replace(best, weights={**best.weights, name: weight})
                if tried == best or not any(tried.weights.values()):
                    continue
                reached = score(tried)
                if reached > best_score + GAIN:
                    best, best_score = tried, reached
        if best == swept:
            break
    return best, best_score


def _folds(queries: Sequence[str], groups: Mapping[str, str], seed: int) -> list[list[str]]:
    """Deal the groups of queries to folds; fewer than five where there are fewer groups."""
    of_group: dict[str, list[str]] = {}
    for query in queries:
        of_group.setdefault(groups.get(query, query), []).append(query)
    names = sorted(of_group)
    random.Random(seed).shuffle(names)  # noqa: S311 - no secret
    dealt = [names[first::_FOLDS] for first in range(min(_FOLDS, len(names)))]
    return [[query for name in fold for query in of_group[name]] for fold in dealt]
