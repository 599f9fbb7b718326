"""Releases as people read about them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from cli.show.tables import table


def listing(console: Console, result: Mapping[str, Any]) -> None:
    """Show the releases; the served one is marked."""
    if not result["releases"]:
        console.print("no release yet")
        return
    rows = [
        [
            "→" if release["id"] == result["served"] else "",
            release["id"],
            release["created"],
            ", ".join(_served_by(release, name) for name in release["encoders"]),
            _reranker(release["reranker"]),
            release["note"],
        ]
        for release in result["releases"]
    ]
    console.print(table("", ["", "release", "created", "encoders", "re-ranker", "note"], rows))


def _served_by(release: Mapping[str, Any], encoder: str) -> str:
    kind = release["geometry"].get(encoder, {}).get("kind", "cosine")
    return f"{encoder} {release['encoders'][encoder]}" + (f" by {kind}" if kind != "cosine" else "")


def _reranker(used: Mapping[str, Any] | None) -> str:
    return f"{used['name']} {used['version']}" if used else "none"
