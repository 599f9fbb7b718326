"""Which queries train, which stop the training, and which decide: no query ever has two of these parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query, follow_renames
from evaluation.leakage import find_leaks, groups
from evaluation.projection import Projection, project
from evaluation.split import carve
from indexing.generations import present_names
from indexing.home import SpecmineError
from indexing.search import Searcher

# The share of the training queries that stops the training, where no split of its own is there for it; more than so
# many would tell little more, and every query set aside is one less to learn from.
STOPPING_SHARE = 0.1
MOST_STOPPING = 150


@dataclass(frozen=True)
class HeldOut:
    """Held-out queries with a judged passage in this index: id → text, what answers them, and id → group."""

    name: str
    texts: dict[str, str]
    projection: Projection
    groups: dict[str, str]


@dataclass(frozen=True)
class Splits:
    """The parts of a retraining. ``guard`` is None without such queries.

    ``leaks`` counts the training queries that were dropped because they nearly repeat a held-out one,
    ``stopping_leaks`` the stopping queries that nearly repeat one that decides.
    """

    train: tuple[Query, ...]
    train_judgements: tuple[Judgement, ...]
    train_projection: Projection
    stopping: HeldOut
    verdict: HeldOut
    guard: HeldOut | None
    leaks: int
    stopping_leaks: int


def split_queries(searcher: Searcher, catalogue: Catalogue) -> Splits:
    """Give every judged query of the catalogue its part.

    The verdict is found on ``test`` where it is judged, else on ``dev``. Training stops by ``dev`` when the verdict is
    on ``test``, else by a tenth of ``train`` (at most 150 queries), near-copies together. Raises SpecmineError when a
    part would be empty.
    """

    def judged(split: str) -> list[Judgement]:
        return follow_renames(catalogue.judgements(split), present_names(searcher.documents))

    test = _held_out(searcher, "test", catalogue.queries("test"), judged("test"))
    dev_queries, dev_judgements = catalogue.queries("dev"), judged("dev")
    dev = _held_out(searcher, "dev", dev_queries, dev_judgements)
    verdict = test or dev
    if verdict is None:
        raise SpecmineError(
            "no dev or test query has a judged passage in this index, so no gain could be proved: "
            "import one of these splits with `specmine judgements import`, or ingest the judged documents"
        )
    guard = _held_out(searcher, "guard", catalogue.queries("guard"), judged("guard"))
    decisive = _queries(verdict) + (_queries(guard) if guard else [])

    train, judgements = catalogue.queries("train"), judged("train")
    kept, leaks = _without_copies(train, decisive)
    stopping_leaks = 0
    stopping: HeldOut | None = None
    if test is not None and dev is not None:
        stopping_queries, stopping_leaks = _without_copies(dev_queries, decisive)
        stopping = _held_out(searcher, "dev", stopping_queries, dev_judgements)
    if stopping is not None:
        kept, more = _without_copies(kept, _queries(stopping))
        leaks += more
    else:
        kept, stopping = _carve(searcher, kept, judgements)
    if not kept:
        raise SpecmineError("no training query is left: import a train split with `specmine judgements import`")
    judgements = _of(kept, judgements)
    projection = project(judgements, searcher.chunks.values(), searcher.document_text)
    return Splits(tuple(kept), tuple(judgements), projection, stopping, verdict, guard, leaks, stopping_leaks)


def _carve(
    searcher: Searcher, queries: Sequence[Query], judgements: Sequence[Judgement]
) -> tuple[list[Query], HeldOut]:
    try:
        train, held = carve(queries, min(STOPPING_SHARE, MOST_STOPPING / max(1, len(queries))))
    except ValueError as error:
        raise SpecmineError(
            f"no queries can be set aside of the {len(queries)} training queries to stop by ({error}): "
            "import more of them, or a dev split beside a test split"
        ) from None
    stopping = _held_out(searcher, f"{len(held)} of train", held, judgements)
    if stopping is None:
        raise SpecmineError("none of the training queries set aside to stop by has a judged passage in this index")
    return train, stopping


def _held_out(
    searcher: Searcher, name: str, queries: Sequence[Query], judgements: Iterable[Judgement]
) -> HeldOut | None:
    """Return the queries that have a passage to be found, None when there is none."""
    own = _of(queries, judgements)
    projection = project(own, searcher.chunks.values(), searcher.document_text) if own else None
    if projection is None or not projection.units:
        return None
    of_query = groups(queries, own)
    texts = {query.id: query.text for query in queries if query.id in projection.units}
    return HeldOut(name, texts, projection, {query: of_query[query] for query in texts})


def _without_copies(queries: Sequence[Query], held_out: Sequence[Query]) -> tuple[list[Query], int]:
    """Drop the queries that nearly repeat a held-out one; return the others and how many were dropped."""
    copies = {leak.train for leak in find_leaks(queries, held_out)}
    kept = [query for query in queries if query.id not in copies]
    return kept, len(queries) - len(kept)


def _of(queries: Sequence[Query], judgements: Iterable[Judgement]) -> list[Judgement]:
    ids = {query.id for query in queries}
    return [judgement for judgement in judgements if judgement.query in ids]


def _queries(held_out: HeldOut) -> list[Query]:
    return [Query(id, text, "dev") for id, text in held_out.texts.items()]
