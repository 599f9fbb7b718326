"""Re-indexing as people read about it on a terminal: what it would do and cost, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.show.tables import table

_COLUMNS = ["stage", "by", "work", "CPU", "wall", "measured"]


def plan(console: Console, result: Mapping[str, Any]) -> None:
    """Show what a re-index would do, what that would take, and how wrong earlier estimates were."""
    _changes(console, result)
    work, estimate = result["work"], result["estimate"]
    console.print(
        f"{work['documents']:,} documents, {result['documents_to_read']:,} of them to read again and "
        f"{result['documents_to_cut']:,} to cut; about {work['passages']:,} passages of {work['tokens']:,} tokens"
    )
    for name, part in work["embed"].items():
        console.print(
            f"{escape(name)}: {part['passages']:,} passages ({part['tokens']:,} tokens) to embed, the vectors of "
            f"{part['reused']:,} serve again"
        )
    _shortened(console, work)
    if work["sampled"] < 1:
        console.print(f"(how documents are cut was tried on {work['sampled']:.0%} of their text)")
    rows = [
        [
            part["stage"],
            part["encoder"],
            f"{part['units']:,.0f} {part['unit']}",
            duration(part["cpu_seconds"]),
            duration(part["wall_seconds"]),
            f"{part['measured']} ×",
        ]
        for part in estimate["stages"]
    ]
    console.print(table("Estimate", _COLUMNS, rows, right=_COLUMNS[2:]))
    console.print(_sums(estimate))
    if estimate["unmeasured"]:
        console.print(f"not in it, for it was never measured here: {escape(', '.join(estimate['unmeasured']))}")
    for one in result["past"][-5:]:
        told = ", ".join(f"{name.replace('_', ' ')} {error:+.0%}" for name, error in one["error"].items())
        console.print(f"measured against estimated on {one['time'][:10]}: {told}")
    if not result["past"]:
        console.print("no earlier re-index tells how far such an estimate is off here")


def done(console: Console, result: Mapping[str, Any]) -> None:
    """Show what a re-index did."""
    _changes(console, result)
    checked, judged = result["checked"], result["judged"] or {}
    console.print(
        f"{checked['documents']:,} documents, {result['chunks']:,} passages, {result['embedded']:,} of them embedded; "
        f"{result['brought_after']:,} documents changed meanwhile and were brought after"
    )
    for name, share in checked["recall"].items():
        console.print(
            f"of the nearest ten by {escape(name)} the store finds {share:.1%} ({checked['sample']} searches)"
        )
    if judged.get("queries"):
        console.print(
            f"{judged['measure']} on {judged['queries']} queries of {judged['split']}: {judged['before']:.4f} served, "
            f"{judged['after']:.4f} new"
        )
    elif judged:
        console.print(f"not compared on judged queries: there are none of split {judged['split']}")
    _shortened(console, result["work"])
    for document, reason in result["unread"].items():
        console.print(f"[yellow]not read again[/yellow] {escape(document)}: {escape(reason)}")
    console.print(f"estimated: {_sums(result['estimate'])}")
    console.print(f"measured:  {_sums(result['actual'])}")
    console.print(_by_stage(result["estimate"], result["actual"]))
    if result["removed_generations"]:
        console.print(f"removed: {', '.join(result['removed_generations'])}")
    if result["held_generations"]:
        console.print(f"still open, removed the next time: {', '.join(result['held_generations'])}")
    if result["published"]:
        console.print(f"serving {result['release']}; the switch took {result['switch_seconds']:.2f} s")


def _by_stage(estimate: Mapping[str, Any], actual: Mapping[str, Any]) -> Table:
    """Return the processor time of each stage, estimated and measured."""
    expected = {(part["stage"], part["encoder"]): part["cpu_seconds"] for part in estimate["stages"]}
    taken = {(part["stage"], part["encoder"]): part["cpu_seconds"] for part in actual["stages"]}
    rows = [
        [*key, *(duration(found[key]) if key in found else "" for found in (expected, taken))]
        for key in {**taken, **expected}
    ]
    return table("CPU by stage", ["stage", "by", "estimated", "measured"], rows, right=["estimated", "measured"])


def duration(seconds: float) -> str:
    """Return a time in the unit that people would use."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _changes(console: Console, result: Mapping[str, Any]) -> None:
    console.print(f"[bold]{result['served']} → {result['generation']}[/bold]")
    for change in result["changes"] or ["nothing differs"]:
        console.print(f"- {escape(change)}")


def _shortened(console: Console, work: Mapping[str, Any]) -> None:
    for name, count in work["shortened"].items():
        if count:
            console.print(
                f"[yellow]warning[/yellow] {escape(name)} reads only the beginning of {count:,} passages: they were "
                "cut before it came; another max_tokens of \\[chunking] cuts all anew"
            )


def _sums(taken: Mapping[str, Any]) -> str:
    """Return the sums of an estimate, or of what was measured, in one line."""
    parts = [
        f"CPU {duration(taken['cpu_seconds'])}",
        f"wall {duration(taken['wall_seconds'])}",
        f"memory {taken['memory_megabytes']:,.0f} MB",
        f"disk {taken['disk_megabytes']:,.1f} MB",
    ]
    money = taken.get("money", {})
    parts += [f"{name.replace('_', ' ')} {value:.2f}" for name, value in money.items()]
    return ", ".join(parts)
