"""Tables written as Markdown, as they stand in a document's text."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_row(cells: Sequence[str]) -> str:
    """Write a row of a table in Markdown, every cell on one line."""
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def markdown_header(header: Sequence[str], columns: int) -> str:
    """Write the two lines above the first row; the columns' names stay empty where there is no header."""
    return markdown_row(header or ("",) * columns) + "\n" + "|---" * columns + "|"
