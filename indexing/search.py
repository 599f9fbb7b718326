"""Search: one release, opened; queries in, ranked chunks out, with every source's rank and score.

A Searcher reads one release from opening to closing, so that no result mixes two. It serves people (``search``) and
the referee and the miner (``runs``) alike: what is measured is what is served.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from chunking.document import SECTION_SEPARATOR, Chunk, as_shown
from chunking.stored import load_text
from indexing.bm25 import query_vector
from indexing.encoders import QueryEncoder, load_query_encoder
from indexing.encoders_compute import one_thread
from indexing.encoders_cross import CrossEncoder, load_cross_encoder
from indexing.exact import exact_run, vector_blocks
from indexing.fusion import Run, fuse
from indexing.generations import (
    Generation,
    GenerationEncoder,
    document_folder,
    open_store,
    read_documents,
    read_generation,
)
from indexing.geometry import Geometry
from indexing.geometry_search import nearest_by_geometry
from indexing.holds import hold
from indexing.home import Home, SpecmineError
from indexing.hyperbolic import hyperbolic_name, hyperbolic_run, measured_geometry
from indexing.passages import Passages
from indexing.pca import PCA, PcaIndex, open_pca
from indexing.releases import BASE, Release, served
from indexing.reranking import rerank, reranker_spec
from indexing.settings import IndexSettings, SearchSettings
from indexing.specs import CrossEncoderSpec
from indexing.stores import BM25, Hit, QueryVectors, Reader
from indexing.vectors import load_norms, load_vectors

Embedded = tuple[np.ndarray, np.ndarray]
"""An encoder's (q, d) float32 unit rows of queries, and their (q,) norms."""

FUSION = "fusion"
RERANKED = "reranked"
_LONGEST_QUERY = 4000


@dataclass(frozen=True)
class SearchResult:
    """A passage found: ``sources`` maps each source that returned it to its rank (from 1) and score.

    ``chunk`` is as a reader sees it. Where small passages stand for their clause, it has the clause's text, span and
    pages; ``passage`` is the span of what was found, within it.
    """

    chunk: Chunk
    score: float
    sources: dict[str, tuple[int, float]]
    passage: tuple[int, int]

    @property
    def passage_text(self) -> str:
        """The text of what was found."""
        start, end = self.passage
        return self.chunk.text[start - self.chunk.start : end - self.chunk.start]

    def as_json(self) -> dict[str, Any]:
        """Return the result with the keys other programs rely on."""
        chunk = self.chunk
        return {
            "document": chunk.document,
            "title": chunk.title,
            "section": SECTION_SEPARATOR.join(chunk.section),
            "pages": [chunk.first_page, chunk.last_page],
            "span": [chunk.start, chunk.end],
            "score": round(self.score, 6),
            "text": chunk.text,
            "lead": chunk.lead,
            "passage": list(self.passage),
            "sources": {name: {"rank": rank, "score": round(s, 6)} for name, (rank, s) in self.sources.items()},
        }


@dataclass(frozen=True)
class SearchResponse:
    """The answer to one query, best first."""

    query: str
    release: str
    milliseconds: float
    results: tuple[SearchResult, ...]

    def by_document(self) -> dict[str, list[SearchResult]]:
        """Return the results grouped by document, documents in the order of their best result."""
        groups: dict[str, list[SearchResult]] = {}
        for result in self.results:
            groups.setdefault(result.chunk.document, []).append(result)
        return groups

    def as_json(self) -> dict[str, Any]:
        """Return the answer with the keys other programs rely on."""
        return {
            "query": self.query,
            "release": self.release,
            "milliseconds": round(self.milliseconds, 1),
            "results": [result.as_json() for result in self.results],
            "documents": list(self.by_document()),
        }


class Searcher:
    """One release, open for searching."""

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
        self._settings = settings
        self._reader = reader
        self._held = held
        self._loaded: tuple[QueryEncoder, ...] = tuple(loaded)
        self._last_embedded: dict[str, tuple[list[str], Embedded]] = {}
        self.release = release
        self.generation = generation

    @classmethod
    def open(
        cls,
        home: Home,
        settings: IndexSettings,
        release: Release | None = None,
        loaded: Iterable[QueryEncoder] = (),
    ) -> Searcher:
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
        spec = next(encoder.spec for encoder in self.generation.encoders if encoder.spec.name == name)
        weights = None if version == BASE else self.home.encoders / name / version / "model.safetensors"
        if weights is not None and not weights.exists():
            raise SpecmineError(f"version {version!r} of encoder {name!r} is gone from {weights.parent}: roll back")
        return load_query_encoder(spec, self.home, weights, version)

    @cached_property
    def cross_encoder(self) -> CrossEncoder | None:
        """The configured cross-encoder, or None: what mining filters with, whatever re-ranker the release has."""
        spec = self._settings.cross_encoder
        cross = load_cross_encoder(spec, self.home) if spec else None
        if cross is not None and cross.trained_on is not None:
            raise SpecmineError(
                f"cross-encoder {cross.spec.name} was trained on ledger {cross.trained_on}, so that it cannot judge "
                "ledgers: configure the pretrained one; a trained re-ranker is served by `specmine promote`"
            )
        return cross

    @property
    def cross_encoder_spec(self) -> CrossEncoderSpec | None:
        """The configured cross-encoder as it is described, or None."""
        return self._settings.cross_encoder

    @property
    def search_settings(self) -> SearchSettings:
        """How searches are bounded."""
        return self._settings.search

    def opened_as(self, release: Release) -> Searcher:
        """Return another release of the same generation and content, open for searching; it closes with this one."""
        return Searcher(self.home, self._settings, release, self.generation, self._reader)

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
    def documents(self) -> dict[str, Any]:
        """The indexed documents by id (``indexing.generations.IndexedDocument``)."""
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
        fingerprint = next(part.fingerprint for part in self.generation.encoders if part.spec.name == encoder)
        parts = [load_vectors(self.home, fingerprint, entry.key) for entry in self.documents.values()]
        matrix = np.concatenate(parts)
        matrix.flags.writeable = False
        return matrix

    def document_lengths(self, encoder: str) -> np.ndarray:
        """Return the norms that ``document_vectors`` had before they were normalised, (n,) float32.

        Raises SpecmineError when they were not kept.
        """
        fingerprint = next(part.fingerprint for part in self.generation.encoders if part.spec.name == encoder)
        return np.concatenate([load_norms(self.home, fingerprint, entry.key) for entry in self.documents.values()])

    def measured(self, encoder: str, geometry: Geometry) -> Geometry:
        """Return a geometry with the unit of an encoder's documents (``indexing.hyperbolic.measured_geometry``)."""
        part = next(part for part in self.generation.encoders if part.spec.name == encoder)
        return measured_geometry(self.home, part, self.documents, geometry)

    @property
    def settings(self) -> IndexSettings:
        """How the index is configured."""
        return self._settings

    @cached_property
    def pca(self) -> PcaIndex:
        """The release's documents in the space that its encoders share. Made at the first use: seconds to minutes."""
        return open_pca(self.home, self.generation, self.release.content, self.documents)

    def chunk_vectors(self, encoder: str, chunks: Sequence[str]) -> np.ndarray:
        """Return the frozen vectors of the chunks with these ids, (n, d) float32; only their documents are opened."""
        fingerprint = next(part.fingerprint for part in self.generation.encoders if part.spec.name == encoder)
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

    def embed(self, queries: Sequence[str]) -> dict[str, np.ndarray]:
        """Return every encoder's vectors of the queries, (q, d) float32 unit rows."""
        return {name: self._embedded(name, list(queries))[0] for name in self.encoders}

    def runs(self, queries: Mapping[str, str], depth: int = 200, only: Collection[str] | None = None) -> dict[str, Run]:
        """Search all ``queries`` (id to text) and return a run for each source and for their fusion.

        ``only`` names the sources wanted: encoders, ``bm25``, ``pca``, and the encoders' ``hyperbolic_name``. Where it
        is None all that the release fuses are searched; the fusion comes too, and the re-ranked list if the release
        has a re-ranker. Queries that find nothing have an empty entry. Where small passages stand for their clause, a
        run names each clause once, by its best passage.
        """
        everything = (*self.generation.names, BM25, PCA, *map(hyperbolic_name, self.generation.names))
        default = (*self.generation.names, BM25, *([PCA] if self._fuses_pca else []))
        wanted = [name for name in everything if name in (default if only is None else only)]
        embedded = {
            name: self._embedded(name, list(queries.values()))
            for name in self.generation.names
            if name in wanted or PCA in wanted or hyperbolic_name(name) in wanted
        }
        exact = [name for name in wanted if name != BM25 and (name not in embedded or self._is_exact(name))]
        found = {
            **self._stored_runs(queries, [name for name in wanted if name not in exact], embedded, depth),
            **self._exact_runs(queries, exact, embedded, depth),
        }
        runs = {name: found[name] for name in wanted}
        if only is None:
            runs[FUSION] = self.fuse(runs)
        if self._shows_parents:
            runs = {
                name: {query: _one_per_clause(found, self.chunks.clause_of) for query, found in run.items()}
                for name, run in runs.items()
            }
        if only is None and self.release.reranker:
            runs[RERANKED] = {
                query: self.rerank(text, runs[FUSION][query], seconds=None) for query, text in queries.items()
            }
        return runs

    def _embedded(self, name: str, queries: list[str]) -> Embedded:
        """Embed queries with one encoder; the last ones asked for are kept, for a miner asks for a block repeatedly."""
        last = self._last_embedded.get(name)
        if last is None or last[0] != queries:
            last = self._last_embedded[name] = (queries, self.encoders[name].embed_with_norms(queries))
        return last[1]

    @property
    def _fuses_pca(self) -> bool:
        """Whether ``pca`` is one of the sources that the release fuses."""
        return self.release.fusion.weights.get(PCA, 0.0) > 0

    def _is_exact(self, encoder: str) -> bool:
        """Whether the store compares all of an encoder's vectors; for many queries one product does it faster."""
        by_cosine = not self.release.geometry_of(encoder).has_points
        return by_cosine and self._reader.is_exact(self.encoders[encoder].dim)

    def _stored_runs(
        self, queries: Mapping[str, str], names: Sequence[str], embedded: Mapping[str, Embedded], depth: int
    ) -> dict[str, Run]:
        """Search with the store: by encoders and BM25."""
        runs: dict[str, Run] = {name: {query: {} for query in queries} for name in names}
        if not names:
            return runs
        asked = list(queries.values())
        for query, found in zip(queries, self._nearest(asked, names, embedded, depth), strict=True):
            for name, hits in found.items():
                runs[name][query] = {hit.chunk: hit.score for hit in hits}
        return runs

    def _nearest(
        self, queries: Sequence[str], names: Collection[str], embedded: Mapping[str, Embedded], depth: int
    ) -> list[dict[str, list[Hit]]]:
        """Return for each query (text) the best of the named encoders, each by its geometry, and of BM25."""
        geometries = {name: self.release.geometry_of(name) for name in embedded if name in names}
        by_cosine = [name for name, geometry in geometries.items() if not geometry.has_points]
        vectors = [
            QueryVectors(
                {name: embedded[name][0][place] for name in by_cosine}, query_vector(text) if BM25 in names else None
            )
            for place, text in enumerate(queries)
        ]
        found = self._reader.nearest(vectors, depth)
        for name, geometry in geometries.items():
            if geometry.has_points:
                lists = nearest_by_geometry(self._reader, name, geometry, embedded[name], depth)
                for place, hits in enumerate(lists):
                    found[place][name] = hits
        return found

    def _exact_runs(
        self, queries: Mapping[str, str], names: Sequence[str], embedded: Mapping[str, Embedded], depth: int
    ) -> dict[str, Run]:
        """Search by comparing all documents: by cosine, in the space all encoders share, by hyperbolic distance."""
        runs: dict[str, Run] = {}
        if PCA in names:
            runs[PCA] = self._pca_run({name: rows for name, (rows, _) in embedded.items()}, list(queries), depth)
        for part in self.generation.encoders:
            if part.spec.name in names:
                rows = embedded[part.spec.name][0]
                blocks = vector_blocks(self.home, part.fingerprint, self.documents)
                runs[part.spec.name] = exact_run(list(queries), rows, blocks, self.chunk_ids, depth)
            name = hyperbolic_name(part.spec.name)
            if name in names:
                runs[name] = hyperbolic_run(
                    self.home, part, self.documents, self.chunk_ids, list(queries), embedded[part.spec.name], depth
                )
        return runs

    def _pca_run(self, dense: Mapping[str, np.ndarray], queries: Sequence[str], depth: int) -> Run:
        """Search the space that all encoders share, exactly. ``dense`` holds every encoder's (q, d) rows."""
        together = np.concatenate([dense[name] for name in self.generation.names], axis=1)
        return exact_run(queries, self.pca.space.project(together), self.pca.blocks(), self.chunk_ids, depth)

    @property
    def _shows_parents(self) -> bool:
        """Whether small passages are searched and their clauses shown."""
        return bool(self.generation.chunk_settings.get("splitter") == "parents")

    def fuse(self, runs: Mapping[str, Run]) -> Run:
        """Fuse the sources' runs as the release says. Queries keep their place even when nothing was found."""
        fused = fuse(self.release.fusion.method, runs, self.release.fusion.weights)
        return {query: fused.get(query, {}) for run in runs.values() for query in run}

    def search(self, query: str, limit: int = 10) -> SearchResponse:
        """Answer one query. Raises SpecmineError for an empty or over-long query, or a limit outside 1 to 100."""
        text = query.strip()
        if not text:
            raise SpecmineError("the query is empty: type some words")
        if len(text) > _LONGEST_QUERY:
            raise SpecmineError(f"the query has {len(text)} characters; at most {_LONGEST_QUERY} are searched")
        if not 1 <= limit <= 100:
            raise SpecmineError(f"the limit must be 1 to 100, not {limit}")
        encoders = self.encoders  # loaded at the first search, which is not counted
        started = time.perf_counter()
        with one_thread():
            embedded = {name: encoder.embed_with_norms([text]) for name, encoder in encoders.items()}
        depth = max(self._settings.search.depth, limit)
        found = self._nearest([text], [*encoders, BM25], embedded, depth)[0]
        if self._fuses_pca:
            together = self._pca_run({name: rows for name, (rows, _) in embedded.items()}, ["q"], depth)["q"]
            found[PCA] = sorted((Hit(*pair) for pair in together.items()), key=lambda hit: (-hit.score, hit.chunk))
        runs: dict[str, Run] = {name: {"q": {hit.chunk: hit.score for hit in hits}} for name, hits in found.items()}
        ranking = self.fuse(runs).get("q", {})
        if self._shows_parents:
            held = self._reader.chunks(list(ranking))
            found_in = {chunk: score for chunk, score in ranking.items() if chunk in held}
            ranking = _one_per_clause(found_in, lambda chunk: (held[chunk].document, held[chunk].parent))
        if self.release.reranker:
            ranking = self.rerank(text, ranking, self._settings.search.rerank_seconds)
        best = sorted(ranking, key=lambda chunk: (-ranking[chunk], chunk))[:limit]
        chunks = self._reader.chunks(best)
        sources = {
            name: {hit.chunk: (rank, hit.score) for rank, hit in enumerate(hits, start=1)}
            for name, hits in found.items()
        }
        shown = self._as_shown(chunks)
        results = tuple(
            SearchResult(
                shown[chunk],
                ranking[chunk],
                {name: places[chunk] for name, places in sources.items() if chunk in places},
                (chunks[chunk].start, chunks[chunk].end),
            )
            for chunk in best
            if chunk in chunks
        )
        return SearchResponse(text, self.release.id, (time.perf_counter() - started) * 1000, results)

    def _as_shown(self, chunks: Mapping[str, Chunk]) -> dict[str, Chunk]:
        """Return chunks as a reader sees them: where a passage stands for its clause, with the clause's text."""
        with_parents = {chunk.document for chunk in chunks.values() if chunk.parent}
        texts = {document: text for document in with_parents if (text := self.document_text(document)) is not None}
        return {
            name: as_shown(chunk, texts[chunk.document]) if chunk.document in texts else chunk
            for name, chunk in chunks.items()
        }

    def rerank(self, query: str, ranking: Mapping[str, float], seconds: float | None) -> dict[str, float]:
        """Re-order the head of a fused ranking with the release's re-ranker (``indexing.reranking.rerank``)."""
        by = self.release.reranker
        if by is None or self.reranker is None:
            return dict(ranking)
        by = replace(by, depth=min(by.depth, self._settings.search.rerank_depth))
        return rerank(query, ranking, by, self.reranker, self._reader.chunks, seconds)

    def close(self) -> None:
        """Release files and connections."""
        self._reader.close()
        if self._held is not None:
            self._held.close()


def _one_per_clause(ranking: Mapping[str, float], clause_of: Callable[[str], Hashable]) -> dict[str, float]:
    """Return a ranking with the best passage of every clause alone; ties go by id, as in every ranking."""
    best: dict[Hashable, str] = {}
    for chunk in sorted(ranking, key=lambda c: (-ranking[c], c)):
        best.setdefault(clause_of(chunk), chunk)
    return {chunk: ranking[chunk] for chunk in best.values()}
