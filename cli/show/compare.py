"""Configurations side by side, as people read about them on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.tables import table
from flows.reports import compared_chunkings

_MEASURES = ("nDCG@10", "RR@10", "R@10", "R@100")


def chunkings(console: Console, result: Mapping[str, Any]) -> None:
    """Show chunkings side by side, and which differ."""
    for title, columns, rows in compared_chunkings.tables(result):
        console.print(table(title, columns, rows, right=columns[2:]))
    console.print(f"[dim]{escape(compared_chunkings.facts(result))}[/dim]", soft_wrap=True)
    console.print(f"saved as {escape(result['report'])}", soft_wrap=True)


def geometries(console: Console, result: Mapping[str, Any]) -> None:
    """Show the measures of every geometry, and the neighbours that only one of them picks."""
    tests = {(test["encoder"], test["geometry"]): test for test in result["tests"]}
    columns = ["encoder", "geometry", *_MEASURES, "of 10 shared", "against cosine", "p (Holm)"]
    rows = []
    for row in result["rows"]:
        test = tests.get((row["encoder"], row["geometry"]))
        against = ["", ""]
        if test:
            low, high = test["interval"]
            against = [f"{test['difference']:+.4f} ({low:+.4f} to {high:+.4f})", f"{test['p_holm']:.2g}"]
        measures = [f"{row[name]:.4f}" for name in _MEASURES]
        rows.append([row["encoder"], row["geometry"], *measures, f"{10 * row['shared']:.1f}", *against])
    title = f"release {result['release']}, {result['queries']} queries of {result['split']}"
    console.print(table(title, columns, rows, right=columns[2:]))
    for encoder, reason in result["left_out"].items():
        console.print(f"[yellow]{escape(encoder)} is left out:[/yellow] {escape(reason)}", soft_wrap=True)
    for example in result["neighbours"]:
        console.print(
            f"[bold]{escape(example['query'])}[/bold] ({escape(example['encoder'])}, {example['shared']} of 10 shared)",
            soft_wrap=True,
        )
        for kind in ("cosine", "hyperbolic"):
            for passage in example[kind]:
                mark = "[green]✓[/green]" if passage["judged"] else " "
                told = f"{passage['document']} · {passage['section']} · p. {passage['page']}"
                console.print(f" {mark} only by {kind}: {escape(told)}", soft_wrap=True)
