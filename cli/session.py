"""What a command says: one JSON object or tables on standard output; progress and logs on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from flows.pace import Pace, ProgressLines

if TYPE_CHECKING:
    from flows.settings import Settings

Tell = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and the total."""

_SECONDS_BETWEEN_LINES = 5.0


@dataclass
class Session:
    """One invocation of the command line: its global options and where it writes."""

    config: Path | None = None
    json: bool = False
    debug: bool = False
    status: int = 0

    def __post_init__(self) -> None:
        self.console = Console(highlight=False)
        self.errors = Console(stderr=True, highlight=False)

    def settings(self) -> Settings:
        """Return the settings of the configuration that was named. Raises SpecmineError when they are wrong."""
        from flows.settings import load_settings

        return load_settings(self.config)

    def emit(self, result: dict[str, Any], human: Callable[[Console], None]) -> None:
        """Print ``result``: as the one JSON object, or by ``human`` as tables."""
        if self.json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
            sys.stdout.flush()  # what goes on serving is read by a program now
        else:
            human(self.console)

    def fail(self, message: str, hint: str | None = None) -> None:
        """Print why the command failed, in one line, and what to do."""
        if self.json:
            sys.stdout.write(json.dumps({"error": message, "hint": hint}, ensure_ascii=False) + "\n")
            return
        self.errors.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
        if hint:
            self.errors.print(f"[dim]hint:[/dim] {escape(hint)}", soft_wrap=True)

    def log(self, message: str) -> None:
        """Print one line on standard error."""
        self.errors.print(escape(message), soft_wrap=True)

    @contextmanager
    def progress(self) -> Iterator[Tell]:
        """Yield a function that shows progress: a bar on a terminal, else a plain line every few seconds."""
        if not self.errors.is_terminal:
            lines = ProgressLines(_SECONDS_BETWEEN_LINES)

            def tell_in_lines(stage: str, done: int, total: int) -> None:
                if line := lines(stage, done, total):
                    self.log(line)

            yield tell_in_lines
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        with Progress(*columns, console=self.errors) as bars:
            tasks: dict[str, TaskID] = {}
            pace = Pace()

            def tell(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=total, pace="")
                bars.update(tasks[stage], completed=done, total=total, pace=pace(stage, done, total))

            yield tell
