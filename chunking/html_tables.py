"""The cells of an HTML table, those over several rows or columns included."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

from bs4.element import Tag

_MOST_CELLS = 50_000
_WIDEST = 100  # columns that one cell may take


def html_rows(table: Tag, text_of: Callable[[Tag], str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the header (empty where there is none) and a row for every other ``tr``; all are of one length.

    A cell over several rows stands in each; one over several columns in the first, in a header in each: the rows of a
    header are joined, as "Range min". Raises ValueError for more cells than a table has.
    """
    trs = table.find_all("tr")
    header = len(list(takewhile(_is_header, trs)))
    if header == len(trs):
        header = 0
    grid: list[dict[int, str]] = [{} for _ in trs]
    taken = 0
    for i, tr in enumerate(trs):
        column = 0
        for cell in tr.find_all(["td", "th"], recursive=False):
            while column in grid[i]:
                column += 1
            text = text_of(cell)
            across = min(_span(cell, "colspan"), _WIDEST)
            down = _span(cell, "rowspan") or len(trs)
            down = min(down, (header if i < header else len(trs)) - i)
            taken += across * down
            if taken > _MOST_CELLS:
                raise ValueError(f"more than {_MOST_CELLS} cells")
            for row in range(i, i + down):
                for k in range(column, column + across):
                    grid[row].setdefault(k, text if k == column or i < header else "")
            column += across
    columns = max((max(row, default=-1) + 1 for row in grid), default=0)
    rows = [tuple(row.get(k, "") for k in range(columns)) for row in grid]
    names = tuple(" ".join(dict.fromkeys(filter(None, name))) for name in zip(*rows[:header], strict=True))
    return names, rows[header:]


def _is_header(tr: Tag) -> bool:
    cells = tr.find_all(["td", "th"], recursive=False)
    in_head = tr.parent is not None and tr.parent.name == "thead"
    return bool(cells) and (in_head or all(cell.name == "th" for cell in cells))


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name, "1")).strip()
    return int(value) if value.isdecimal() and len(value) < 6 else 1
