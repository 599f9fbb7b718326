"""Reports on the re-ranker as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from cli.show.tables import table
from flows.reports.tables import COMBINATIONS, combination_rows, group_line


def retrained(console: Console, result: Mapping[str, Any]) -> None:
    """Show what a retraining of the re-ranker did."""
    training, held_out = result["training"], result["held_out"]
    console.print(
        f"[bold]{escape(result['name'])}[/bold] {escape(result['version'])}: held-out loss "
        f"{training['history'][0]['held_out']:.4f} → {training['best']['held_out']:.4f}, judged passage first in "
        f"{training['history'][0]['first']:.3f} → {training['best']['first']:.3f} of the groups "
        f"({training['precision']}, {training['seconds']:.0f} s)",
        soft_wrap=True,
    )
    console.print(group_line(result), soft_wrap=True)
    title = f"held-out training queries: fused {held_out['fused']:.4f}, re-ranked"
    console.print(table(title, COMBINATIONS, combination_rows(result), right=COMBINATIONS))
    for name, verdict in result["verdicts"].items():
        told = escape(" · ".join(verdict["reason"].splitlines())) if verdict else "not judged"
        colour = "green" if verdict and verdict["promoted"] else "yellow"
        console.print(f"[{colour}]{escape(name)}[/{colour}]: {told}", soft_wrap=True)
    console.print(f"[dim]release {result['release'] or 'as it was'}, {result['seconds']:.1f} s[/dim]")


def listed(console: Console, result: Mapping[str, Any]) -> None:
    """Show the trained re-rankers."""
    served = (result["served"] or {}).get("version")
    rows = []
    for version in result["versions"]:
        outcome = version["outcome"] or {"use": {}, "verdicts": {}}
        use = outcome["use"]
        verdicts = [
            f"{name} {verdict['before']:.3f} → {verdict['after']:.3f}{', proven' * verdict['promoted']}"
            for name, verdict in outcome["verdicts"].items()
            if verdict
        ]
        rows.append(
            [
                "→" if version["id"] == served else "",
                version["id"],
                version["lineage"]["ledger"],
                f"{use['depth']} passages, weight {use['weight']:g} ({use['scale']})" if use else "",
                "; ".join(verdicts) or "not judged",
            ]
        )
    columns = ["", "version", "ledger", "used with", "verdicts"]
    console.print(table("", columns, rows) if rows else "no re-ranker was trained yet: `specmine retrain --reranker`")
