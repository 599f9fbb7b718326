"""The doubtful rows of the newest ledger that wait for a person, and what a person decides about one."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

from chunking.document import Chunk
from evaluation.catalogue import Catalogue
from flows.ledgers import rows_json
from flows.settings import Settings
from indexing.home import SpecmineError
from mining.ledger import Ledger, LedgerQuery, read_ledger
from mining.passages import ledger_passages, passage_json
from mining.review import decide, review_queue
from mining.shingles import jaccard, shingles


def waiting(settings: Settings, book: Catalogue, limit: int | None) -> tuple[Ledger, dict[str, Any]]:
    """Return the newest ledger, and its queue: how many rows wait, and the first ``limit`` of them.

    Raises SpecmineError when there is no ledger, or the limit is below 0.
    """
    if limit is not None and limit < 0:
        raise SpecmineError(f"the limit must be 0 or more, not {limit}")
    home = settings.open_home()
    ledger = read_ledger(home)
    queue = review_queue(ledger, book.decisions())
    chunks: Mapping[str, Chunk] = ledger_passages(home, ledger) if queue else {}
    queries = {query.id: query for query in ledger.queries}
    entries = []
    for doubtful in queue[:limit]:
        (entry,) = rows_json([doubtful.row], queries, chunks)
        candidate = chunks.get(doubtful.row.chunk)
        judged = _most_alike(queries.get(doubtful.row.query), candidate, chunks)
        entries.append(
            {
                **entry,
                "value": round(doubtful.value, 4),
                "disagreement": round(doubtful.disagreement, 4),
                "retrieved": doubtful.retrieved,
                "candidate": passage_json(candidate) if candidate else None,
                "judged": passage_json(judged) if judged else None,
            }
        )
    return ledger, {"ledger": ledger.id, "waiting": len(queue), "queue": entries}


def decide_one(settings: Settings, query: str, chunk: str, answer: str, reviewer: str | None) -> dict[str, Any]:
    """Decide one passage of the newest ledger; return the decision and what was decided about it before."""
    ledger = read_ledger(settings.open_home())
    with closing(Catalogue(settings.catalogue_url())) as book:
        made = decide(book, ledger, query, chunk, answer, reviewer or login())
        place = (made.query, made.document, made.start, made.end)
        history = [d for d in book.decision_history() if (d.query, d.document, d.start, d.end) == place]
    return {"decision": asdict(made), "before": [asdict(decision) for decision in history[:-1]]}


def login() -> str:
    """Return the name of who is logged in. Raises SpecmineError for a user without one."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        raise SpecmineError("who reviews? give --reviewer NAME") from None


def _most_alike(query: LedgerQuery | None, candidate: Chunk | None, chunks: Mapping[str, Chunk]) -> Chunk | None:
    """Return the judged passage that shares most with the candidate; the first, where none shares anything."""
    judged = [chunks[chunk] for chunk in (query.positives if query else ()) if chunk in chunks]
    if candidate is None:
        return next(iter(judged), None)
    own = shingles(candidate.text)
    return max(judged, key=lambda chunk: jaccard(shingles(chunk.text), own), default=None)
