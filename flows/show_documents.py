"""Documents as people read about them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from flows import show
from flows.documents import QUARANTINED
from flows.output import table

_MOST_ROWS = 60


def listing(console: Console, result: Mapping[str, Any]) -> None:
    """Show what is indexed, with warnings, and what is in quarantine."""
    columns = ["document", "title", "pages", "without text", "passages", "when", "warnings"]
    rows = [
        [
            *(entry[key] for key in ("document", "title", "pages", "pages_without_text", "chunks", "when")),
            len(entry["warnings"]) or "",
        ]
        for entry in result["documents"]
    ]
    console.print(table(f"indexed, release {result['release']}", columns, rows, right=["pages", *columns[3:5]]))
    show.quarantine(console, result["quarantine"])
    console.print("[dim]specmine documents show DOCUMENT tells everything about one[/dim]")


def one(console: Console, result: Mapping[str, Any]) -> None:
    """Show one document: its facts, the account of its pages, its sections, its warnings."""
    console.print(f"[bold]{escape(result['document'])}[/bold], {result['state']}", soft_wrap=True)
    if result["state"] == QUARANTINED:
        _refusal(console, result)
        return
    facts = {"title": result["title"], "file": result["source"], "read": result["when"]}
    facts |= {"formerly": ", ".join(result["formerly"])} if result["formerly"] else {}
    facts |= result["metadata"] | {name.replace("_", " "): count for name, count in result["totals"].items()}
    console.print(table("", ["", "value"], list(facts.items())))
    _pages(console, result)
    rows = [
        [entry["section"] or "(before the first heading)", entry["page"], entry["chunks"]]
        for entry in result["sections"]
    ]
    console.print(table("sections", ["section", "page", "passages"], rows[:_MOST_ROWS], right=["page", "passages"]))
    _more(console, len(rows))
    for warning in result["warnings"]:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}", soft_wrap=True)
    if "refused" in result:
        console.print("[yellow]its file was changed and cannot be read; what was read before is served[/yellow]")
        _refusal(console, result["refused"])


def _refusal(console: Console, entry: Mapping[str, Any]) -> None:
    where = f" (page {entry['page']})" if entry["page"] else ""
    console.print(f"{escape(entry['reason'])}{where}", soft_wrap=True)
    console.print(f"[dim]{escape(entry['source'])}, {entry['when'] or 'some time ago'}[/dim]", soft_wrap=True)


def _pages(console: Console, result: Mapping[str, Any]) -> None:
    columns = ["page", "printed", "characters", "blocks that begin here", "passages", "left out", "without text"]
    rows = [
        [
            *(entry[key] for key in ("page", "label", "characters")),
            ", ".join(f"{count} {kind}" for kind, count in entry["blocks"].items()),
            *(entry[key] or "" for key in ("chunks", "dropped_lines", "without_text")),
        ]
        for entry in result["page_accounts"]
    ]
    console.print(table("pages", columns, rows[:_MOST_ROWS], right=[*columns[:3], *columns[4:6]]))
    _more(console, len(rows))


def _more(console: Console, rows: int) -> None:
    if rows > _MOST_ROWS:
        console.print(f"and {rows - _MOST_ROWS} more: --json lists them all")
