"""The embedded store: Qdrant Edge, the real engine in this process.

Each content is a shard of its own, ``contents/<serial>/``. A shard without a write-ahead log, flushed and then only
read, opens in many processes at once; so the writer copies the shard of the base, changes the copy and publishes it
by rename, and readers never wait. The vectors can always be written again from ``vectors/``: a killed writer loses
nothing but its copy.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from chunking.document import Chunk
from indexing.bm25 import SparseVector
from indexing.files_in_use import bytes_in, copy_folder
from indexing.holds import hold, remove_unless_held
from indexing.home import MANIFEST, SpecmineError, is_whole, write_artifact, write_json
from indexing.room import require_room
from indexing.stores.store import (
    BM25,
    RRF_K,
    Hit,
    MoreVectors,
    PointBatch,
    QueryVectors,
    chunk_of,
    nearest_in_batches,
    payload_of,
)

_SHARD = "shard"
_CONFIG, _SEGMENTS = "edge_config.json", "segments"  # of a shard
_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder of nobody else is made in it)
_ENGINE_FACTOR = 3  # of the bytes of vectors (measured: 1.4 with three of 384 dimensions for each passage)
_QUERIES_PER_REQUEST = 64
_SCROLL = 2000
_UPSERT = 1000
# Below this many kilobytes of vectors in a segment (130,000 vectors of 384 dimensions) the engine searches exactly.
# Measured on 35,941 RFC chunks: the graph index cost .004 nDCG@10 of an encoder, exact search a few milliseconds.
_INDEXING_THRESHOLD_KB = 200_000


class EdgeStore:
    """The contents of one generation in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, content: int, base: int | None, batches: Iterable[PointBatch], replaced: Collection[str]) -> None:
        """See ``indexing.stores.store.Store.write``."""
        target = self._folder / str(content)
        # Left by a writer that was killed before it published a release with this content.
        shutil.rmtree(target, ignore_errors=True)
        with write_artifact(target) as partial:
            shard = self._copy(base, partial / _SHARD) if base is not None else None
            if shard and replaced:
                _remove_documents(shard, replaced)
            for batch in batches:
                require_room(partial, _ENGINE_FACTOR * _bytes_of(batch.dense))
                shard = shard or _create(partial / _SHARD, batch)
                _upsert(shard, batch)
            if shard is None:
                raise SpecmineError("an index without any document cannot be written")
            _finish(shard, partial, content, base)

    def add_vectors(self, content: int, base: int, batches: Iterable[MoreVectors]) -> None:
        """See ``indexing.stores.store.Store.add_vectors``."""
        target = self._folder / str(content)
        shutil.rmtree(target, ignore_errors=True)
        with write_artifact(target) as partial:
            shard = self._copy(base, partial / _SHARD)
            known: set[str] = set()
            for batch in batches:
                require_room(partial, _ENGINE_FACTOR * _bytes_of(batch.dense))
                for name in batch.dense.keys() - known:
                    size = batch.dense[name].shape[1]
                    shard.update(edge.UpdateOperation.create_dense_vector(name, size, edge.Distance.Dot))
                known |= batch.dense.keys()
                rows = {name: matrix.tolist() for name, matrix in batch.dense.items()}
                points = [
                    edge.PointVectors(chunk, {name: part[i] for name, part in rows.items()})
                    for i, chunk in enumerate(batch.ids)
                ]
                if points:
                    shard.update(edge.UpdateOperation.update_vectors(points))
            _finish(shard, partial, content, base)

    def reader(self, content: int) -> EdgeReader:
        """See ``indexing.stores.store.Store.reader``."""
        if not self.has(content):
            raise SpecmineError(f"content {content} of the index is gone from {self._folder}: run `specmine reindex`")
        return EdgeReader(self._folder / str(content))

    def has(self, content: int) -> bool:
        """See ``indexing.stores.store.Store.has``."""
        return is_whole(self._folder / str(content))

    def keep(self, contents: Collection[int]) -> None:
        """See ``indexing.stores.store.Store.keep``."""
        for folder in self._folder.iterdir() if self._folder.exists() else ():
            if folder.name.isdigit() and int(folder.name) not in contents:
                remove_unless_held(folder)

    def _copy(self, base: int, path: Path) -> edge.EdgeShard:
        require_room(path.parent, bytes_in(self._folder / str(base)))
        copy_folder(self._folder / str(base) / _SHARD, path)
        return edge.EdgeShard.load(str(path))


class EdgeReader:
    """One content of the embedded store, open for searching. It is not removed before it is closed."""

    def __init__(self, folder: Path) -> None:
        self._held = hold(folder)
        self._shard = _load_to_search(folder / _SHARD)

    def count(self) -> int:
        """See ``indexing.stores.store.Reader.count``."""
        return int(self._shard.count(edge.CountRequest(exact=True)))

    def is_exact(self, dimensions: int) -> bool:
        """See ``indexing.stores.store.Reader.is_exact``. In segments even more are compared; this many always are."""
        return self.count() * dimensions * 4 <= _INDEXING_THRESHOLD_KB * 1024

    def nearest(self, queries: Sequence[QueryVectors], limit: int, exact: bool = False) -> list[dict[str, list[Hit]]]:
        """See ``indexing.stores.store.Reader.nearest``."""
        params = edge.SearchParams(exact=True) if exact else None

        def ask(part: Sequence[tuple[str, edge.Query]]) -> Iterator[list[Hit]]:
            requests = [edge.QueryRequest(limit=limit, query=query, params=params) for _, query in part]
            return map(_hits, self._shard.query_batch(edge.QueryBatchRequest(requests)))

        return nearest_in_batches(queries, _queries, ask, _QUERIES_PER_REQUEST)

    def fused(self, query: QueryVectors, weights: Mapping[str, float], depth: int, limit: int) -> list[Hit]:
        """See ``indexing.stores.store.Reader.fused``."""
        sources = [(source, nearest) for source, nearest in _queries(query) if weights.get(source, 0) > 0]
        # The package's type stub does not say that Rrf is a Fusion.
        rrf: Any = edge.Fusion.Rrf(k=RRF_K, weights=[float(weights[source]) for source, _ in sources])
        request = edge.QueryRequest(
            limit=limit,
            prefetches=[edge.Prefetch(limit=depth, query=nearest) for _, nearest in sources],
            query=rrf,
        )
        return _hits(self._shard.query(request))

    def chunks(self, ids: Sequence[str]) -> dict[str, Chunk]:
        """See ``indexing.stores.store.Reader.chunks``."""
        records = self._shard.retrieve(list(ids), with_payload=True, with_vector=False)
        found = [chunk_of(record.payload) for record in records if record.payload]
        return {chunk.id: chunk for chunk in found}

    def vectors(self, encoder: str) -> Iterator[tuple[str, np.ndarray]]:
        """See ``indexing.stores.store.Reader.vectors``."""
        offset = None
        while True:
            request = edge.ScrollRequest(offset=offset, limit=_SCROLL, with_payload=False, with_vector=[encoder])
            records, offset = self._shard.scroll(request)
            for record in records:
                if isinstance(record.vector, dict):
                    yield str(record.id), np.asarray(record.vector[encoder], dtype=np.float32)
            if offset is None:
                return

    def vectors_of(self, name: str, ids: Collection[str]) -> dict[str, np.ndarray]:
        """See ``indexing.stores.store.Reader.vectors_of``."""
        records = self._shard.retrieve(list(ids), with_payload=False, with_vector=[name])
        return {
            str(record.id): np.asarray(record.vector[name], dtype=np.float32)
            for record in records
            if isinstance(record.vector, dict)
        }

    def close(self) -> None:
        """See ``indexing.stores.store.Reader.close``."""
        self._shard.close()
        self._held.close()


def _queries(vectors: QueryVectors) -> Iterator[tuple[str, edge.Query]]:
    for encoder, vector in vectors.dense.items():
        yield encoder, edge.Query.Nearest(vector.tolist(), using=encoder)
    if vectors.sparse is not None and len(vectors.sparse.indices):
        yield BM25, edge.Query.Nearest(_sparse(vectors.sparse), using=BM25)


def _sparse(vector: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(vector.indices.tolist(), vector.values.tolist())


def _hits(points: Iterable[edge.ScoredPoint]) -> list[Hit]:
    return [Hit(str(point.id), float(point.score)) for point in points]


def _create(path: Path, like: PointBatch) -> edge.EdgeShard:
    path.mkdir()
    shard = edge.EdgeShard.create(
        str(path),
        edge.EdgeConfig(
            vectors={
                name: edge.EdgeVectorParams(size=matrix.shape[1], distance=edge.Distance.Dot)
                for name, matrix in like.dense.items()
            },
            sparse_vectors={BM25: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_INDEXING_THRESHOLD_KB),
            wal_enabled=False,
        ),
    )
    for field in ("document", "chunk"):
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Keyword))
    return shard


def _load_to_search(path: Path) -> edge.EdgeShard:
    """Open a shard that is only read.

    The engine writes the shard's configuration anew whenever it opens one. Where the disk is full, it opens a folder
    in memory that has the configuration, and a link to the data: what is served can be searched all the same.
    """
    try:
        return edge.EdgeShard.load(str(path))
    except Exception as error:  # the engine raises no other kind
        if not any(f"(os error {number})" in str(error) for number in (errno.ENOSPC, errno.EDQUOT)):
            raise
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        shutil.copy(path / _CONFIG, folder)
        (Path(folder) / _SEGMENTS).symlink_to((path / _SEGMENTS).resolve())
        return edge.EdgeShard.load(folder)


def _bytes_of(dense: Mapping[str, np.ndarray]) -> int:
    return sum(matrix.nbytes for matrix in dense.values())


def _finish(shard: edge.EdgeShard, partial: Path, content: int, base: int | None) -> None:
    require_room(partial, bytes_in(partial))  # optimising writes segments anew
    shard.flush()
    shard.optimize()
    shard.flush()
    count = shard.count(edge.CountRequest(exact=True))
    shard.close()
    write_json(partial / MANIFEST, {"content": content, "base": base, "chunks": count})


def _remove_documents(shard: edge.EdgeShard, documents: Collection[str]) -> None:
    condition = edge.FieldCondition("document", match=edge.MatchAny(sorted(documents)))
    shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=[condition])))


def _upsert(shard: edge.EdgeShard, batch: PointBatch) -> None:
    for start in range(0, len(batch.chunks), _UPSERT):
        points = []
        for i in range(start, min(start + _UPSERT, len(batch.chunks))):
            vector = {name: matrix[i].tolist() for name, matrix in batch.dense.items()}
            chunk = batch.chunks[i]
            points.append(edge.Point(chunk.id, {**vector, BM25: _sparse(batch.sparse[i])}, payload_of(chunk)))
        shard.update(edge.UpdateOperation.upsert_points(points))
