"""What is shown of sweeps and ablations on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from flows import show, sweep_report
from flows.output import table


def sweep(console: Console, result: Mapping[str, Any]) -> None:
    """Show a sweep: its trials, the winner with fresh seeds, the verdict."""
    console.print(escape(sweep_report.facts(result)))
    for made in (sweep_report.trials_table(result), sweep_report.fresh_table(result)):
        if made is not None:
            title, columns, rows = made
            console.print(table(title, columns, rows, right=columns[:2]))
    if result["winner"] is not None:
        console.print(escape(sweep_report.winner_toml(result)))
    if result["retrain"] is not None:
        show.retrain(console, result["retrain"])
    console.print(escape(result["reason"]))
    console.print(f"report: {escape(result['report'])}")


def ablation(console: Console, result: Mapping[str, Any]) -> None:
    """Show what each part of a training is worth."""
    console.print(escape(sweep_report.ablation_facts(result)))
    title, columns, rows = sweep_report.ablation_table(result)
    console.print(table(title, columns, rows, right=columns[1:]))
