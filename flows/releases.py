"""Releases as one object: all of them, and going back to the one before."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from indexing.generations import open_store, read_generation
from indexing.home import Home, SpecmineError
from indexing.releases import Release, current, list_releases, read_release, rollback, served
from indexing.settings import IndexSettings


def list_all(home: Home) -> dict[str, Any]:
    """Return every release, and the id of the served one; None where nothing is served."""
    release = current(home)
    return {"served": release.id if release else None, "releases": [asdict(release) for release in list_releases(home)]}


def roll_back(home: Home, index: IndexSettings) -> dict[str, Any]:
    """Serve the release before.

    Raises SpecmineError when there is none, its index was removed since, or somebody else is writing.
    """
    with home.exclusive():
        before = served(home)
        if before.previous is not None:
            _check_there(home, index, read_release(home, before.previous))
        release = rollback(home)
    return {"release": release.id, "before": before.id, "note": release.note}


def _check_there(home: Home, index: IndexSettings, release: Release) -> None:
    generation = read_generation(home, release.generation)
    if not open_store(home, generation, index.qdrant).has(release.content):
        raise SpecmineError(
            f"content {release.content} of release {release.id} was removed, for only the latest are kept: "
            "it cannot be served again; nothing was changed"
        )
