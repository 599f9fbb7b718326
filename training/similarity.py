"""Similarities of queries to all documents: the operators' histograms."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

# Nodes of a histogram over [-1, 1]; they lie 2 / (NODES - 1) = .01 apart.
NODES = 201
_QUERIES_PER_BLOCK = 64


def histograms(
    queries: Sequence[str],
    vectors: np.ndarray,
    documents: np.ndarray,
    chunk_ids: Sequence[str],
    positives: Mapping[str, Collection[str]],
) -> dict[str, list[float]]:
    """Return the histograms of the similarities of queries to their ``positives`` and to all other documents.

    Each has ``NODES`` values that add up to 1; a similarity is shared between the two nodes beside it in proportion,
    as in the histogram loss (Ustinova & Lempitsky, arXiv 1611.00822).
    """
    rows = {chunk: row for row, chunk in enumerate(chunk_ids)}
    judged = [np.asarray([rows[chunk] for chunk in positives.get(query, ())], dtype=np.int64) for query in queries]
    return histogram_of(vectors, documents, judged, judged)


def histogram_of(
    vectors: np.ndarray, documents: np.ndarray, positives: Sequence[np.ndarray], masked: Sequence[np.ndarray]
) -> dict[str, list[float]]:
    """As ``histograms``, of rows: each query's ``positives``, and what of ``documents`` is no negative of it."""
    counts = {"positive": np.zeros(NODES), "negative": np.zeros(NODES)}
    for first, scores in _score_blocks(vectors, documents):
        negative = np.ones(scores.shape, dtype=bool)
        for place in range(len(scores)):
            negative[place, masked[first + place]] = False
            counts["positive"] += _soft_counts(scores[place, positives[first + place]])
        counts["negative"] += _soft_counts(scores[negative])
    return {name: [round(float(share), 8) for share in count / max(1.0, count.sum())] for name, count in counts.items()}


def overlap(histogram: Mapping[str, Sequence[float]]) -> float:
    """Return the histogram loss: the chance that a random negative pair is more similar than a random positive one."""
    below = np.cumsum(histogram["positive"])
    return float(np.dot(histogram["negative"], below))


def _score_blocks(vectors: np.ndarray, documents: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for first in range(0, len(vectors), _QUERIES_PER_BLOCK):
        yield first, vectors[first : first + _QUERIES_PER_BLOCK] @ documents.T


def _soft_counts(similarities: np.ndarray) -> np.ndarray:
    places = (np.clip(similarities.astype(np.float64), -1.0, 1.0) + 1.0) * (NODES - 1) / 2
    left = np.minimum(places.astype(np.int64), NODES - 2)
    share = places - left
    return np.bincount(left, 1.0 - share, NODES) + np.bincount(left + 1, share, NODES)
