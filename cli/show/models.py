"""Models as people read about them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from cli.show.tables import table

_WORDS = {True: "yes", False: "no", None: ""}


def listing(console: Console, result: Mapping[str, Any]) -> None:
    """Show the configured models."""
    rows = [
        [
            state["name"],
            state["source"],
            _WORDS[state["fetched"]],
            _WORDS[state["verified"]],
            f"{state['bytes'] / 1e6:.0f}",
            state["problem"],
        ]
        for state in result["models"]
    ]
    console.print(table("", ["model", "source", "fetched", "verified", "MB", "problem"], rows, right=["MB"]))
