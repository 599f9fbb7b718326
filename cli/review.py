"""``specmine review``: people decide what the rules could not, on the terminal or by another program."""

from __future__ import annotations

import os
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from cyclopts import App

from cli.parameters import Given
from cli.session import Session

if TYPE_CHECKING:
    from evaluation.catalogue import Catalogue
    from mining.ledger import Ledger

review = App(name="review", help="People decide what the rules could not: is a passage a negative, or right too?")

KEYS = {"n": "negative", "r": "relevant", "d": "duplicate", "u": "unsure"}
_SKIP, _QUIT = "s", ("q", "\x04")  # the second is Ctrl-D


@review.default
def review_queue(*, limit: int | None = None, reviewer: str | None = None, session: Given) -> None:
    """Go through the doubtful passages of the newest ledger, the most worthwhile first; with --json list them.

    Parameters
    ----------
    limit
        How many to show; all by default.
    reviewer
        Who decides; the name you are logged in with by default.
    """
    from evaluation.catalogue import Catalogue
    from flows.review import login, waiting
    from indexing.home import SpecmineError

    settings = session.settings()
    with closing(Catalogue(settings.catalogue_url())) as book:
        ledger, result = waiting(settings, book, limit)
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
            _ask(session, book, ledger, result, reviewer or login())


@review.command(name="decide")
def decide(query: str, passage: str, verdict: str, *, reviewer: str | None = None, session: Given) -> None:
    """Decide about one passage of the newest ledger; of several decisions about a passage the last counts.

    Parameters
    ----------
    query
        The query's id.
    passage
        The passage's id, as `specmine review --json` or `specmine ledger show` gives it.
    verdict
        negative, relevant (right too), duplicate (repeats the judged passage) or unsure.
    reviewer
        Who decides; the name you are logged in with by default.
    """
    from flows.review import decide_one

    result = decide_one(session.settings(), query, passage, verdict, reviewer)
    made = result["decision"]
    told = f"{query}, {made['document']}: {verdict}, decided by {made['reviewer']}"
    session.emit(result, lambda console: console.print(told))


def _ask(session: Session, book: Catalogue, ledger: Ledger, result: dict[str, Any], reviewer: str) -> None:
    """Show one row after the other; each answer is in the catalogue before the next row is shown."""
    from cli.show import review as show
    from mining.review import decide

    decided = 0
    with _keys() as keys:
        for number, entry in enumerate(result["queue"], start=1):
            show.pair(session.console, entry, number, len(result["queue"]))
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
