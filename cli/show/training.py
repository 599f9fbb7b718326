"""What is shown of sweeps and ablations on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show import learning
from cli.show.tables import table
from flows.reports import sweep_tables


def sweep(console: Console, result: Mapping[str, Any]) -> None:
    """Show a sweep: its trials, the winner with fresh seeds, the verdict."""
    console.print(escape(sweep_tables.facts(result)))
    for made in (sweep_tables.trials_table(result), sweep_tables.fresh_table(result)):
        if made is not None:
            title, columns, rows = made
            console.print(table(title, columns, rows, right=columns[:2]))
    if result["winner"] is not None:
        console.print(escape(sweep_tables.winner_toml(result)))
    if result["retrain"] is not None:
        learning.retrain(console, result["retrain"])
    console.print(escape(result["reason"]))
    console.print(f"report: {escape(result['report'])}")


def ablation(console: Console, result: Mapping[str, Any]) -> None:
    """Show what each part of a training is worth."""
    console.print(escape(sweep_tables.ablation_facts(result)))
    title, columns, rows = sweep_tables.ablation_table(result)
    console.print(table(title, columns, rows, right=columns[1:]))
