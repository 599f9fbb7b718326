"""A generation's contents: what is searched, written from documents that are read, cut and embedded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chunking.stored import load_chunks
from indexing.bm25 import document_vector
from indexing.embedding import Progress
from indexing.generations import Generation, IndexedDocument, document_folder, next_content, open_store
from indexing.home import Home
from indexing.releases import BASE, Fusion, Release
from indexing.settings import IndexSettings
from indexing.stores import BM25, PointBatch
from indexing.vectors import load_vectors


def write_content(
    home: Home,
    generation: Generation,
    settings: IndexSettings,
    base: int | None,
    added: Mapping[str, IndexedDocument],
    replaced: Sequence[str],
    tell: Progress,
) -> int:
    """Write the generation's next content from that of ``base`` and return its number."""
    content = next_content(home, generation.id)
    store = open_store(home, generation, settings.qdrant)
    store.write(content, base, _batches(home, generation, added, tell), replaced)
    return content


def _batches(
    home: Home, generation: Generation, documents: Mapping[str, IndexedDocument], tell: Progress
) -> Iterator[PointBatch]:
    total = sum(entry.chunks for entry in documents.values())
    done = 0
    for entry in documents.values():
        chunks = load_chunks(document_folder(home, entry.key))
        dense = {
            encoder.spec.name: load_vectors(home, encoder.fingerprint, entry.key) for encoder in generation.encoders
        }
        yield PointBatch(chunks, dense, [document_vector(chunk.encoder_text) for chunk in chunks])
        done += len(chunks)
        tell("writing", done, total)


def first_release(generation: Generation, content: int, note: str) -> Release:
    """Return the release of a new generation: untrained query encoders and BM25, soft voting with equal weights."""
    fusion = Fusion("soft", dict.fromkeys((*generation.names, BM25), 1.0))
    return Release(generation.id, content, dict.fromkeys(generation.names, BASE), fusion, note=note)
