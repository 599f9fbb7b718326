"""Documents as people read about them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.tables import table
from flows.documents import QUARANTINED

_MOST_ROWS = 60
_LONGEST_QUARANTINE = 20


def started(run: Mapping[str, Any]) -> str:
    """Return a line about a run that was started, or had been for the same files."""
    if run["already"]:
        return f"flow run {run['flow_run']} was started for the same files before; it is {run['state']}"
    return f"started flow run {run['flow_run']}"


def inbox(console: Console, result: Mapping[str, Any]) -> None:
    """Show what became of the files in the inbox."""
    rows = [[entry["batch"], entry["done"], len(entry["failed"])] for entry in result["batches"]]
    if rows:
        console.print(table(result["inbox"], ["batch", "done", "failed"], rows, right=["done", "failed"]))
    else:
        console.print(f"{result['inbox']}: nothing has settled; {result['left']} files are there")
    for entry in result["batches"]:
        for name, reason in entry["failed"].items():
            console.print(f"{name}: {reason}", markup=False)


def ingest(console: Console, result: Mapping[str, Any]) -> None:
    """Show what an ingest did."""
    counts = result["documents"]
    console.print(
        f"[bold]{counts['indexed']}[/bold] documents indexed, {counts['renamed']} renamed, "
        f"{counts['unchanged']} unchanged, {counts['removed']} removed, {counts['quarantined']} in quarantine"
    )
    console.print(
        f"{result['pages']} pages ({result['pages_without_text']} without text), {result['chunks']} passages in "
        f"generation {result['generation']}, release {result['release'] or 'none'}, {result['seconds']:.1f} s"
    )
    console.print(
        f"read: {result['characters']:,} characters, {result['tables']} tables with {result['table_rows']} rows; "
        f"{result['dropped_lines']} running lines left out; pages {result['pages_scanned']} scanned, "
        f"{result['pages_blank']} blank, {result['pages_ocr']} recognised, {result['pages_rotated']} turned; "
        f"{result['chunks_shortened']} passages with a shortened title"
    )
    for document, warnings in result.get("warnings", {}).items():
        for warning in warnings:
            console.print(f"[yellow]warning[/yellow] {escape(document)}: {escape(warning)}")
    _quarantine(console, result["quarantine"])


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
    _quarantine(console, result["quarantine"])
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


def _quarantine(console: Console, entries: Sequence[Mapping[str, Any]]) -> None:
    """Show the documents that could not be read, and why."""
    if not entries:
        return
    rows = [[entry["document"], entry["page"], entry["reason"]] for entry in entries[:_LONGEST_QUARANTINE]]
    console.print(table("in quarantine", ["document", "page", "reason"], rows, right=["page"]))
    if len(entries) > _LONGEST_QUARANTINE:
        console.print(f"and {len(entries) - _LONGEST_QUARANTINE} more: --json lists them all")


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
