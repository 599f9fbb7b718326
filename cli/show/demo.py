"""What the demo found, as people read it on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.learning import retrain
from cli.show.tables import measures_table, place, shortened
from flows.demo import HELD_OUT

_NEXT = (
    'specmine search "your question"',
    "specmine ingest FOLDER        your own documents (with another SPECMINE_HOME)",
    "specmine releases             what was published; specmine rollback goes back",
    "specmine dashboard            pages for search, review and operations",
)


def told(console: Console, result: Mapping[str, Any], level: float) -> None:
    """Show a question, what was mined, what learning changed at this ``level`` of confidence, and where all lies."""
    console.rule("a question that search was never trained on")
    ranks = [rank if rank else "below 10" for rank in result["rank"].values()]
    console.print(f"[bold]{escape(result['question'])}[/bold]", soft_wrap=True)
    if result["answers"]:
        best = result["answers"][0]
        where = place(best["document"], best["section"], best["pages"])
        console.print(f"→ [bold]{escape(where)}[/bold]", soft_wrap=True)
        console.print(f"  {escape(shortened(best['text']))}", soft_wrap=True)
    console.print(f"  [dim]the judged passage stood at rank {ranks[0]} before, {ranks[1]} after[/dim]")
    console.rule("what was mined: looks right, and is not")
    for example in result["negatives"]:
        _tell_example(console, example)
    console.rule(f"before and after learning, {result['queries'][HELD_OUT]} held-out queries")
    before, after = result["before"], result["after"]
    console.print(measures_table(f"before: release {before['release']}", before["runs"]))
    if after["release"] == before["release"]:
        console.print(f"nothing was proven better on these queries, so release {after['release']} stays")
    else:
        console.print(measures_table(f"after: release {after['release']}", after["runs"]))
    for name, gain in result["gain"].items():
        low, high = gain["interval"]
        console.print(
            f"{name.replace('RR@', 'MRR@')}  [bold]{gain['before']:.4f} → {gain['after']:.4f}[/bold]  "
            f"({gain['difference']:+.4f}, {level:.0%} interval {low:+.4f} to {high:+.4f}, p {gain['p_value']:.2g}, "
            f"{gain['queries']} queries in {gain['groups']} groups)",
            soft_wrap=True,
        )
    retrain(console, result["retrain"])
    console.rule("where everything lies")
    for name, path in result["where"].items():
        console.print(f"  {name}: {escape(path)}", soft_wrap=True)
    console.rule(f"done in {result['seconds']:.0f} s; next")
    for command in _NEXT:
        console.print(f"  {command}")


def _tell_example(console: Console, example: Mapping[str, Any]) -> None:
    positive, negative = example["positive"], example["negative"]
    found = ", ".join(f"{name} {source['rank']}" for name, source in negative["sources"].items())
    console.print(f"[bold]{escape(example['query'])}[/bold]", soft_wrap=True)
    for sign, passage in (("[green]✓[/green]", positive), ("[red]✗[/red]", negative)):
        where = place(passage["document"], passage["section"], passage["pages"])
        console.print(f"  {sign} {escape(where)}", soft_wrap=True)
        console.print(f"    [dim]{escape(shortened(passage['text'], 180))}[/dim]", soft_wrap=True)
    console.print(f"    [dim]found at rank: {found}[/dim]", soft_wrap=True)
