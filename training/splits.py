"""Which queries train, which stop the training, which choose the fusion, and which decide.

No query ever has two of these parts, but that those which stop the training choose the fusion too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from chunking.document import Chunk
from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query, follow_renames, training_splits
from evaluation.leakage import Leak, find_leaks, groups
from evaluation.projection import Projection, project
from indexing.generations import present_names
from indexing.home import SpecmineError
from indexing.search import Searcher
from mining.decisions import confirmed_judgements, decisions_in_force


@dataclass(frozen=True)
class HeldOut:
    """Held-out queries with a judged passage in this index: id → text, what answers them, and id → group."""

    name: str
    texts: dict[str, str]
    projection: Projection
    groups: dict[str, str]

    def only(self, queries: Collection[str]) -> HeldOut:
        """Return some of the queries alone."""
        queries = set(queries)
        return HeldOut(
            self.name,
            {query: text for query, text in self.texts.items() if query in queries},
            part_of(self.projection, queries),
            {query: group for query, group in self.groups.items() if query in queries},
        )

    def drawn(self, count: int) -> HeldOut:
        """Return ``count`` of the queries, drawn by lot and always the same (0: all); more of them hold the fewer."""
        if not 0 < count < len(self.texts):
            return self
        return self.only(self.by_lot()[:count])

    def by_lot(self) -> list[str]:
        """Return the ids of all queries in an order that was drawn by lot and is always the same."""
        ordered: list[str] = np.random.default_rng(0).permutation(sorted(self.texts)).tolist()
        return ordered


@dataclass(frozen=True)
class Splits:
    """The parts of a retraining. ``stopping`` and ``development`` are None without such queries; ``guards`` holds those
    guard splits that have some, by their names.

    ``development`` are training queries that were set aside, with which nothing is trained. ``leaks`` counts the
    training queries that were dropped because they nearly repeat a held-out one, ``stopping_leaks`` the stopping
    queries that nearly repeat one that decides; ``copies`` names all of these pairs, the stopping queries among them as
    ``train``, the most similar first.
    """

    train: tuple[Query, ...]
    train_judgements: tuple[Judgement, ...]
    train_projection: Projection
    stopping: HeldOut | None
    verdict: HeldOut
    guards: dict[str, HeldOut]
    leaks: int
    stopping_leaks: int
    copies: tuple[Leak, ...] = ()
    development: HeldOut | None = None


# Fewer queries than this choose and decide nothing that holds.
FEWEST = 30


def split_queries(
    searcher: Searcher, catalogue: Catalogue, synthetic: bool = False, development: float = 0.0
) -> Splits:
    """Give every judged query of the catalogue its part.

    The verdict is found on ``test`` where it is judged, else on ``dev``. Training stops by ``dev`` when the verdict is
    on ``test``; else by nothing, for every training query that is set aside is one less to learn from. Then the share
    ``development`` of the training queries is set aside to choose the fusion with: always the same ones, those that
    come in later being drawn for themselves; none where they would be fewer than 30. What people found relevant in a
    review is judged too, of training queries alone. With ``synthetic`` the generated queries train as well; they can
    have no other part. Raises SpecmineError when a part would be empty.
    """
    renamed = present_names(searcher.documents)

    def judged(split: str) -> list[Judgement]:
        return follow_renames(catalogue.judgements(split), renamed)

    test = _held_out(searcher, "test", catalogue.queries("test"), judged("test"))
    dev_queries, dev_judgements = catalogue.queries("dev"), judged("dev")
    dev = _held_out(searcher, "dev", dev_queries, dev_judgements)
    verdict = test or dev
    if verdict is None:
        raise SpecmineError(
            "no dev or test query has a judged passage in this index, so no gain could be proved: "
            "import one of these splits with `specmine judgements import`, or ingest the judged documents"
        )
    found_guards = {
        split: _held_out(searcher, split, catalogue.queries(split), judged(split)) for split in catalogue.guards()
    }
    guards = {split: guard for split, guard in found_guards.items() if guard}
    decisive = [query for part in (verdict, *guards.values()) for query in _queries(part)]

    learned = training_splits(synthetic)
    train = [query for split in learned for query in catalogue.queries(split)]
    judgements = [judgement for split in learned for judgement in judged(split)]
    kept, copies = _without_copies(train, decisive)
    stopping_copies: list[Leak] = []
    stopping: HeldOut | None = None
    if test is not None and dev is not None:
        stopping_queries, stopping_copies = _without_copies(dev_queries, decisive)
        stopping = _held_out(searcher, "dev", stopping_queries, dev_judgements)
    if stopping is not None:
        kept, more = _without_copies(kept, _queries(stopping))
        copies += more
    development_part: HeldOut | None = None
    if stopping is None:
        drawn = [query for query in kept if query.split == "train" and _draw(query.id) < development]
        found = _held_out(searcher, "train", drawn, judgements)
        if found is not None and len(found.texts) >= FEWEST:
            development_part = found
            others = [query for query in kept if query.id not in found.texts]
            kept, more = _without_copies(others, _queries(found))
            copies += more
    aside = len(development_part.texts) if development_part else 0
    if not kept:
        raise SpecmineError(
            "no training query is left: import a train split with `specmine judgements import`, or let synthetic ones "
            "train ([mine] synthetic = true, after `specmine queries generate`)"
        )
    kept_ids = {query.id for query in kept}
    judgements = _of(kept, judgements) + confirmed_judgements(kept_ids, decisions_in_force(catalogue, renamed))
    projection = project(judgements, _judged_chunks(searcher, judgements), searcher.document_text)
    return Splits(
        tuple(kept),
        tuple(judgements),
        projection,
        stopping,
        verdict,
        guards,
        leaks=len(train) - aside - len(kept),
        stopping_leaks=len({copy.train for copy in stopping_copies}),
        copies=tuple(sorted([*copies, *stopping_copies], key=lambda copy: (-copy.similarity, copy.train))),
        development=development_part,
    )


def part_of(projection: Projection, queries: Collection[str]) -> Projection:
    """Return what answers some of the queries of a projection."""
    return Projection(
        {query: units for query, units in projection.units.items() if query in queries},
        {query: hits for query, hits in projection.hits.items() if query in queries},
        projection.excluded,
        projection.unmapped,
    )


def _held_out(
    searcher: Searcher, name: str, queries: Sequence[Query], judgements: Iterable[Judgement]
) -> HeldOut | None:
    """Return the queries that have a passage to be found, None when there is none."""
    own = _of(queries, judgements)
    projection = project(own, _judged_chunks(searcher, own), searcher.document_text) if own else None
    if projection is None or not projection.units:
        return None
    of_query = groups(queries, own)
    texts = {query.id: query.text for query in queries if query.id in projection.units}
    return HeldOut(name, texts, projection, {query: of_query[query] for query in texts})


def _judged_chunks(searcher: Searcher, judgements: Iterable[Judgement]) -> Iterator[Chunk]:
    return searcher.chunks.of_documents(judgement.document for judgement in judgements)


def _draw(query: str) -> float:
    """Return a number in [0, 1) that depends on a query's id alone."""
    return int.from_bytes(hashlib.blake2b(query.encode(), digest_size=8).digest()) / 2**64


def _without_copies(queries: Sequence[Query], held_out: Sequence[Query]) -> tuple[list[Query], list[Leak]]:
    """Drop the queries that nearly repeat a held-out one; return the others, and what the dropped ones repeat."""
    leaks = find_leaks(queries, held_out)
    copies = {leak.train for leak in leaks}
    return [query for query in queries if query.id not in copies], leaks


def _of(queries: Sequence[Query], judgements: Iterable[Judgement]) -> list[Judgement]:
    ids = {query.id for query in queries}
    return [judgement for judgement in judgements if judgement.query in ids]


def _queries(held_out: HeldOut) -> list[Query]:
    return [Query(id, text, "dev") for id, text in held_out.texts.items()]
