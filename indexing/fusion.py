"""Fusion: several sources' ranked lists become one. Used by search and by mining alike.

Every method takes the sources' runs and a weight for each and returns one run. A source without a weight, or with
weight 0, takes no part. A chunk that a source did not return gets that source's least: nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from indexing.stores import RRF_K

Run = dict[str, dict[str, float]]
"""Query id to chunk id to score; higher is better."""

FusionMethod = Callable[[Mapping[str, Run], Mapping[str, float]], Run]


def soft_voting(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Weighted mean of scores that are scaled, per query and source, to 0 (the last returned) … 1 (the first).

    Where all of a source's scores are equal each counts 1.
    """
    return _weighted_sum(runs, weights, _min_max)


def reciprocal_rank(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Weighted sum of 1 / (60 + rank), ranks from 1 (Cormack, Clarke & Büttcher 2009)."""
    return _weighted_sum(runs, weights, _reciprocal_ranks)


def fuse(method: str, runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Fuse by the method of this name. Raises ValueError, listing the known ones, for an unknown name."""
    if method not in FUSIONS:
        raise ValueError(f"unknown fusion {method!r}; known are: {', '.join(FUSIONS)}")
    return FUSIONS[method](runs, weights)


def _weighted_sum(
    runs: Mapping[str, Run], weights: Mapping[str, float], votes: Callable[[dict[str, float]], dict[str, float]]
) -> Run:
    taking_part = {source: run for source, run in runs.items() if weights.get(source, 0.0) > 0}
    total = sum(weights[source] for source in taking_part)
    queries = dict.fromkeys(query for run in taking_part.values() for query in run)
    fused: Run = {query: {} for query in queries}
    for source, run in taking_part.items():
        share = weights[source] / total
        for query, scores in run.items():
            into = fused[query]
            for chunk, vote in votes(scores).items():
                into[chunk] = into.get(chunk, 0.0) + share * vote
    return fused


def _min_max(scores: dict[str, float]) -> dict[str, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {chunk: (score - low) / (high - low) for chunk, score in scores.items()}


def _reciprocal_ranks(scores: dict[str, float]) -> dict[str, float]:
    ranked = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))
    return {chunk: 1.0 / (RRF_K + rank) for rank, chunk in enumerate(ranked, start=1)}


FUSIONS: dict[str, FusionMethod] = {"soft": soft_voting, "rrf": reciprocal_rank}
