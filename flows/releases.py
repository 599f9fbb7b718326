"""Releases as one object: all of them, and going back to the one before."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from indexing.home import Home
from indexing.releases import current, list_releases, rollback, served


def list_all(home: Home) -> dict[str, Any]:
    """Return every release, and the id of the served one; None where nothing is served."""
    release = current(home)
    return {"served": release.id if release else None, "releases": [asdict(release) for release in list_releases(home)]}


def roll_back(home: Home) -> dict[str, Any]:
    """Serve the release before. Raises SpecmineError when there is none, or somebody else is writing."""
    with home.exclusive():
        before = served(home)
        release = rollback(home)
    return {"release": release.id, "before": before.id, "note": release.note}
