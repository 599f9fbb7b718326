"""What the doctor found, as people read it on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def checks(console: Console, result: Mapping[str, Any]) -> None:
    """Show every check, one a line."""
    for check in result["checks"]:
        colour = _COLOURS[check["outcome"]]
        told = f"{escape(check['name'])}: {escape(check['message'])}"
        console.print(f"[{colour}]{check['outcome']:>7}[/{colour}]  {told}", soft_wrap=True)
        if check["mend"]:
            console.print(f"         [bold]→ {escape(check['mend'])}[/bold]", soft_wrap=True)
