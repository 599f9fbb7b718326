"""Search: queries in, ranked chunks out, with every source's rank and score.

A Searcher searches one release. It serves people (``search``) and the referee and the miner (``runs``) alike: what is
measured is what is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from chunking.document import Chunk, as_shown
from indexing.bm25 import query_vector
from indexing.encoders.compute import one_thread
from indexing.exact import exact_run, vector_blocks
from indexing.fusion import Run, fuse
from indexing.geometry_search import nearest_by_geometry
from indexing.home import SpecmineError
from indexing.hyperbolic import hyperbolic_name, hyperbolic_run
from indexing.opened_release import OpenedRelease
from indexing.pca import PCA
from indexing.reranking import rerank
from indexing.search_results import SearchResponse, SearchResult
from indexing.stores.store import BM25, Hit, QueryVectors

Embedded = tuple[np.ndarray, np.ndarray]
"""An encoder's (q, d) float32 unit rows of queries, and their (q,) norms."""

FUSION = "fusion"
RERANKED = "reranked"
_LONGEST_QUERY = 4000


class Searcher(OpenedRelease):
    """One release, open for searching."""

    @cached_property
    def _last_embedded(self) -> dict[str, tuple[list[str], Embedded]]:
        """The queries that each encoder embedded last: a miner asks for a block of queries repeatedly."""
        return {}

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
        """Embed queries with one encoder, unless they are those that it embedded last."""
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
        depth = max(self.settings.search.depth, limit)
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
            ranking = self.rerank(text, ranking, self.settings.search.rerank_seconds)
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
        by = replace(by, depth=min(by.depth, self.settings.search.rerank_depth))
        return rerank(query, ranking, by, self.reranker, self._reader.chunks, seconds)


def _one_per_clause(ranking: Mapping[str, float], clause_of: Callable[[str], Hashable]) -> dict[str, float]:
    """Return a ranking with the best passage of every clause alone; ties go by id, as in every ranking."""
    best: dict[Hashable, str] = {}
    for chunk in sorted(ranking, key=lambda c: (-ranking[c], c)):
        best.setdefault(clause_of(chunk), chunk)
    return {chunk: ranking[chunk] for chunk in best.values()}
