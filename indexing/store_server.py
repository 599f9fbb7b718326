"""The server store: a Qdrant server (or cluster) through qdrant-client.

One collection holds all contents of a generation. A point carries ``born``, the content it came in with, and, once
it was replaced or removed, ``died``; a reader of content n sees the points with ``born <= n`` and not
``died <= n``. Writing therefore changes nothing a reader sees, and what is dead in every kept content is deleted
later. Contents form a line: a content written after a rollback first clears away those it leaves behind.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

from chunking.document import Chunk
from indexing.bm25 import SparseVector
from indexing.home import SpecmineError
from indexing.settings import Placement
from indexing.store_failures import in_one_line
from indexing.store_placement import collection_settings, search_params
from indexing.stores import BM25, RRF_K, Hit, MoreVectors, PointBatch, QueryVectors, chunk_of, payload_of

_BORN = "born"
_DIED = "died"
_WRITTEN = "written"
_QUERIES_PER_REQUEST = 32
_SCROLL = 1000
_UPSERT = 256
_PATIENCE = 60  # seconds for an answer
_POINT_IDS = uuid.UUID("6f1f2ad5-0f0a-4d0e-9a55-5d1c1c6a4a01")
# The one point that says which contents were written to their end; it has no vectors, so that no search finds it.
_LOG_ID = str(uuid.uuid5(_POINT_IDS, "contents"))


def connect(url: str, api_key: str | None) -> QdrantClient:
    """Return a client of the server at ``url``. Raises SpecmineError in one line when it does not answer."""
    given = {"location": url} if url == ":memory:" else {"url": url, "api_key": api_key, "timeout": _PATIENCE}
    client = QdrantClient(**given)
    try:
        client.get_collections()
    except (ApiException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SpecmineError(f"no Qdrant server answers at {url} ({reason}): start it or correct qdrant.url") from None
    return client


class ServerStore:
    """The contents of one generation in ``collection``."""

    def __init__(self, client: QdrantClient, collection: str, placement: Placement | None = None) -> None:
        self._client = client
        self._collection = collection
        self._placement = placement or Placement()

    @in_one_line
    def write(self, content: int, base: int | None, batches: Iterable[PointBatch], replaced: Collection[str]) -> None:
        """See ``indexing.stores.Store.write``."""
        exists = self._client.collection_exists(self._collection)
        anew = exists and base is None and bool(self._written())
        if anew:  # whole contents are searched: the new one takes the place of all that the last of them holds
            base = self._written()[-1]
        if exists:
            self._clear_after(base or 0)
        for batch in batches:
            if not exists:
                self._create(batch)
                exists = True
            self._upsert(content, batch)
        if not exists:
            raise SpecmineError("an index without any document cannot be written")
        if replaced or anew:
            of_them = models.FieldCondition(key="document", match=models.MatchAny(any=sorted(replaced)))
            self._client.set_payload(
                self._collection,
                {_DIED: content},
                models.Filter(
                    must=[
                        *([] if anew else [of_them]),
                        models.FieldCondition(key=_BORN, range=models.Range(lt=content)),
                    ],
                    must_not=[models.FieldCondition(key=_DIED, range=models.Range(lt=content))],
                ),
                wait=True,
            )
        self._record(sorted({*(known for known in self._written() if known <= (base or 0)), content}))

    @in_one_line
    def add_vectors(self, content: int, base: int, batches: Iterable[MoreVectors]) -> None:
        """See ``indexing.stores.Store.add_vectors``. Contents share their points: the base has the vectors as well."""
        self._clear_after(base)
        reader = self.reader(base)
        for batch in batches:
            for name, matrix in batch.dense.items():
                vector = models.DenseVectorConfig(size=matrix.shape[1], distance=models.Distance.DOT)
                self._client.create_vector_name(self._collection, name, models.DenseVectorNameConfig(dense=vector))
            for start in range(0, len(batch.ids), _UPSERT):
                part = range(start, min(start + _UPSERT, len(batch.ids)))
                points = reader.points([batch.ids[i] for i in part])
                self._client.update_vectors(
                    self._collection,
                    [
                        models.PointVectors(
                            id=points[batch.ids[i]],
                            vector={name: matrix[i].tolist() for name, matrix in batch.dense.items()},
                        )
                        for i in part
                    ],
                    wait=True,
                )
        self._record(sorted({*(known for known in self._written() if known <= base), content}))

    @in_one_line
    def reader(self, content: int) -> ServerReader:
        """See ``indexing.stores.Store.reader``."""
        if not self.has(content):
            raise SpecmineError(
                f"content {content} is gone from the Qdrant collection {self._collection!r}: run `specmine reindex`"
            )
        return ServerReader(self._client, self._collection, content, self._placement)

    @in_one_line
    def has(self, content: int) -> bool:
        """See ``indexing.stores.Store.has``."""
        return self._client.collection_exists(self._collection) and content in self._written()

    @in_one_line
    def keep(self, contents: Collection[int]) -> None:
        """See ``indexing.stores.Store.keep``."""
        written = self._written()
        kept = sorted(set(written) & set(contents))
        if not kept or kept == written:
            return
        dead = models.FieldCondition(key=_DIED, range=models.Range(lte=kept[0]))
        self._record(kept)
        self._client.delete(self._collection, models.FilterSelector(filter=models.Filter(must=[dead])), wait=True)

    def _create(self, like: PointBatch) -> None:
        self._client.create_collection(
            self._collection,
            **collection_settings(self._placement, {name: matrix.shape[1] for name, matrix in like.dense.items()}),
        )
        for field, schema in _PAYLOAD_INDEXES.items():
            self._client.create_payload_index(self._collection, field, field_schema=schema, wait=True)

    def _clear_after(self, base: int) -> None:
        """Remove what an interrupted writer, or a content left behind by a rollback, put in after ``base``."""
        later = models.Range(gt=base)
        born = models.Filter(must=[models.FieldCondition(key=_BORN, range=later)])
        died = models.Filter(must=[models.FieldCondition(key=_DIED, range=later)])
        self._client.delete(self._collection, models.FilterSelector(filter=born), wait=True)
        self._client.delete_payload(self._collection, [_DIED], models.FilterSelector(filter=died), wait=True)

    def _upsert(self, content: int, batch: PointBatch) -> None:
        for start in range(0, len(batch.chunks), _UPSERT):
            points = []
            for i in range(start, min(start + _UPSERT, len(batch.chunks))):
                vector: dict[str, Any] = {name: matrix[i].tolist() for name, matrix in batch.dense.items()}
                vector[BM25] = _sparse(batch.sparse[i])
                chunk = batch.chunks[i]
                # The same passage may live in two contents under other vectors (its document's title changed).
                point_id = str(uuid.uuid5(_POINT_IDS, f"{chunk.id}@{content}"))
                points.append(
                    models.PointStruct(id=point_id, vector=vector, payload={**payload_of(chunk), _BORN: content})
                )
            self._client.upsert(self._collection, points, wait=True)

    def _written(self) -> list[int]:
        records = self._client.retrieve(self._collection, [_LOG_ID], with_payload=True)
        return sorted(records[0].payload[_WRITTEN]) if records and records[0].payload else []

    def _record(self, contents: Sequence[int]) -> None:
        log = models.PointStruct(id=_LOG_ID, vector={}, payload={_WRITTEN: list(contents)})
        self._client.upsert(self._collection, [log], wait=True)


class ServerReader:
    """One content of the server store, open for searching."""

    def __init__(self, client: QdrantClient, collection: str, content: int, placement: Placement) -> None:
        self._client = client
        self._collection = collection
        self._placement = placement
        self._alive = models.Filter(
            must=[models.FieldCondition(key=_BORN, range=models.Range(lte=content))],
            must_not=[models.FieldCondition(key=_DIED, range=models.Range(lte=content))],
        )

    @in_one_line
    def count(self) -> int:
        """See ``indexing.stores.Reader.count``."""
        return self._client.count(self._collection, count_filter=self._alive, exact=True).count

    def is_exact(self, dimensions: int) -> bool:
        """See ``indexing.stores.Reader.is_exact``. A server decides for itself."""
        return False

    @in_one_line
    def nearest(self, queries: Sequence[QueryVectors], limit: int, exact: bool = False) -> list[dict[str, list[Hit]]]:
        """See ``indexing.stores.Reader.nearest``."""
        asked = [
            (number, source, query) for number, vectors in enumerate(queries) for source, query in _queries(vectors)
        ]
        found: list[dict[str, list[Hit]]] = [{} for _ in queries]
        for start in range(0, len(asked), _QUERIES_PER_REQUEST):
            part = asked[start : start + _QUERIES_PER_REQUEST]
            requests = [
                models.QueryRequest(
                    query=query,
                    using=source,
                    limit=limit,
                    filter=self._alive,
                    with_payload=["chunk"],
                    params=search_params(self._placement, exact),
                )
                for _, source, query in part
            ]
            answers = self._client.query_batch_points(self._collection, requests)
            for (number, source, _), answer in zip(part, answers, strict=True):
                found[number][source] = _hits(answer.points)
        return found

    @in_one_line
    def fused(self, query: QueryVectors, weights: Mapping[str, float], depth: int, limit: int) -> list[Hit]:
        """See ``indexing.stores.Reader.fused``."""
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
        """See ``indexing.stores.Reader.chunks``."""
        found = [chunk_of(record.payload) for record in self._records(ids, True, False) if record.payload]
        return {chunk.id: chunk for chunk in found}

    @in_one_line
    def vectors_of(self, name: str, ids: Collection[str]) -> dict[str, np.ndarray]:
        """See ``indexing.stores.Reader.vectors_of``."""
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
        """See ``indexing.stores.Reader.vectors``."""
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
        """See ``indexing.stores.Reader.close``. The client is the store's and stays open."""


_PAYLOAD_INDEXES = {
    "document": models.PayloadSchemaType.KEYWORD,
    "chunk": models.PayloadSchemaType.KEYWORD,
    _BORN: models.PayloadSchemaType.INTEGER,
    _DIED: models.PayloadSchemaType.INTEGER,
}


def _queries(vectors: QueryVectors) -> Iterator[tuple[str, Any]]:
    for encoder, vector in vectors.dense.items():
        yield encoder, vector.tolist()
    if vectors.sparse is not None and len(vectors.sparse.indices):
        yield BM25, _sparse(vectors.sparse)


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=vector.indices.tolist(), values=vector.values.tolist())


def _hits(points: Iterable[models.ScoredPoint]) -> list[Hit]:
    return [Hit(point.payload["chunk"], float(point.score)) for point in points if point.payload]


def _conditions(conditions: Any) -> list[Any]:
    return list(conditions) if isinstance(conditions, list) else [conditions]
