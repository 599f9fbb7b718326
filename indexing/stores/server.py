"""The server store: a Qdrant server (or cluster) through qdrant-client.

One collection holds all contents of a generation. A point carries ``born``, the content it came in with, and, once
it was replaced or removed, ``died``; a reader of content n sees the points with ``born <= n`` and not
``died <= n``. Writing therefore changes nothing a reader sees, and what is dead in every kept content is deleted
later. Contents form a line: a content written after a rollback first clears away those it leaves behind.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ApiException

from indexing.home import SpecmineError
from indexing.settings import Placement
from indexing.stores.failures import in_one_line
from indexing.stores.placement import collection_settings
from indexing.stores.server_reader import BORN, DIED, ServerReader, as_sparse
from indexing.stores.store import BM25, MoreVectors, PointBatch, payload_of

_WRITTEN = "written"
_UPSERT = 256
_PATIENCE = 60  # seconds for an answer
_POINT_IDS = uuid.UUID("6f1f2ad5-0f0a-4d0e-9a55-5d1c1c6a4a01")
# The one point that says which contents were written to their end; it has no vectors, so that no search finds it.
_LOG_ID = str(uuid.uuid5(_POINT_IDS, "contents"))
_PAYLOAD_INDEXES = {
    "document": models.PayloadSchemaType.KEYWORD,
    "chunk": models.PayloadSchemaType.KEYWORD,
    BORN: models.PayloadSchemaType.INTEGER,
    DIED: models.PayloadSchemaType.INTEGER,
}


def connect(url: str, api_key: str | None) -> QdrantClient:
    """Return a client of the server at ``url``. Raises SpecmineError in one line when it does not answer."""
    client = QdrantClient(url, api_key=api_key, timeout=_PATIENCE)
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
        """See ``indexing.stores.store.Store.write``."""
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
                {DIED: content},
                models.Filter(
                    must=[
                        *([] if anew else [of_them]),
                        models.FieldCondition(key=BORN, range=models.Range(lt=content)),
                    ],
                    must_not=[models.FieldCondition(key=DIED, range=models.Range(lt=content))],
                ),
                wait=True,
            )
        self._record(sorted({*(known for known in self._written() if known <= (base or 0)), content}))

    @in_one_line
    def add_vectors(self, content: int, base: int, batches: Iterable[MoreVectors]) -> None:
        """See ``indexing.stores.store.Store.add_vectors``.

        Contents share their points: the base has the vectors as well.
        """
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
        """See ``indexing.stores.store.Store.reader``."""
        if not self.has(content):
            raise SpecmineError(
                f"content {content} is gone from the Qdrant collection {self._collection!r}: run `specmine reindex`"
            )
        return ServerReader(self._client, self._collection, content, self._placement)

    @in_one_line
    def has(self, content: int) -> bool:
        """See ``indexing.stores.store.Store.has``."""
        return self._client.collection_exists(self._collection) and content in self._written()

    @in_one_line
    def keep(self, contents: Collection[int]) -> None:
        """See ``indexing.stores.store.Store.keep``."""
        written = self._written()
        kept = sorted(set(written) & set(contents))
        if not kept or kept == written:
            return
        dead = models.FieldCondition(key=DIED, range=models.Range(lte=kept[0]))
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
        born = models.Filter(must=[models.FieldCondition(key=BORN, range=later)])
        died = models.Filter(must=[models.FieldCondition(key=DIED, range=later)])
        self._client.delete(self._collection, models.FilterSelector(filter=born), wait=True)
        self._client.delete_payload(self._collection, [DIED], models.FilterSelector(filter=died), wait=True)

    def _upsert(self, content: int, batch: PointBatch) -> None:
        for start in range(0, len(batch.chunks), _UPSERT):
            points = []
            for i in range(start, min(start + _UPSERT, len(batch.chunks))):
                vector: dict[str, Any] = {name: matrix[i].tolist() for name, matrix in batch.dense.items()}
                vector[BM25] = as_sparse(batch.sparse[i])
                chunk = batch.chunks[i]
                # The same passage may live in two contents under other vectors (its document's title changed).
                point_id = str(uuid.uuid5(_POINT_IDS, f"{chunk.id}@{content}"))
                points.append(
                    models.PointStruct(id=point_id, vector=vector, payload={**payload_of(chunk), BORN: content})
                )
            self._client.upsert(self._collection, points, wait=True)

    def _written(self) -> list[int]:
        records = self._client.retrieve(self._collection, [_LOG_ID], with_payload=True)
        return sorted(records[0].payload[_WRITTEN]) if records and records[0].payload else []

    def _record(self, contents: Sequence[int]) -> None:
        log = models.PointStruct(id=_LOG_ID, vector={}, payload={_WRITTEN: list(contents)})
        self._client.upsert(self._collection, [log], wait=True)
