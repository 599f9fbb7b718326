"""The log of searches as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from flows.output import table
from flows.show import shortened

_COUNTS = ("shown", "opened", "confirmed", "wrong")


def listing(console: Console, result: Mapping[str, Any]) -> None:
    """Show searches, one a line."""
    if not result["total"]:
        console.print("no search is logged")
        return
    rows = [
        [
            entry["time"][:19].replace("T", " "),
            shortened(entry["query"], 80),
            entry["release"],
            entry["origin"],
            *(entry[count] or "" for count in _COUNTS),
        ]
        for entry in result["searches"]
    ]
    console.print(table("", ["time (UTC)", "query", "release", "from", *_COUNTS], rows, right=_COUNTS))
    console.print(f"[dim]{len(rows)} of {result['total']} searches[/dim]")


def imported(console: Console, result: Mapping[str, Any]) -> None:
    """Show which confirmed results were imported, and which were not and why."""
    for entry in result["imported"]:
        console.print(
            escape(f"{entry['query']}: {shortened(entry['text'], 80)} → {entry['document']} {entry['span']}"),
            soft_wrap=True,
        )
    console.print(
        f"train: {len(result['imported'])} judgements added, {result['known']} known before, "
        f"{result['withdrawn']} withdrawn; {result['new_queries']} new queries"
    )
    if result["held_out"]:
        console.print(f"{result['held_out']} confirmed queries are held out for measuring, and were left alone")
    if result["lost"]:
        console.print(f"{result['lost']} passages are no longer there, or say something else now")
