"""Where candidate negatives come from: the family of sources.

A source takes what was retrieved for a block of queries and returns runs by name, each with every query of the block.
The ledger records the rank and the score that each run gives a candidate.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from indexing.fusion import Run
from indexing.hyperbolic import hyperbolic_name
from indexing.stores.store import BM25
from mining.candidates import RUN_DEPTH, Retrieved

if TYPE_CHECKING:
    from mining.settings import MineSettings

Source = Callable[[Retrieved, "MineSettings"], dict[str, Run]]


def _bm25(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """What shares words with the query."""
    return {BM25: retrieved.runs[BM25]}


def _encoder(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """Each encoder's nearest neighbours, with its present query side: a run for each encoder."""
    return {name: retrieved.runs[name] for name in retrieved.encoders}


def _hyperbolic(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """Each encoder's nearest neighbours by the distance of the Poincaré ball, which reads norms: a run for each."""
    names = [hyperbolic_name(name) for name in retrieved.encoders]
    return retrieved.retriever.runs(retrieved.queries, max(RUN_DEPTH, settings.depth), only=names)


def _ensemble(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """What all of them together rank highest."""
    return {"ensemble": retrieved.ensemble}


def _in_document(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """Other clauses of the documents that hold the judged passages, as the ensemble ranks them."""
    document_of = retrieved.retriever.documents_of
    run: Run = {}
    for query, votes in retrieved.ensemble.items():
        judged = retrieved.positives.get(query, ())
        documents = set(document_of(judged))
        found = [chunk for chunk in votes if chunk not in judged]
        run[query] = {
            chunk: votes[chunk]
            for chunk, document in zip(found, document_of(found), strict=True)
            if document in documents
        }
    return {"in_document": run}


def _sibling(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """The same clause in sister documents and other editions, by likeness to the judged passage."""
    corpus = retrieved.corpus
    run: Run = {}
    for query in retrieved.queries:
        likeness: dict[str, float] = {}
        for judged in retrieved.positives.get(query, ()):
            for chunk, score in corpus.clauses.like(corpus.chunks[judged]).items():
                likeness[chunk] = max(score, likeness.get(chunk, 0.0))
        run[query] = likeness
    return {"sibling": run}


def _random(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """Draw chunks with equal chance: twice what the random share needs, for some will be judged passages."""
    share = settings.random_share
    count = 2 * round(settings.per_query * share / (1 - share)) + 2 if share else 0
    run: Run = {}
    for query in retrieved.queries:
        # Seeded by the query, so that a draw depends neither on the other queries nor on their order.
        dice = random.Random(f"{settings.seed}\0{query}")  # noqa: S311 - no secret
        draws = retrieved.corpus.draw(dice, count)
        run[query] = {chunk: -float(place) for place, chunk in enumerate(draws)}
    return {"random": run}


def _feedback(retrieved: Retrieved, settings: MineSettings) -> dict[str, Run]:
    """What searchers were shown for the same words and passed over, or marked as wrong, the oftenest first."""
    return {"feedback": {query: retrieved.feedback.get(query, {}) for query in retrieved.queries}}


SOURCES: dict[str, Source] = {
    "random": _random,
    "bm25": _bm25,
    "encoder": _encoder,
    "hyperbolic": _hyperbolic,
    "ensemble": _ensemble,
    "in_document": _in_document,
    "sibling": _sibling,
    "feedback": _feedback,
}
