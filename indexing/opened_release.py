"""A release, opened for reading: its documents, passages and vectors, its encoders and its re-ranker.

All of it is of one release from opening to closing, so that nothing that is read mixes two. What is large or slow to
load is loaded when it is first asked for, and kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import BinaryIO, Self

import numpy as np

from chunking.document import Chunk
from chunking.stored import load_text
from indexing.encoders.cross import CrossEncoder, load_cross_encoder
from indexing.encoders.query import QueryEncoder, load_query_encoder
from indexing.generations import (
    Generation,
    GenerationEncoder,
    IndexedDocument,
    document_folder,
    open_store,
    read_documents,
    read_generation,
)
from indexing.geometry import Geometry
from indexing.holds import hold
from indexing.home import Home, SpecmineError
from indexing.hyperbolic import measured_geometry
from indexing.passages import Passages
from indexing.pca import PcaIndex, open_pca
from indexing.releases import BASE, Release, served
from indexing.reranking import reranker_spec
from indexing.settings import IndexSettings
from indexing.stores.store import Reader
from indexing.vectors import load_norms, load_vectors


class OpenedRelease:
    """One release, open for reading."""

    def __init__(
        self,
        home: Home,
        settings: IndexSettings,
        release: Release,
        generation: Generation,
        reader: Reader,
        held: BinaryIO | None = None,
        loaded: Iterable[QueryEncoder] = (),
    ) -> None:
        self.home = home
        self.settings = settings
        self._reader = reader
        self._held = held
        self._loaded = tuple(loaded)
        self.release = release
        self.generation = generation

    @classmethod
    def open(
        cls,
        home: Home,
        settings: IndexSettings,
        release: Release | None = None,
        loaded: Iterable[QueryEncoder] = (),
    ) -> Self:
        """Open ``release``, or the served one. Raises SpecmineError when nothing is indexed.

        Until it is closed, nothing of the release is removed. Of the query encoders in ``loaded``, which another
        release has open, those that this one has too are not loaded again.
        """
        release = release or served(home)
        generation = read_generation(home, release.generation)
        held = hold(home.generations / generation.id)
        try:
            reader = open_store(home, generation, settings.qdrant).reader(release.content)
        except BaseException:
            held.close()
            raise
        return cls(home, settings, release, generation, reader, held, loaded)

    @cached_property
    def encoders(self) -> dict[str, QueryEncoder]:
        """The release's query encoders by name. A version made for other document vectors is refused."""
        versions = self.release.encoders
        encoders = {
            part.spec.name: self._already_loaded(part, versions[part.spec.name])
            or self.load_encoder(part.spec.name, versions[part.spec.name])
            for part in self.generation.encoders
        }
        self._loaded = ()  # what this release does not share is not kept in memory for it
        return encoders

    def _already_loaded(self, part: GenerationEncoder, version: str) -> QueryEncoder | None:
        wanted = (part.spec, part.fingerprint, version)
        same = (one for one in self._loaded if (one.spec, one.document_fingerprint, one.version) == wanted)
        return next(same, None)

    def load_encoder(self, name: str, version: str) -> QueryEncoder:
        """Load one version of a query encoder of this generation, ``base`` for the untrained one."""
        weights = None if version == BASE else self.home.encoders / name / version / "model.safetensors"
        if weights is not None and not weights.exists():
            raise SpecmineError(f"version {version!r} of encoder {name!r} is gone from {weights.parent}: roll back")
        return load_query_encoder(self.generation.encoder(name).spec, self.home, weights, version)

    @cached_property
    def cross_encoder(self) -> CrossEncoder | None:
        """The configured cross-encoder, or None: what mining filters with, whatever re-ranker the release has."""
        spec = self.settings.cross_encoder
        cross = load_cross_encoder(spec, self.home) if spec else None
        if cross is not None and cross.trained_on is not None:
            raise SpecmineError(
                f"cross-encoder {cross.spec.name} was trained on ledger {cross.trained_on}, so that it cannot judge "
                "ledgers: configure the pretrained one; a trained re-ranker is served by `specmine promote`"
            )
        return cross

    def opened_as(self, release: Release) -> Self:
        """Return another release of the same generation and content, open for searching; it closes with this one."""
        return type(self)(self.home, self.settings, release, self.generation, self._reader)

    @cached_property
    def reranker(self) -> CrossEncoder | None:
        """The release's re-ranker: a version that was trained, or the configured cross-encoder as published."""
        by = self.release.reranker
        if by is None:
            return None
        if by.version == BASE:
            return self.cross_encoder
        return load_cross_encoder(reranker_spec(self.home, by.version), self.home)

    @cached_property
    def documents(self) -> dict[str, IndexedDocument]:
        """The indexed documents by id."""
        return read_documents(self.home, self.generation.id, self.release.content)

    @cached_property
    def chunks(self) -> Passages:
        """All chunks of the release by id, documents in order of their ids; texts stay on disk."""
        return Passages({name: document_folder(self.home, entry.key) for name, entry in self.documents.items()})

    @cached_property
    def chunk_ids(self) -> Sequence[str]:
        """The ids of ``chunks`` in their fixed order."""
        return self.chunks.ids

    def document_vectors(self, encoder: str) -> np.ndarray:
        """Return the frozen document vectors, (n, d) float32, in the order of ``chunk_ids``."""
        fingerprint = self.generation.encoder(encoder).fingerprint
        parts = [load_vectors(self.home, fingerprint, entry.key) for entry in self.documents.values()]
        matrix = np.concatenate(parts)
        matrix.flags.writeable = False
        return matrix

    def document_lengths(self, encoder: str) -> np.ndarray:
        """Return the norms that ``document_vectors`` had before they were normalised, (n,) float32.

        Raises SpecmineError when they were not kept.
        """
        fingerprint = self.generation.encoder(encoder).fingerprint
        return np.concatenate([load_norms(self.home, fingerprint, entry.key) for entry in self.documents.values()])

    def measured(self, encoder: str, geometry: Geometry) -> Geometry:
        """Return a geometry with the unit of an encoder's documents (``indexing.hyperbolic.measured_geometry``)."""
        return measured_geometry(self.home, self.generation.encoder(encoder), self.documents, geometry)

    @cached_property
    def pca(self) -> PcaIndex:
        """The release's documents in the space that its encoders share. Made at the first use: seconds to minutes."""
        return open_pca(self.home, self.generation, self.release.content, self.documents)

    def chunk_vectors(self, encoder: str, chunks: Sequence[str]) -> np.ndarray:
        """Return the frozen vectors of the chunks with these ids, (n, d) float32; only their documents are opened."""
        fingerprint = self.generation.encoder(encoder).fingerprint
        by_document: dict[str, list[tuple[int, int]]] = {}
        for place, chunk in enumerate(chunks):
            document, ordinal = self.chunks.place_of(chunk)
            by_document.setdefault(document, []).append((place, ordinal))
        rows: dict[int, np.ndarray] = {}
        for document, places in by_document.items():
            # A document's vectors stand in the order of its chunks.
            vectors = load_vectors(self.home, fingerprint, self.documents[document].key)
            rows.update((place, vectors[ordinal]) for place, ordinal in places)
        return np.stack([rows[place] for place in range(len(chunks))])

    def read(self, chunks: Iterable[str]) -> dict[str, Chunk]:
        """Return the chunks with these ids; many together are read sooner than one by one from ``chunks``."""
        return self.chunks.some(chunks)

    def documents_of(self, chunks: Sequence[str]) -> list[str]:
        """Return the document of each of the chunks with these ids; no text is read."""
        return [self.chunks.place_of(chunk)[0] for chunk in chunks]

    def document_text(self, document_id: str) -> str | None:
        """Return a document's text as read, or None when it is not indexed."""
        entry = self.documents.get(document_id)
        return load_text(document_folder(self.home, entry.key)) if entry else None

    def count(self) -> int:
        """Return the number of passages in the store."""
        return self._reader.count()

    def vector_checksum(self, encoder: str) -> str:
        """Return the SHA-256 over all vectors of an encoder as the store holds them, in order of chunk id."""
        digest = hashlib.sha256()
        for chunk, vector in sorted(self._reader.vectors(encoder), key=lambda pair: pair[0]):
            digest.update(chunk.encode())
            digest.update(np.ascontiguousarray(vector, dtype="<f4").tobytes())
        return digest.hexdigest()

    def close(self) -> None:
        """Release files and connections."""
        self._reader.close()
        if self._held is not None:
            self._held.close()
