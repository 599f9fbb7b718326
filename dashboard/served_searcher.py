"""The searcher of the served release, for many threads at once; it follows every publication and rollback."""

from __future__ import annotations

import threading

from indexing.home import Home, SpecmineError
from indexing.releases import Release, current
from indexing.search import Searcher
from indexing.search_results import SearchResponse
from indexing.settings import IndexSettings


class ServedSearcher:
    """The searcher of the served release; opened anew when another release is served. Safe to use from threads.

    Searches that are under way end in the release they began with, which closes after the last of them.
    """

    def __init__(self, home: Home, settings: IndexSettings) -> None:
        self._home = home
        self._settings = settings
        self._lock = threading.Lock()
        self._open: Searcher | None = None

    def search(self, query: str, limit: int) -> SearchResponse:
        """Answer one query from the release that is served now."""
        return self._served().search(query, limit)

    def _served(self) -> Searcher:
        """Return the served release, open and with its models loaded, once, by whoever asks first."""
        with self._lock:
            release = current(self._home)
            while self._open is None or self._open.release != release:
                try:
                    self._open = self._opened(release)
                except SpecmineError:
                    before, release = release, current(self._home)
                    if release == before:
                        raise
                    continue  # another is served since, and what was to be opened may be gone
            return self._open

    def _opened(self, release: Release | None) -> Searcher:
        loaded = self._open.encoders.values() if self._open else ()
        searcher = Searcher.open(self._home, self._settings, release, loaded)
        _ = searcher.encoders, searcher.reranker  # not by each of the threads that wait
        return searcher
