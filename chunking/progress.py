"""Which page a reader is at: told before the page is read, so that the reason of a crash or a hang can name it."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[int | None], None]


def _nobody(page: int | None) -> None:
    """Listen to nothing."""


_listener: Listener = _nobody


def listen(listener: Listener) -> None:
    """Have ``listener`` told of every page from now on, in this process; it replaces the one before."""
    global _listener
    _listener = listener


def at_page(page: int | None) -> None:
    """Say that this page is read next; None once all are read."""
    _listener(page)
