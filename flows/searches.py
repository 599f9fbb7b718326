"""The log of searches: written for the command line, listed, and made judgements of."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import asdict
from typing import Any

from dashboard.search_log import as_logged
from evaluation.catalogue import Catalogue
from evaluation.database import CatalogueError
from evaluation.judgements import Judgement, Query, follow_renames
from evaluation.searches import CONFIRMED, WRONG, Place, feedback, normalise_query
from flows.opened import catalogue, opened
from flows.settings import Settings
from indexing.generations import present_names
from indexing.home import SpecmineError
from indexing.search_results import SearchResponse

FROM_SEARCHES = "search:"
"""What the ids of queries begin with that come from the log."""

_WAIT = 1.0  # seconds; the answer stands already, and who asked waits for nothing else


def log_answer(settings: Settings, answer: SearchResponse) -> str | None:
    """Log an answer of the command line; return why it could not be, in one line."""
    if not settings.search.log_days:
        return None
    try:
        search = as_logged(answer, answer.results, "cli")
        with closing(Catalogue(settings.catalogue_url(), _WAIT)) as book:
            book.record_search(search, settings.search.log_days)
    except (CatalogueError, ValueError) as error:
        return str(error)
    return None


def list_searches(settings: Settings, limit: int) -> dict[str, Any]:
    """Return the latest searches with their results and what was done with them, and how many are logged in all."""
    if limit < 0:
        raise SpecmineError(f"the limit must be 0 or more, not {limit}")
    with catalogue(settings) as book:
        book.forget_searches(settings.search.log_days)
        listed, total = book.searches(limit), book.count_searches()
    return {
        "total": total,
        "searches": [
            {
                "id": search.id,
                "time": search.time,
                "query": search.query,
                "release": search.release,
                "origin": search.origin,
                "milliseconds": round(search.milliseconds, 1),
                "shown": len(search.shown),
                "opened": sum(passage.opened for passage in search.shown),
                "confirmed": sum(passage.verdict == CONFIRMED for passage in search.shown),
                "wrong": sum(passage.verdict == WRONG for passage in search.shown),
                "results": [asdict(passage) for passage in search.shown],
            }
            for search in listed
        ],
    }


def import_confirmed(settings: Settings) -> dict[str, Any]:
    """Make training judgements of what searchers confirmed, and return which, and what was left alone.

    A query that is in ``train`` with the same words gets the judgement besides its own, else a new one is made. What a
    searcher confirmed for the words of a held-out query is left alone: it must neither measure nor train. What was
    imported for a query of the log and found wrong since is withdrawn.
    """
    with opened(settings) as searcher, catalogue(settings) as book:
        book.forget_searches(settings.search.log_days)
        renamed = present_names(searcher.documents)
        learned = feedback(book.searches(with_feedback=True), searcher.document_text, renamed)
        train = {normalise_query(query.text): query for query in book.queries("train")}
        held_out = {normalise_query(q.text) for split in book.splits() if split != "train" for q in book.queries(split)}
        judged: dict[str, list[Judgement]] = {}
        for judgement in follow_renames(book.judgements("train"), renamed):
            judged.setdefault(judgement.query, []).append(judgement)

        queries: list[Query] = []
        judgements: list[Judgement] = []
        added: list[tuple[Query, Judgement]] = []
        counts = dict.fromkeys(("known", "withdrawn", "held_out", "lost"), 0)
        for words, told in sorted(learned.items()):
            verdicts = {place: entry.verdict for place, entry in told.places.items()}
            confirmed = [place for place, verdict in verdicts.items() if verdict == CONFIRMED]
            if words in held_out:
                counts["held_out"] += bool(confirmed)
                continue
            counts["lost"] += told.lost
            query = train.get(words) or Query(_id_of(words), told.text, "train")
            before = judged.get(query.id, [])
            kept = [entry for entry in before if not (_from_log(entry) and verdicts.get(_place(entry)) == WRONG)]
            known = {_place(entry) for entry in kept}
            new = [Judgement(query.id, document, 1, start, end) for document, start, end in confirmed]
            new = [entry for entry in new if _place(entry) not in known]
            counts["known"] += len(confirmed) - len(new)
            counts["withdrawn"] += len(before) - len(kept)
            if new or len(kept) < len(before):
                queries.append(query)
                judgements += [*kept, *new]
                added += [(query, entry) for entry in new]
        imported = book.import_split("train", queries, judgements)
    return {
        "split": "train",
        "queries": imported.queries,
        "new_queries": imported.new_queries,
        **counts,
        "imported": [
            {"query": query.id, "text": query.text, "document": entry.document, "span": [entry.start, entry.end]}
            for query, entry in added
        ],
    }


def _id_of(words: str) -> str:
    return FROM_SEARCHES + hashlib.sha256(words.encode()).hexdigest()[:16]


def _from_log(judgement: Judgement) -> bool:
    return judgement.query.startswith(FROM_SEARCHES)


def _place(judgement: Judgement) -> Place:
    """Return a judgement's span; what is judged otherwise has an empty one, which no search shows."""
    return judgement.document, judgement.start or 0, judgement.end or 0
