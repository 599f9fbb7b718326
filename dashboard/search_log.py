"""The log of searches, written behind the answers: nobody waits for it, and no search fails because of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import TypeVar

from evaluation.catalogue import Catalogue
from evaluation.database import CatalogueError
from evaluation.searches import Event, Origin, Search, Shown, new_search_id
from indexing.search_results import SearchResponse, SearchResult

T = TypeVar("T")

log = logging.getLogger(__name__)

_MOST_WAITING = 1000  # entries in memory, while another program holds the catalogue


def as_logged(answer: SearchResponse, seen: Sequence[SearchResult], origin: Origin) -> Search:
    """Return what is logged of an answer, given its results in the order in which they are seen.

    Of a clause that is shown for a small passage, the passage is logged. Raises ValueError for a query that cannot be
    stored.
    """
    return Search(
        new_search_id(),
        datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        answer.query,
        answer.release,
        origin,
        answer.milliseconds,
        tuple(
            Shown(rank, result.chunk.document, *result.passage, result.chunk.id, result.score)
            for rank, result in enumerate(seen, start=1)
        ),
    )


class SearchLog:
    """Writes to the catalogue in one thread of its own, in order; keeps searches for ``keep_days``, none with 0."""

    def __init__(self, catalogue: Catalogue, keep_days: int) -> None:
        self._catalogue = catalogue
        self._keep_days = keep_days
        self._writer = ThreadPoolExecutor(1, "search-log")
        self._room = BoundedSemaphore(_MOST_WAITING)
        self._submit(lambda: _told(lambda: catalogue.forget_searches(keep_days), "old searches were not removed"))

    def add(self, answer: SearchResponse, seen: Sequence[SearchResult], origin: Origin) -> str | None:
        """Log an answer, soon; return the id under which its events are recorded, None where it is not logged."""
        if not self._keep_days:
            return None
        try:
            search = as_logged(answer, seen, origin)
            self._submit(
                lambda: _told(lambda: self._catalogue.record_search(search, self._keep_days), "a search was not logged")
            )
        except (CatalogueError, ValueError) as error:
            log.warning("a search was not logged: %s", error)
            return None
        return search.id

    def record_event(self, search: str, rank: int, event: Event) -> Future[bool]:
        """Record what was done with a result, after its search; tell whether the log has it.

        Raises CatalogueError, at once or from the future, where it cannot be written.
        """
        return self._submit(lambda: self._catalogue.record_event(search, rank, event))

    def close(self) -> None:
        """Wait until everything is written."""
        self._writer.shutdown()

    def _submit(self, write: Callable[[], T]) -> Future[T]:
        if not self._room.acquire(blocking=False):
            raise CatalogueError(f"{_MOST_WAITING} entries of the log of searches wait to be written")
        future = self._writer.submit(write)
        future.add_done_callback(lambda _: self._room.release())
        return future


def _told(write: Callable[[], object], failed: str) -> None:
    """Write; where that fails, say so in one line that does not tell the query."""
    try:
        write()
    except CatalogueError as error:
        log.warning("%s: %s", failed, error)
