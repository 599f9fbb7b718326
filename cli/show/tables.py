"""Tables and lines of text, as every report for people uses them. Text from documents commands no terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_LONGEST_TEXT = 280


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


def values(console: Console, title: str, result: Mapping[str, Any]) -> None:
    """Show a flat report as two columns."""
    rows = [[key.replace("_", " "), _words(value)] for key, value in result.items()]
    console.print(table(title, ["", "value"], rows))


def printable(text: str) -> str:
    """Return a document's text without what would command a terminal: control characters but tabs and line ends."""
    return "".join(c if c in "\t\n" or unicodedata.category(c) != "Cc" else "\N{REPLACEMENT CHARACTER}" for c in text)


def shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return a text in one line, cut where it is too long."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def place(document: str, section: str, pages: Sequence[int]) -> str:
    """Return where a passage stands, in words."""
    first, last = pages
    page = f"page {first}" if first == last else f"pages {first}–{last}"
    return ", ".join(part for part in (document, section, page) if part)


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {entry}" for key, entry in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value)) or "none"
    return str(value)
