"""What a search found, and the log of searches, as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.tables import place, shortened, table

_COUNTS = ("shown", "opened", "confirmed", "wrong")


def found(console: Console, result: Mapping[str, Any]) -> None:
    """Show the passages found."""
    for number, entry in enumerate(result["results"], start=1):
        where = place(entry["document"], entry["section"], entry["pages"])
        console.print(f"[bold]{number}. {escape(where)}[/bold]", soft_wrap=True)
        ranks = ", ".join(f"{name} {source['rank']}" for name, source in entry["sources"].items())
        console.print(f"   [dim]score {entry['score']:.3f}; ranks: {ranks}[/dim]", soft_wrap=True)
        header = entry["lead"].partition("\n")[0]  # of a table that begins in an earlier passage
        begin = entry["passage"][0] - entry["span"][0]  # what was found of a clause that is shown whole
        console.print(f"   {escape(shortened(header + ' ' + entry['text'][begin:]))}", soft_wrap=True)
    if not result["results"]:
        console.print("nothing was found")
    console.print(f"[dim]release {result['release']}, {result['milliseconds']:.0f} ms[/dim]")


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
