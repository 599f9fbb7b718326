"""Queries for people: what a generation made and dropped, and lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.tables import printable, table
from flows.reports.tables import generator_rows


def generated(console: Console, result: Mapping[str, Any], trains: bool) -> None:
    """Show what a generation made, kept and dropped, by generator."""
    columns = ["generator", "documents", "made", "kept", "at rank 1", "seconds"]
    rows = generator_rows(result)
    title = "nothing stored: a dry run" if result["dry_run"] else ""
    console.print(table(title, columns, rows, right=columns[1:]))
    for name, done in result["generators"].items():
        if done["dropped"]:
            reasons = ", ".join(f"{count} {reason}" for reason, count in done["dropped"].items())
            console.print(f"{escape(name)} dropped: {escape(reasons)}", soft_wrap=True)
        for text in done["examples"]:
            console.print(f"   [dim]{escape(printable(text))}[/dim]", soft_wrap=True)
    for tongue, found in result["trust"].items():
        told = f"not used: {found['distrust']}" if found["distrust"] else f"used, its agreement is {found['auc']:.2f}"
        console.print(
            f"cross-encoder, {escape(tongue)}: {escape(told)} ({found['queries']} {found['measured_on']} queries)",
            soft_wrap=True,
        )
    console.print(
        f"{result['documents']} documents, {result['unchanged']} generations stood, {result['removed']} queries of "
        f"removed documents dropped; {result['kept']} queries kept; {result['seconds']:.1f} s",
        soft_wrap=True,
    )
    if result["kept"] and not trains and not result["dry_run"]:
        console.print("They train nothing until [bold]\\[mine][/bold] says [bold]synthetic = true[/bold].")


def listing(console: Console, result: Mapping[str, Any]) -> None:
    """Show the queries of splits, and how many there are."""
    rows = [
        [entry["split"], printable(entry["text"]), entry.get("generator", ""), entry.get("document", "")]
        for entry in result["queries"]
    ]
    if rows:
        console.print(table("", ["split", "query", "made by", "of"], rows))
    if len(result["queries"]) < result["total"]:
        console.print(f"{len(result['queries'])} of {result['total']} shown; --limit shows more")
    counts = ", ".join(f"{count} {split}" for split, count in result["splits"].items())
    console.print(f"queries: {counts}", soft_wrap=True)
