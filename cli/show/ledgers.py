"""Ledgers as people read them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.tables import place, shortened, table
from mining.diff import ABSENT
from mining.ledger import VERDICTS

_SHOWN = 20
_COLOURS = {
    "kept": "green",
    "random": "green",
    "relevant": "cyan",
    "proposed_positive": "yellow",
    "borderline": "yellow",
}


def listing(console: Console, result: Mapping[str, Any]) -> None:
    """Show which ledgers there are."""
    if not result["ledgers"]:
        console.print("no ledger yet: `specmine mine` makes one")
        return
    for entry in result["ledgers"]:
        console.print(f"[bold]{entry['ledger']}[/bold]")
        said = entry["problem"] or (
            f"release {entry['release']}, {entry['queries']} queries, {entry['rows']} candidates: "
            f"{_counts(entry['verdicts'] or {})}"
        )
        console.print(f"  {escape(said)}", soft_wrap=True)
    console.print("[dim]specmine ledger show LEDGER tells what is in one[/dim]")


def one(console: Console, result: Mapping[str, Any], limit: int | None) -> None:
    """Show a ledger: how many candidates have which verdict, and rows."""
    console.print(
        f"[bold]ledger {result['ledger']}[/bold] of release {escape(str(result['release']))}: {result['rows']} "
        f"candidates for {result['queries']} queries",
        soft_wrap=True,
    )
    counted = [
        [verdict, result["verdicts"][verdict], VERDICTS[verdict]]
        for verdict in VERDICTS
        if verdict in result["verdicts"]
    ]
    console.print(table("", ["verdict", "candidates", "meaning"], counted, right=["candidates"]))
    rows(console, result["shown"][: _SHOWN if limit is None else limit], result["matching"])


def diff(console: Console, result: Mapping[str, Any], limit: int | None) -> None:
    """Show how two ledgers differ: what took part, verdict by verdict, and the candidates that changed."""
    console.print(f"[bold]{result['before']}[/bold] → [bold]{result['after']}[/bold]")
    if result["took_part"]:
        differing = [
            [name, shortened(str(pair["before"])), shortened(str(pair["after"]))]
            for name, pair in result["took_part"].items()
        ]
        console.print(table("what differs in the mining", ["", "before", "after"], differing))
    matrix = result["matrix"]
    after = [word for word in (*VERDICTS, ABSENT) if any(word in row for row in matrix.values())]
    counts = [[f"{before} →", *(row.get(word, "") for word in after)] for before, row in matrix.items()]
    console.print(table("candidates by verdict, before (rows) and after (columns)", ["", *after], counts, right=after))
    most = _SHOWN if limit is None else limit
    for name in ("changed", "appeared", "gone"):
        if result[name]:
            console.print(f"\n[bold]{name}[/bold]: {len(result[name])}")
            rows(console, result[name][:most], len(result[name]))


def reported(console: Console, result: Mapping[str, Any]) -> None:
    """Show where a report lies, and what it lacks."""
    console.print(escape(result["report"]), soft_wrap=True)
    for note in result["notes"]:
        console.print(f"[dim]{escape(note)}[/dim]", soft_wrap=True)


def exported(console: Console, result: Mapping[str, Any]) -> None:
    """Show what an export wrote, and what it left out."""
    console.print(
        f"{escape(result['file'])}: {result['records']} records of {result['queries']} queries with "
        f"{result['negatives']} negatives, from ledger {result['ledger']}",
        soft_wrap=True,
    )
    if result["queries_left_out"] or result["negatives_left_out"]:
        console.print(
            f"left out: {result['queries_left_out']} queries with too few negatives or without a judged passage, "
            f"{result['negatives_left_out']} negatives",
            soft_wrap=True,
        )


def rows(console: Console, entries: Sequence[Mapping[str, Any]], total: int) -> None:
    """Show rows of a ledger under their queries."""
    query = None
    for entry in entries:
        if entry["query"] != query:
            query = entry["query"]
            console.print(
                f"\n[bold]{escape(query)}[/bold] {escape(shortened(entry['query_text'] or ''))}", soft_wrap=True
            )
        before = f"{entry['before']} → " if "before" in entry else ""
        colour = _COLOURS.get(entry["verdict"], "dim")
        console.print(
            f"  {before}[{colour}]{entry['verdict']}[/{colour}] {escape(passage_place(entry))}", soft_wrap=True
        )
        console.print(f"    {escape(shortened(entry['reason']))}", soft_wrap=True)
        console.print(f"    [dim]{escape(_scores(entry))}[/dim]", soft_wrap=True)
        console.print(f"    [dim]passage {entry['chunk']}[/dim]", soft_wrap=True)
    if len(entries) < total:
        console.print(f"[dim]{len(entries)} of {total}; --limit shows more, --json all[/dim]")


def passage_place(entry: Mapping[str, Any]) -> str:
    """Return where a row's passage stands, in words."""
    if entry["pages"] is None:
        return f"{entry['document']}, characters {entry['span'][0]} to {entry['span'][1]}"
    return place(entry["document"], entry["section"], entry["pages"])


def _scores(entry: Mapping[str, Any]) -> str:
    ranks = ", ".join(f"{name} {source['rank']}" for name, source in entry["sources"].items())
    parts = [f"ranks: {ranks or 'none'}"]
    if entry["ensemble_score"] is not None:
        parts.append(f"ensemble {entry['ensemble_score']:.3f}")
    if entry["cross_score"] is not None and entry["positive_cross_score"] is not None:
        parts.append(f"cross-encoder {entry['cross_score']:.2f}, judged passage {entry['positive_cross_score']:.2f}")
    return "; ".join(parts)


def _counts(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{verdict} {verdicts[verdict]}" for verdict in VERDICTS if verdict in verdicts)
