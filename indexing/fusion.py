"""Fusion: several sources' ranked lists become one. Used by search and by mining alike.

Every method takes the sources' runs and a weight for each and returns one run. A source without a weight, or with
weight 0, takes no part; only the weights' proportions count. What a source gives a chunk that it did not return stands
with each method; but for Borda's it is the least, that of the last place or below. Equal scores rank by chunk id.

Fusion by ``pca`` is not here: it needs vectors, not runs (``indexing.pca``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

from indexing.stores.store import RRF_K

Run = dict[str, dict[str, float]]
"""Query id to chunk id to score; higher is better."""

FusionMethod = Callable[[Mapping[str, Run], Mapping[str, float]], Run]

Votes = Callable[[dict[str, float], Collection[str]], dict[str, float]]
"""From one source's scores of a query, and all sources' chunks for it, to that source's vote for each chunk."""


def soft_voting(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Weighted mean of scores that are scaled, per query and source, to 0 (the last returned) … 1 (the first).

    Where all of a source's scores are equal each counts 1. (CombSUM of Fox & Shaw, TREC-2 1994, with the scaling of
    Lee, SIGIR 1997.)
    """
    return _weighted_mean(runs, weights, _min_max)


def standard_scores(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Weighted mean of how many standard deviations a chunk lies above the last that the source returned.

    That is z - min z, with z = (score - mean) / standard deviation over what the source returned for the query
    (ZMUV of Montague & Aslam, CIKM 2001, shifted so that nothing is the least). Unlike min-max it does not shrink all
    others when one score stands out. Where all of a source's scores are equal each counts 1. The votes have no upper
    bound.
    """
    return _weighted_mean(runs, weights, _above_least)


def rank_voting(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Weighted mean of 1 - (rank - 1) / n, for n chunks that the source returned (Renda & Straccia, SAC 2003)."""
    return _weighted_mean(runs, weights, _falling_evenly)


def reciprocal_rank(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Weighted mean of 1 / (60 + rank), ranks from 1 (Cormack, Clarke & Büttcher, SIGIR 2009)."""
    return _weighted_mean(runs, weights, _reciprocal_ranks)


def best_vote(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """The largest of the scores scaled as in soft voting, each times its source's weight over the greatest weight.

    One source that is sure is enough (CombMAX of Fox & Shaw, TREC-2 1994).
    """
    sources = _taking_part(runs, weights)
    greatest = max((weights[source] for source in sources), default=1.0)
    fused: Run = {query: {} for query in _queries(sources)}
    for source, run in sources.items():
        share = weights[source] / greatest
        for query, scores in run.items():
            into = fused[query]
            for chunk, vote in _min_max(scores, scores).items():
                into[chunk] = max(into.get(chunk, 0.0), share * vote)
    return fused


def borda(runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Weighted Borda count (Aslam & Montague, SIGIR 2001), in shares of the points that a first place gives.

    Of c chunks that all sources returned for a query a source gives its first c points, its second c - 1, and so on;
    those it did not return share the points that are left evenly.
    """
    return _weighted_mean(runs, weights, _borda_points)


def fuse(method: str, runs: Mapping[str, Run], weights: Mapping[str, float]) -> Run:
    """Fuse by the method of this name. Raises ValueError, listing the known ones, for an unknown name."""
    if method not in FUSIONS:
        raise ValueError(f"unknown fusion {method!r}; known are: {', '.join(FUSIONS)}")
    return FUSIONS[method](runs, weights)


def _weighted_mean(runs: Mapping[str, Run], weights: Mapping[str, float], votes: Votes) -> Run:
    sources = _taking_part(runs, weights)
    total = sum(weights[source] for source in sources)
    fused: Run = {}
    for query in _queries(sources):
        lists = {source: run.get(query, {}) for source, run in sources.items()}
        into = fused[query] = dict.fromkeys((chunk for scores in lists.values() for chunk in scores), 0.0)
        for source, scores in lists.items():
            share = weights[source] / total
            for chunk, vote in votes(scores, into).items():
                into[chunk] += share * vote
    return fused


def _taking_part(runs: Mapping[str, Run], weights: Mapping[str, float]) -> dict[str, Run]:
    return {source: run for source, run in runs.items() if weights.get(source, 0.0) > 0}


def _queries(runs: Mapping[str, Run]) -> list[str]:
    return list(dict.fromkeys(query for run in runs.values() for query in run))


def _min_max(scores: dict[str, float], candidates: Collection[str]) -> dict[str, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {chunk: (score - low) / (high - low) for chunk, score in scores.items()}


def _above_least(scores: dict[str, float], candidates: Collection[str]) -> dict[str, float]:
    if not scores:
        return {}
    least, mean = min(scores.values()), math.fsum(scores.values()) / len(scores)
    deviation = math.sqrt(math.fsum((score - mean) ** 2 for score in scores.values()) / len(scores))
    if max(scores.values()) == least or deviation == 0:
        return dict.fromkeys(scores, 1.0)
    return {chunk: (score - least) / deviation for chunk, score in scores.items()}


def _falling_evenly(scores: dict[str, float], candidates: Collection[str]) -> dict[str, float]:
    return {chunk: 1 - (rank - 1) / len(scores) for chunk, rank in _ranks(scores).items()}


def _reciprocal_ranks(scores: dict[str, float], candidates: Collection[str]) -> dict[str, float]:
    return {chunk: 1.0 / (RRF_K + rank) for chunk, rank in _ranks(scores).items()}


def _borda_points(scores: dict[str, float], candidates: Collection[str]) -> dict[str, float]:
    count = len(candidates)
    left = (count - len(scores) + 1) / 2  # the mean of count - len(scores), …, 1
    ranks = _ranks(scores)
    return {chunk: (count + 1 - ranks[chunk] if chunk in ranks else left) / count for chunk in candidates}


def _ranks(scores: dict[str, float]) -> dict[str, int]:
    ranked = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))
    return {chunk: rank for rank, chunk in enumerate(ranked, start=1)}


FUSIONS: dict[str, FusionMethod] = {
    "soft": soft_voting,
    "zscore": standard_scores,
    "rank": rank_voting,
    "rrf": reciprocal_rank,
    "max": best_vote,
    "borda": borda,
}
