"""The end of a training: its release is published once no other writer holds the home, or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from indexing.home import Home, LockedHomeError, SpecmineError
from indexing.releases import Release, publish, served

# How long it waits for another writer (an ingest) before it gives up; nothing is lost then.
_LOCK_SECONDS = 900.0


def publish_when_free(
    home: Home, begun: Release, proposed: Release, content: Callable[[Release], int] | None = None
) -> Release:
    """Publish what a training that began from release ``begun`` proposes, with the content that is served by now.

    ``content`` may return another with the same documents. Another writer is waited for: an hour's training must not be
    lost to an ingest. Raises SpecmineError when a release was published meanwhile that differs in more than its
    documents, and LockedHomeError when the writer does not end.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            with home.exclusive():
                now = served(home)
                if not now.searches_like(begun):
                    raise SpecmineError(
                        f"release {now.id} was published while this training ran from {begun.id}, and differs in more "
                        "than its documents; the new versions are kept: run the same command again to judge them"
                    )
                return publish(home, replace(proposed, content=content(now) if content else now.content))
        except LockedHomeError:
            if time.monotonic() > deadline:
                raise
        time.sleep(2.0)
