"""One content of the server store, open for searching: the points that were born by then and had not died."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models

from chunking.document import Chunk
from indexing.bm25 import SparseVector
from indexing.settings import Placement
from indexing.stores.failures import in_one_line
from indexing.stores.placement import search_params
from indexing.stores.store import BM25, RRF_K, Hit, QueryVectors, chunk_of, nearest_in_batches

BORN = "born"
DIED = "died"
_QUERIES_PER_REQUEST = 32
_SCROLL = 1000


class ServerReader:
    """One content of the server store, open for searching."""

    def __init__(self, client: QdrantClient, collection: str, content: int, placement: Placement) -> None:
        self._client = client
        self._collection = collection
        self._placement = placement
        self._alive = models.Filter(
            must=[models.FieldCondition(key=BORN, range=models.Range(lte=content))],
            must_not=[models.FieldCondition(key=DIED, range=models.Range(lte=content))],
        )

    @in_one_line
    def count(self) -> int:
        """See ``indexing.stores.store.Reader.count``."""
        return self._client.count(self._collection, count_filter=self._alive, exact=True).count

    def is_exact(self, dimensions: int) -> bool:
        """See ``indexing.stores.store.Reader.is_exact``. A server decides for itself."""
        return False

    @in_one_line
    def nearest(self, queries: Sequence[QueryVectors], limit: int, exact: bool = False) -> list[dict[str, list[Hit]]]:
        """See ``indexing.stores.store.Reader.nearest``."""

        def ask(part: Sequence[tuple[str, Any]]) -> Iterator[list[Hit]]:
            requests = [
                models.QueryRequest(
                    query=query,
                    using=source,
                    limit=limit,
                    filter=self._alive,
                    with_payload=["chunk"],
                    params=search_params(self._placement, exact),
                )
                for source, query in part
            ]
            return (_hits(answer.points) for answer in self._client.query_batch_points(self._collection, requests))

        return nearest_in_batches(queries, _queries, ask, _QUERIES_PER_REQUEST)

    @in_one_line
    def fused(self, query: QueryVectors, weights: Mapping[str, float], depth: int, limit: int) -> list[Hit]:
        """See ``indexing.stores.store.Reader.fused``."""
        sources = [(source, nearest) for source, nearest in _queries(query) if weights.get(source, 0) > 0]
        answer = self._client.query_points(
            self._collection,
            prefetch=[
                models.Prefetch(
                    query=nearest,
                    using=source,
                    limit=depth,
                    filter=self._alive,
                    params=search_params(self._placement),
                )
                for source, nearest in sources
            ],
            query=models.RrfQuery(rrf=models.Rrf(k=RRF_K, weights=[float(weights[source]) for source, _ in sources])),
            limit=limit,
            with_payload=["chunk"],
        )
        return _hits(answer.points)

    @in_one_line
    def chunks(self, ids: Sequence[str]) -> dict[str, Chunk]:
        """See ``indexing.stores.store.Reader.chunks``."""
        found = [chunk_of(record.payload) for record in self._records(ids, True, False) if record.payload]
        return {chunk.id: chunk for chunk in found}

    @in_one_line
    def vectors_of(self, name: str, ids: Collection[str]) -> dict[str, np.ndarray]:
        """See ``indexing.stores.store.Reader.vectors_of``."""
        return {
            record.payload["chunk"]: np.asarray(record.vector[name], dtype=np.float32)
            for record in self._records(ids, ["chunk"], [name])
            if record.payload and isinstance(record.vector, dict)
        }

    @in_one_line
    def points(self, ids: Collection[str]) -> dict[str, Any]:
        """Return the ids of the points that hold the chunks with these ids."""
        return {record.payload["chunk"]: record.id for record in self._records(ids, ["chunk"], False) if record.payload}

    def _records(
        self, ids: Collection[str], payload: bool | list[str], vectors: bool | list[str]
    ) -> list[models.Record]:
        if not ids:
            return []
        wanted = models.FieldCondition(key="chunk", match=models.MatchAny(any=list(ids)))
        condition = models.Filter(must=[wanted, *_conditions(self._alive.must)], must_not=self._alive.must_not)
        records, _ = self._client.scroll(
            self._collection, condition, limit=len(ids), with_payload=payload, with_vectors=vectors
        )
        return list(records)

    def vectors(self, encoder: str) -> Iterator[tuple[str, np.ndarray]]:
        """See ``indexing.stores.store.Reader.vectors``."""
        offset = None
        while True:
            records, offset = self._page(encoder, offset)
            for record in records:
                if record.payload and isinstance(record.vector, dict):
                    yield record.payload["chunk"], np.asarray(record.vector[encoder], dtype=np.float32)
            if offset is None:
                return

    @in_one_line
    def _page(self, encoder: str, offset: Any) -> tuple[list[models.Record], Any]:
        """Return some of the points with an encoder's vectors, and where the next begin."""
        return self._client.scroll(
            self._collection,
            self._alive,
            limit=_SCROLL,
            offset=offset,
            with_payload=["chunk"],
            with_vectors=[encoder],
        )

    def close(self) -> None:
        """See ``indexing.stores.store.Reader.close``. The client is the store's and stays open."""


def _queries(vectors: QueryVectors) -> Iterator[tuple[str, Any]]:
    for encoder, vector in vectors.dense.items():
        yield encoder, vector.tolist()
    if vectors.sparse is not None and len(vectors.sparse.indices):
        yield BM25, as_sparse(vectors.sparse)


def as_sparse(vector: SparseVector) -> models.SparseVector:
    """Return a sparse vector as the client sends it."""
    return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())


def _hits(points: Iterable[models.ScoredPoint]) -> list[Hit]:
    return [Hit(point.payload["chunk"], float(point.score)) for point in points if point.payload]


def _conditions(conditions: Any) -> list[Any]:
    return list(conditions) if isinstance(conditions, list) else [conditions]
