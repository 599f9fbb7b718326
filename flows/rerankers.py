"""The trained re-rankers as one object."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from indexing.home import Home
from indexing.releases import current
from training.reranker_versions import list_rerankers, read_outcome


def list_all(home: Home) -> dict[str, Any]:
    """Return the trained re-rankers with what the referee said of each, and how the served one is used."""
    release = current(home)
    used = release.reranker if release else None
    return {
        "served": asdict(used) if used else None,
        "versions": [
            {**asdict(version), "outcome": read_outcome(home, version.id)} for version in list_rerankers(home)
        ],
    }
