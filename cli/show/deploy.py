"""What a deployment changed, as people read about it on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from cli.show.tables import table

_SECOND_RUN = {"ENQUEUE": "waits", "CANCEL_NEW": "is cancelled"}


def deployed(console: Console, result: Mapping[str, Any]) -> None:
    """Show what was put on the server, and what of it is new."""
    rows = [
        [entry["deployment"], entry["outcome"], entry["runs"], entry["schedule"], _SECOND_RUN[entry["second_run"]]]
        for entry in result["deployments"]
    ]
    columns = ["deployment", "", "runs", "schedule", "a second run"]
    console.print(table(f"deployed to {result['api']}", columns, rows))
    rows = [[entry["automation"], entry["outcome"], entry["enabled"]] for entry in result["automations"]]
    console.print(table("", ["automation", "", "enabled"], rows))
    for lease in result["crashed"]:
        console.print(f"crashed, and ended now: {lease}", markup=False)
    pool = result["pool"]["name"]
    console.print(
        f"work pool {pool}: {result['pool']['outcome']}; a worker runs it: prefect worker start --pool {pool}"
    )
