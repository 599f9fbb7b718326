"""What a command says: one JSON object or tables on standard output; progress and logs on standard error."""

from __future__ import annotations

import json
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from flows.pace import Pace

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

    def emit(self, result: dict[str, Any], human: Callable[[Console], None]) -> None:
        """Print ``result``: as the one JSON object, or by ``human`` as tables."""
        if self.json:
            sys.stdout.write(json.dumps(result, ensure_ascii=False, default=str) + "\n")
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
            yield _LineProgress(self.log)
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


class _LineProgress:
    """Progress as log lines: the first and the last of each stage, and one every few seconds between."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._last: dict[str, float] = {}
        self._pace = Pace()

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        pace = self._pace(stage, done, total)
        if stage in self._last and done < total and now - self._last[stage] < _SECONDS_BETWEEN_LINES:
            return
        self._last[stage] = now
        self._log(", ".join(filter(None, (f"{stage}: {done} of {total}", pace))))


def printable(text: str) -> str:
    """Return a document's text without what would command a terminal: control characters but tabs and line ends."""
    return "".join(c if c in "\t\n" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[str] = ()) -> Table:
    """Return a table for people; columns named in ``right`` are right-aligned. Cells are text, never markup."""
    made = Table(title=title or None, title_justify="left")
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
    return made


def measures_table(title: str, runs: dict[str, dict[str, float]]) -> Table:
    """Return a table of measures: a row for each run."""
    names = list(next(iter(runs.values()), {}))
    rows = [[run, *(f"{values[name]:.4f}" for name in names)] for run, values in runs.items()]
    return table(title, ["run", *names], rows, right=names)
