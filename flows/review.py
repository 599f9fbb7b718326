"""People in the loop: the doubtful rows of the newest ledger, on the terminal or for another program."""

from __future__ import annotations

import getpass
import os
import sys
import termios
import tty
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

from chunking.document import Chunk
from evaluation.catalogue import Catalogue
from flows import show_review
from flows.ledgers import rows_json
from flows.output import Session
from flows.settings import Settings
from indexing.home import SpecmineError
from mining.ledger import Ledger, LedgerQuery, read_ledger
from mining.passages import ledger_passages, passage_json
from mining.review import decide, review_queue
from mining.shingles import jaccard, shingles

KEYS = {"n": "negative", "r": "relevant", "d": "duplicate", "u": "unsure"}
_SKIP, _QUIT = "s", ("q", "\x04")  # the second is Ctrl-D


def review(session: Session, settings: Settings, limit: int | None, reviewer: str | None) -> None:
    """Go through the queue on the terminal, one key for each row; with --json list it.

    Every decision is in the catalogue before the next row is shown.
    """
    with closing(Catalogue(settings.catalogue_url())) as book:
        ledger, result = _waiting(settings, book, limit)
        if session.json:
            session.emit(result, lambda console: None)
        elif not result["queue"]:
            session.console.print(f"nothing waits for a review in ledger {ledger.id}")
        elif not (sys.stdin.isatty() and session.console.is_terminal):
            raise SpecmineError(
                "a review needs a terminal; without one, `specmine review --json` lists the queue and "
                "`specmine review decide QUERY PASSAGE VERDICT` decides"
            )
        else:
            _ask(session, book, ledger, result, reviewer or _login())


def decide_one(settings: Settings, query: str, chunk: str, answer: str, reviewer: str | None) -> dict[str, Any]:
    """Decide one passage of the newest ledger; return the decision and what was decided about it before."""
    ledger = read_ledger(settings.open_home())
    with closing(Catalogue(settings.catalogue_url())) as book:
        made = decide(book, ledger, query, chunk, answer, reviewer or _login())
        place = (made.query, made.document, made.start, made.end)
        history = [d for d in book.decision_history() if (d.query, d.document, d.start, d.end) == place]
    return {"decision": asdict(made), "before": [asdict(decision) for decision in history[:-1]]}


def _waiting(settings: Settings, book: Catalogue, limit: int | None) -> tuple[Ledger, dict[str, Any]]:
    """Return the newest ledger, and its queue as values: how many rows wait, and the first ``limit`` of them."""
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


def _ask(session: Session, book: Catalogue, ledger: Ledger, result: dict[str, Any], reviewer: str) -> None:
    """Show one row after the other, and record what is answered."""
    decided = 0
    with _keys() as keys:
        for number, entry in enumerate(result["queue"], start=1):
            show_review.pair(session.console, entry, number, len(result["queue"]))
            key = next((key for key in keys if key in (*KEYS, _SKIP, *_QUIT)), _QUIT[0])
            if key in _QUIT:
                break
            if key in KEYS:
                decide(book, ledger, entry["query"], entry["chunk"], KEYS[key], reviewer)
                decided += 1
            session.console.print(f"[bold]{KEYS.get(key, 'skipped')}[/bold]\n")
    session.console.print(
        f"{decided} decided, {result['waiting'] - decided} still wait; every later `specmine mine` keeps to them"
    )


def _most_alike(query: LedgerQuery | None, candidate: Chunk | None, chunks: Mapping[str, Chunk]) -> Chunk | None:
    """Return the judged passage that shares most with the candidate; the first, where none shares anything."""
    judged = [chunks[chunk] for chunk in (query.positives if query else ()) if chunk in chunks]
    if candidate is None:
        return next(iter(judged), None)
    own = shingles(candidate.text)
    return max(judged, key=lambda chunk: jaccard(shingles(chunk.text), own), default=None)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers
        raise SpecmineError("who reviews? give --reviewer NAME") from None


@contextmanager
def _keys() -> Iterator[Iterator[str]]:
    """Yield the keys as they are pressed, without Enter; the terminal is as before when the block ends."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield _pressed(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _pressed(terminal: int) -> Iterator[str]:
    while pressed := os.read(terminal, 64):
        if not pressed.startswith(b"\x1b"):  # an arrow or another key that sends several characters
            yield from pressed.decode(errors="ignore")
