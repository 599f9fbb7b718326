"""The nouns of mining: what was retrieved, a candidate negative, and a query with its candidates.

The idea of taking candidates from an ensemble of retrievers rather than one is that of arXiv 2411.02404 and 2505.18366.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from chunking.document import Chunk
from indexing.fusion import Run, fuse
from indexing.generations import Generation
from indexing.pca import PCA
from indexing.releases import Release
from indexing.stores.store import BM25
from mining.clauses import ClauseIndex

Ranking = dict[str, tuple[int, float]]

# How deep every source is searched: ranks are recorded and positives looked for as far down as this.
RUN_DEPTH = 200


class Retriever(Protocol):
    """What mining needs of ``indexing.search.Searcher``: a release that is open for searching."""

    release: Release
    generation: Generation

    @property
    def chunks(self) -> Mapping[str, Chunk]:
        """All chunks of the content by id; each may be read from disk when it is asked for."""
        ...

    def runs(self, queries: Mapping[str, str], depth: int = 200, only: Collection[str] | None = None) -> dict[str, Run]:
        """Return the best ``depth`` chunks of each query (id to text) by each of the sources ``only``."""
        ...

    def embed(self, queries: Sequence[str]) -> dict[str, np.ndarray]:
        """Return every encoder's vectors of the queries, (q, d) float32 unit rows."""
        ...

    def read(self, chunks: Iterable[str]) -> dict[str, Chunk]:
        """Return the chunks with these ids; many together are read sooner than one by one from ``chunks``."""
        ...

    def documents_of(self, chunks: Sequence[str]) -> list[str]:
        """Return the document of each of the chunks with these ids, without reading their texts."""
        ...

    def chunk_vectors(self, encoder: str, chunks: Sequence[str]) -> np.ndarray:
        """Return an encoder's vectors of the chunks with these ids, (n, d) float32 unit rows."""
        ...


@dataclass(slots=True)
class Candidate:
    """One chunk that may become a negative of a query; ``verdict`` is None while nothing has been decided.

    ``found`` maps each source that ranks the chunk to (rank from 1, score). ``ensemble`` is the soft vote in [0, 1] and
    ``rank`` the chunk's place by it, both None when no list of the vote holds the chunk. ``drawn`` tells that only
    chance proposed it; ``preferred_by`` names those of BM25 and the encoders that rank it above every judged passage.
    ``cross`` is the cross-encoder's logit, if it was asked, and ``probability`` what that is worth on this corpus where
    it could be calibrated; ``without_cross`` says why it does not count, ``over_budget`` that it had no time for this
    one. ``to_query`` and ``to_judged`` are its cosines with the query and with the judged passage most like it,
    ``to_each_judged`` those with each judged passage, and ``evidence`` in [0, 1] is how much speaks for its being an
    answer; all of these only where a filter asks for them.
    """

    chunk: Chunk
    found: Ranking
    ensemble: float | None
    rank: int | None
    drawn: bool
    preferred_by: tuple[str, ...]
    cross: float | None = None
    probability: float | None = None
    without_cross: str = ""
    over_budget: bool = False
    to_query: float | None = None
    to_judged: float | None = None
    to_each_judged: tuple[float, ...] = ()
    evidence: float | None = None
    verdict: str | None = None
    reason: str = ""
    reviewer: str | None = None


@dataclass(slots=True)
class Case:
    """A query with its judged passages and its candidates.

    ``positives`` are the chunks that hold a judged span, first the one that the ensemble ranks highest, and
    ``positive_votes`` the ensemble's (rank, score) of each, None where no list of the vote holds it; ``spans`` are the
    judged spans themselves as (document, start, end). ``encoders`` names those that searched. ``positive_cross`` are
    the logits of the first positives, empty where the cross-encoder was not asked, and ``positive_cross_ranks`` the
    ensemble's ranks of these. ``query_to_judged`` is the query's cosine with the judged passage nearest to it, where a
    filter asks for it; ``learned_from`` counts the planted answers that the candidates' evidence was learned from
    (``mining.learned``), 0 where it was not.
    """

    query: str
    text: str
    language: str
    positives: tuple[Chunk, ...]
    positive_votes: tuple[tuple[int, float] | None, ...]
    spans: tuple[tuple[str, int, int], ...]
    encoders: tuple[str, ...]
    candidates: list[Candidate]
    positive_cross: list[float] = field(default_factory=list)
    positive_cross_ranks: list[int | None] = field(default_factory=list)
    query_to_judged: float | None = None
    learned_from: int = 0

    def open(self) -> list[Candidate]:
        """Return the candidates nobody has decided about."""
        return [candidate for candidate in self.candidates if candidate.verdict is None]


@dataclass(frozen=True)
class Corpus:
    """All chunks of the index by id. What is made of them is made once, when it is first asked for.

    Memory grows by the length of an id for each chunk, and by what ``ClauseIndex`` says where it is asked for.
    """

    chunks: Mapping[str, Chunk]

    def draw(self, dice: random.Random, count: int) -> list[str]:
        """Draw the ids of ``count`` chunks with equal chance, or of all where there are fewer."""
        ids = self._sorted
        return [ids[place].decode() for place in dice.sample(range(len(ids)), min(count, len(ids)))]

    @cached_property
    def _sorted(self) -> np.ndarray:
        """The ids of all chunks, sorted, as bytes."""
        return np.sort(np.array([chunk.encode() for chunk in self.chunks], dtype="S"))

    @cached_property
    def clauses(self) -> ClauseIndex:
        """Where to find the same clause in other documents."""
        return ClauseIndex(self.chunks)


@dataclass(frozen=True)
class Retrieved:
    """What the sources choose from: one block of queries (id to text), the runs of each, and their judged chunks.

    ``retriever`` is there for the sources that search in their own way; ``feedback`` are passages that searchers passed
    over, with a score (``mining.feedback``).
    """

    queries: Mapping[str, str]
    runs: Mapping[str, Run]
    encoders: tuple[str, ...]
    ensemble: Run
    positives: Mapping[str, Sequence[str]]
    corpus: Corpus
    retriever: Retriever
    feedback: Run = field(default_factory=dict)


def retrieve(
    retriever: Retriever,
    queries: Mapping[str, str],
    positives: Mapping[str, Sequence[str]],
    corpus: Corpus,
    depth: int,
    fusion: str,
    feedback: Run | None = None,
) -> Retrieved:
    """Search for ``queries`` (id to text) and make the ensemble: by ``pca`` or a fusion with the release's weights."""
    passed_over = feedback or {}
    release = retriever.release
    encoders = tuple(sorted(release.encoders))
    depth = max(RUN_DEPTH, depth)
    runs = retriever.runs(queries, depth, only=(BM25, *encoders, *([PCA] if fusion == PCA else [])))
    if fusion == PCA:
        return Retrieved(queries, runs, encoders, runs.pop(PCA), positives, corpus, retriever, passed_over)
    weights = {name: release.fusion.weights.get(name, 0.0) for name in runs}
    ensemble = fuse(fusion, runs, weights if any(weights.values()) else dict.fromkeys(runs, 1.0))
    return Retrieved(queries, runs, encoders, ensemble, positives, corpus, retriever, passed_over)


def find_candidates(retrieved: Retrieved, sources: Mapping[str, Run], depth: int) -> dict[str, list[Candidate]]:
    """Return, for each query, the union of the best ``depth`` chunks that each source found, in order of chunk id.

    A candidate of one source records its rank in every other, however deep.
    """
    found = {query: _propose(retrieved, sources, query, depth) for query in retrieved.queries}
    chunks = retrieved.retriever.read({chunk for proposed, _ in found.values() for chunk in proposed})
    return {
        query: _candidates(retrieved, sources, query, proposed, rankings, chunks)
        for query, (proposed, rankings) in found.items()
    }


def _propose(
    retrieved: Retrieved, sources: Mapping[str, Run], query: str, depth: int
) -> tuple[dict[str, set[str]], dict[str, dict[str, int]]]:
    """Return which sources propose which chunks for a query, and the ranks that each source gives."""
    rankings = {name: ranks(run.get(query, {})) for name, run in sources.items()}
    proposed: dict[str, set[str]] = {}
    for name, ranking in rankings.items():
        for chunk, place in ranking.items():
            if place <= depth or name == "random":
                proposed.setdefault(chunk, set()).add(name)
    return proposed, rankings


def _candidates(
    retrieved: Retrieved,
    sources: Mapping[str, Run],
    query: str,
    proposed: Mapping[str, set[str]],
    rankings: Mapping[str, Mapping[str, int]],
    chunks: Mapping[str, Chunk],
) -> list[Candidate]:
    votes = retrieved.ensemble.get(query, {})
    places = ranks(votes)
    preferred = _preferred(retrieved, query, retrieved.positives.get(query, ()))
    return [
        Candidate(
            chunk=chunks[chunk],
            found={
                name: (ranking[chunk], sources[name][query][chunk])
                for name, ranking in rankings.items()
                if chunk in ranking
            },
            ensemble=votes.get(chunk),
            rank=places.get(chunk),
            drawn=proposed[chunk] == {"random"},
            preferred_by=tuple(name for name, chunks_above in preferred.items() if chunk in chunks_above),
        )
        for chunk in sorted(proposed)
    ]


def _preferred(retrieved: Retrieved, query: str, positives: Collection[str]) -> dict[str, set[str]]:
    """Return what BM25 and each encoder rank above every positive; one outside a list ranks below all in it."""
    preferred: dict[str, set[str]] = {}
    for name in (BM25, *retrieved.encoders):
        scores = retrieved.runs[name].get(query, {})
        bar = max((scores[chunk] for chunk in positives if chunk in scores), default=float("-inf"))
        preferred[name] = {chunk for chunk, score in scores.items() if score > bar}
    return preferred


def ranks(scores: Mapping[str, float]) -> dict[str, int]:
    """Return the rank of each chunk, from 1, best first; equal scores by id."""
    ordered = sorted(sorted(scores), key=scores.__getitem__, reverse=True)  # equal ones stay in order of id
    return dict(zip(ordered, range(1, len(ordered) + 1), strict=True))
