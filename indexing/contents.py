"""A generation's contents: what is searched, written from documents that are read, cut and embedded.

Where a release finds an encoder's documents by another geometry than the cosine, a content holds their points as one
more vector. They are made of the vectors and norms that are kept: nothing is embedded for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from chunking.stored import load_chunks
from indexing.bm25 import document_vector
from indexing.costs import WRITING, writing_units
from indexing.embedding import Progress
from indexing.generations import (
    Generation,
    IndexedDocument,
    document_folder,
    next_content,
    open_store,
    read_documents,
    write_documents,
)
from indexing.geometry import Geometry
from indexing.home import Home
from indexing.hyperbolic import place
from indexing.rates import Work, record
from indexing.releases import BASE, Fusion, Release
from indexing.settings import IndexSettings
from indexing.stores.store import BM25, MoreVectors, PointBatch
from indexing.vectors import load_norms, load_vectors

_KEPT_CONTENTS = 3


def write_content(
    home: Home,
    generation: Generation,
    settings: IndexSettings,
    base: int | None,
    added: Mapping[str, IndexedDocument],
    replaced: Sequence[str],
    tell: Progress,
    geometries: Mapping[str, Geometry] | None = None,
) -> int:
    """Write the generation's next content from that of ``base`` and return its number.

    ``geometries`` are those of the release that will name it, by encoder.
    """
    content = next_content(home, generation.id)
    store, work = open_store(home, generation, settings.qdrant), Work(WRITING)
    with work.timed(0):
        store.write(content, base, _counted(_batches(home, generation, added, tell, geometries or {}), work), replaced)
    if base is None:  # what is copied from a base tells nothing of a passage
        record(home, work)
    return content


def restore_contents(
    home: Home,
    generation: Generation,
    settings: IndexSettings,
    contents: Sequence[int],
    geometries: Mapping[int, Mapping[str, Geometry]],
    tell: Progress,
) -> list[int]:
    """Write those of ``contents`` that the store lacks, from documents and vectors; return which those were.

    ``geometries`` gives, by content, those of the releases that name it. Each content is made from the one before.
    """
    store = open_store(home, generation, settings.qdrant)
    written: list[int] = []
    before: dict[str, IndexedDocument] = {}
    base: int | None = None
    held: Mapping[str, Geometry] = {}
    for content in sorted(contents):
        documents, points = read_documents(home, generation.id, content), geometries.get(content, {})
        if not store.has(content):
            base = base if points == held else None  # points that a base lacks cannot be added for its documents
            known = before if base is not None else {}
            added = {name: entry for name, entry in documents.items() if known.get(name) != entry}
            gone = [name for name in known if name not in documents]
            store.write(content, base, _batches(home, generation, added, tell, points), [*added, *gone])
            written.append(content)
        base, before, held = content, documents, points
    return written


def write_points(
    home: Home,
    generation: Generation,
    settings: IndexSettings,
    base: int,
    geometries: Mapping[str, Geometry],
    tell: Progress,
) -> int:
    """Write the generation's next content: that of ``base`` with the points of ``geometries`` (by encoder).

    Returns its number. Raises SpecmineError when the norms of document vectors were not kept.
    """
    documents = read_documents(home, generation.id, base)
    content = next_content(home, generation.id)

    def batches() -> Iterator[MoreVectors]:
        for number, entry in enumerate(documents.values(), start=1):
            ids = [chunk.id for chunk in load_chunks(document_folder(home, entry.key))]
            yield MoreVectors(ids, _points(home, generation, entry, geometries))
            tell("writing points", number, len(documents))

    open_store(home, generation, settings.qdrant).add_vectors(content, base, batches())
    write_documents(home, generation.id, content, documents)
    return content


def _points(
    home: Home, generation: Generation, entry: IndexedDocument, geometries: Mapping[str, Geometry]
) -> dict[str, np.ndarray]:
    """Return the points of a document's chunks, (n, d + 1) float32, by the name of the vector."""
    points = {}
    for encoder in generation.encoders:
        name, geometry = encoder.spec.name, geometries.get(encoder.spec.name)
        if geometry is not None and geometry.has_points:
            rows = load_vectors(home, encoder.fingerprint, entry.key)
            norms = load_norms(home, encoder.fingerprint, entry.key)
            points[geometry.vector_name(name)] = place(rows, norms, geometry).astype(np.float32)
    return points


def _batches(
    home: Home,
    generation: Generation,
    documents: Mapping[str, IndexedDocument],
    tell: Progress,
    geometries: Mapping[str, Geometry],
) -> Iterator[PointBatch]:
    total = sum(entry.chunks for entry in documents.values())
    done = 0
    for entry in documents.values():
        chunks = load_chunks(document_folder(home, entry.key))
        dense = {
            encoder.spec.name: load_vectors(home, encoder.fingerprint, entry.key) for encoder in generation.encoders
        }
        dense |= _points(home, generation, entry, geometries)
        yield PointBatch(chunks, dense, [document_vector(chunk.encoder_text) for chunk in chunks])
        done += len(chunks)
        tell("writing", done, total)


def _counted(batches: Iterable[PointBatch], work: Work) -> Iterator[PointBatch]:
    """Count as work what is written."""
    for batch in batches:
        characters = sum(len(chunk.encoder_text) for chunk in batch.chunks)
        values = sum(rows.shape[1] for rows in batch.dense.values())
        work.units += writing_units(len(batch.chunks), characters, values)
        yield batch


def keep_recent(home: Home, generation: Generation, settings: IndexSettings, content: int, base: int | None) -> None:
    """Remove all contents but ``content``, the one it was made from and the last before it."""
    recent = [content - i for i in range(_KEPT_CONTENTS)]
    open_store(home, generation, settings.qdrant).keep({*recent, *([base] if base else [])})


def first_release(generation: Generation, content: int, note: str) -> Release:
    """Return the release of a new generation: untrained query encoders and BM25, soft voting with equal weights."""
    fusion = Fusion("soft", dict.fromkeys((*generation.names, BM25), 1.0))
    return Release(generation.id, content, dict.fromkeys(generation.names, BASE), fusion, note=note)
