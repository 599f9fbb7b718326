"""Tables drawn with characters in plain text, as in RFCs: grids of ``+--+`` and ``|``, and columns below dashes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from chunking.document import Row, Table
from chunking.sections import Line

_GRID_RULE = re.compile(r"[+|](?:[-=]+[+|])+")
_DASHES = re.compile(r"[-=]{2,}(?: +[-=]{2,})+")
_DASH = re.compile(r"[-=]+")


def text_table(lines: Sequence[Line]) -> Table | None:
    """Return the table that the lines draw, or None where they are none or its cells cannot be told."""
    return _grid(lines) or _columns(lines)


def _grid(lines: Sequence[Line]) -> Table | None:
    """Read a grid. With more than one row between two rules, a line whose first cell is empty goes on in the row."""
    looks = [line.text.strip() for line in lines]
    rules = [i for i, look in enumerate(looks) if _GRID_RULE.fullmatch(look)]
    if len(rules) < 2 or rules[0] != 0:
        return None
    columns = len(re.findall(r"[+|]", looks[0])) - 1
    bands = [list(range(a + 1, b)) for a, b in itertools.pairwise([*rules, len(lines)]) if b - a > 1]
    cells = {i: [cell.strip() for cell in looks[i].split("|")[1:-1]] for band in bands for i in band}
    if columns < 2 or len(bands) < 2 or any(len(row) != columns for row in cells.values()):
        return None
    header = _joined([cells[i] for i in bands[0]])
    rows = bands[1:] if len(bands) > 2 else _rows(bands[1], cells)
    return Table("", header, tuple(_row(lines, row, _joined([cells[i] for i in row])) for row in rows))


def _columns(lines: Sequence[Line]) -> Table | None:
    """Read columns below a header and a line of dashes; a line without text in the first column goes on in the row."""
    ruled = [i for i, line in enumerate(lines) if _DASHES.fullmatch(line.text.strip())]
    if len(ruled) != 1 or not 0 < ruled[0] < len(lines) - 1:
        return None
    dashes = [match.span() for match in _DASH.finditer(lines[ruled[0]].text)]
    starts = [0, *(start for start, _ in dashes[1:])]
    ends = [*starts[1:], None]
    cells: dict[int, list[str]] = {}
    for i, line in enumerate(lines):
        if i != ruled[0] and any(start and line.text[start - 1 : start].strip() for start in starts[1:]):
            return None
        cells[i] = [line.text[start:end].strip() for start, end in zip(starts, ends, strict=True)]
    rows = _rows(range(ruled[0] + 1, len(lines)), cells)
    header = _joined([cells[i] for i in range(ruled[0])])
    return Table("", header, tuple(_row(lines, row, _joined([cells[i] for i in row])) for row in rows))


def _rows(places: Iterable[int], cells: Mapping[int, Sequence[str]]) -> list[list[int]]:
    """Return the lines of every row: one whose first cell is empty goes on in the row before."""
    rows: list[list[int]] = []
    for i in places:
        if rows and not cells[i][0]:
            rows[-1].append(i)
        else:
            rows.append([i])
    return rows


def _joined(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(" ".join(filter(None, column)) for column in zip(*rows, strict=True))


def _row(lines: Sequence[Line], places: Sequence[int], cells: tuple[str, ...]) -> Row:
    first, last = lines[places[0]], lines[places[-1]]
    return Row(first.start + first.indent, last.start + len(last.text.rstrip()), cells)
