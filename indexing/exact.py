"""Exact search: every document compared, in blocks, so that memory is bounded by a block and not by the corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from indexing.fusion import Run
from indexing.generations import IndexedDocument
from indexing.home import Home
from indexing.vectors import load_vectors

_QUERIES_PER_BLOCK = 64
ROWS_PER_BLOCK = 8192


Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From (q, d) queries and (n, d) documents to (q, n), higher is better."""


def inner_product(queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Return (q, n) the inner products of queries (q, d) and documents (n, d)."""
    return np.asarray(queries @ documents.T)


def exact_run(
    queries: Sequence[str],
    vectors: np.ndarray,
    blocks: Iterable[np.ndarray],
    chunk_ids: Sequence[str],
    depth: int,
    score: Score = inner_product,
) -> Run:
    """Return the best ``depth`` chunks of each query by inner product or another score, all documents compared.

    ``vectors`` (q, d) are those of ``queries`` (ids); ``blocks`` (n, d) follow one another in the order of
    ``chunk_ids``.
    """
    best = [(np.zeros(0, vectors.dtype), np.zeros(0, np.int64))] * len(queries)
    seen = 0
    for block in blocks:
        for first in range(0, len(queries), _QUERIES_PER_BLOCK):
            scores = score(vectors[first : first + _QUERIES_PER_BLOCK], block)
            kept = min(depth, len(block))
            if not kept:
                continue
            rows = np.argpartition(-scores, kept - 1, axis=1)[:, :kept]
            for place, found in enumerate(rows, start=first):
                best[place] = _best_of_both(best[place], (scores[place - first, found], found + seen), depth)
        seen += len(block)
    return {
        query: {chunk_ids[row]: score for score, row in zip(scores.tolist(), rows.tolist(), strict=True)}
        for query, (scores, rows) in zip(queries, best, strict=True)
    }


def _best_of_both(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], depth: int
) -> tuple[np.ndarray, np.ndarray]:
    scores, rows = np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])
    if len(scores) > depth:
        kept = np.argpartition(-scores, depth - 1)[:depth]
        scores, rows = scores[kept], rows[kept]
    return scores, rows


def vector_blocks(
    home: Home, fingerprint: str, documents: Mapping[str, IndexedDocument], rows: int = ROWS_PER_BLOCK
) -> Iterator[np.ndarray]:
    """Yield an encoder's document vectors, (n, d) float32 unit rows, in the order of the documents.

    A block has at least ``rows`` rows, but for the last, and is no longer than that and one document.
    """
    yield from in_blocks((load_vectors(home, fingerprint, entry.key) for entry in documents.values()), rows)


def in_blocks(parts: Iterable[np.ndarray], rows: int = ROWS_PER_BLOCK) -> Iterator[np.ndarray]:
    """Put arrays together, along their first axis, until there are ``rows``; the last block may have fewer."""
    gathered: list[np.ndarray] = []
    count = 0
    for part in parts:
        gathered.append(part)
        count += len(part)
        if count >= rows:
            yield np.concatenate(gathered)
            gathered, count = [], 0
    if count:
        yield np.concatenate(gathered)
