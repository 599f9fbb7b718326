"""Tables of a PDF: which cells stand in which row and column, and the Markdown that is written for them."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chunking.pdf_lines import SOFT_HYPHEN, Cell, PdfLine

_DIVIDED = re.compile(rf"(\S*){SOFT_HYPHEN}(\S*)")


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row and the page on which it begins; one text for each column."""

    page: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table's header, empty where none is recognised, and its rows; all are of one length."""

    header: tuple[str, ...]
    rows: tuple[GridRow, ...]

    @property
    def markdown_header(self) -> str:
        """The two lines above the first row."""
        columns = len(self.rows[0].cells)
        return markdown_row(self.header or ("",) * columns) + "\n" + "|---" * columns + "|"


def markdown_row(cells: Sequence[str]) -> str:
    """Write a row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def grid(lines: Sequence[PdfLine], join: Callable[[re.Match[str]], str]) -> Grid:
    """Return the table that the lines make; ``join`` puts together the parts of a word that a line's end divided."""
    if frame := lines[0].frame:
        rows = [GridRow(line.page, tuple(_DIVIDED.sub(join, cell.text) for cell in line.cells)) for line in lines]
        return Grid(rows[0].cells, tuple(rows[1:])) if frame.header else Grid((), tuple(rows))
    found = _rows(lines)
    starts = _column_starts(lines)
    cells = [GridRow(line.page, _in_columns(parts, starts)) for line, parts in found]
    if len(found) > 1 and found[0][0].bold and not found[1][0].bold:
        return Grid(cells[0].cells, tuple(cells[1:]))
    return Grid((), tuple(cells))


def _rows(lines: Sequence[PdfLine]) -> list[tuple[PdfLine, list[Cell]]]:
    """Return every row's first line and its cells.

    Where rows stand apart, a line close below another holds the second lines of that row's cells. Where all lines
    stand alike, each is a row.
    """
    apart = any(above.base - line.base > 1.5 * line.size for above, line in itertools.pairwise(lines))
    rows: list[tuple[PdfLine, list[Cell]]] = []
    last = None
    for line in lines:
        close = last is not None and 0 < last.base - line.base <= 1.4 * line.size
        if apart and close:
            row, cells = rows[-1]
            for cell in line.cells:
                distances = [abs(above.left - cell.left) for above in row.cells]
                nearest = distances.index(min(distances))
                above = cells[nearest]
                text = above.text + " " + cell.text
                cells[nearest] = Cell(text, above.left, max(above.right, cell.right), above.words + cell.words)
        else:
            rows.append((line, list(line.cells)))
        last = line
    return rows


def _column_starts(lines: Sequence[PdfLine]) -> list[float]:
    """Return where the columns begin: cells that stand one below another are of one column.

    A line with one cell tells nothing: it may run across columns.
    """
    several = [line.cells for line in lines if len(line.cells) > 1] or [line.cells for line in lines]
    columns: list[list[tuple[Cell, int]]] = []
    right = 0.0
    numbered = [(cell, i) for i, cells in enumerate(several) for cell in cells]
    for cell, row in sorted(numbered, key=lambda item: item[0].left):
        if columns and cell.left < right:
            columns[-1].append((cell, row))
        else:
            columns.append([(cell, row)])
        right = max(right, cell.right) if len(columns[-1]) > 1 else cell.right
    return [start for column in columns for start in _parted(column)]


def _parted(column: Sequence[tuple[Cell, int]]) -> list[float]:
    """Part a column where many of its rows have two cells and few a cell that runs across; return the parts' starts."""
    best: tuple[int, float] = (0, 0.0)
    for start in {cell.left for cell, _ in column}:
        across = sum(cell.left < start < cell.right for cell, _ in column)
        before = {row for cell, row in column if cell.right <= start}
        both = len(before & {row for cell, row in column if cell.left >= start})
        if both > 3 * across:
            best = max(best, (both - across, start))
    if not best[0]:
        return [min(cell.left for cell, _ in column)]
    start = best[1]
    return [
        *_parted([(cell, row) for cell, row in column if cell.left < start]),
        *_parted([(cell, row) for cell, row in column if cell.left >= start]),
    ]


def _in_columns(cells: Sequence[Cell], starts: Sequence[float]) -> tuple[str, ...]:
    texts = [""] * len(starts)
    for cell in cells:
        column = max(0, bisect_right(starts, cell.left + 1) - 1)
        texts[column] = f"{texts[column]} {cell.text}".strip()
    return tuple(texts)
