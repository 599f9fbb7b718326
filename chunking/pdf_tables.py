"""Tables of a PDF without lines around their cells, found by their columns; and the Markdown written for all tables."""

from __future__ import annotations

import itertools
import re
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chunking.markdown_table import markdown_header
from chunking.pdf_grids import Row, Stack, header_rows, stacks, turned
from chunking.pdf_lines import SOFT_HYPHEN, Cell, Frame, PdfLine, cell_of, row_line, text_lines, written_lines
from chunking.pdf_rules import Rule
from chunking.pdf_words import Word

_DIVIDED = re.compile(rf"(\S*){SOFT_HYPHEN}(\S*)")
_ROW_GAP = 2.6  # times the font size: rows of one table stand nearer
_COLUMN_GAP = 0.4  # times the font size: columns stand farther apart
_FINER_GAP = 0.7  # times the font size: where rules say that there is a table, so wide a gap may part two cells
_BLANK = 0.5  # times the font size: words of one cell stand nearer
_FULLY_RULED = 3  # bands of lines: with more, a rule stands below each row
_SAME_COLUMN = 3.0  # points between the borders of one column on two pages
_ENDS = (".", "。", ";", ":", "!", "?", "！", "？")
_MOST_LINES = 200  # of one table on one page
_PROSE = 45  # characters: a column of longer cells is text, not figures
_MARK = re.compile(r"[•●○◦▪■□–—*・‣⁃-]|\(?[\divxlcIVXLC]{1,4}[.)]|\(?[a-zA-Z][.)]|\[\w{1,12}\]|\d+(?:\.\d+)+\.?")
_ENTRY = re.compile(r",\s*\d+(?:[–-]\d+)?,?$")
_WORD = re.compile(r"\d|\w\w")
_OPERATOR = re.compile(r"=$|^[+×÷·∕/<>≤≥⌊⌋⌈⌉]$")
_NO_ROW = re.compile(r"::=|(?:\. ?){4,}|…{2,}|:=|[{};]$|−−|--\s|[∂∫√∑∏]")


@dataclass(frozen=True, slots=True)
class GridRow:
    """A row and the page on which it begins; one text for each column."""

    page: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table's header, empty where none is recognised, and its rows (at least one); all are of one length."""

    header: tuple[str, ...]
    rows: tuple[GridRow, ...]

    @property
    def markdown_header(self) -> str:
        """The two lines above the first row."""
        return markdown_header(self.header, len(self.rows[0].cells))


def grid(lines: Sequence[PdfLine], join: Callable[[re.Match[str]], str]) -> Grid:
    """Return the table of these rows; ``join`` puts together the parts of a word that a line's end divided."""
    rows = [GridRow(line.page, tuple(_DIVIDED.sub(join, cell.text) for cell in line.cells)) for line in lines]
    frame = lines[0].frame
    named = frame is not None and frame.header and len(rows) > 1
    return Grid(rows[0].cells, tuple(rows[1:])) if named else Grid((), tuple(rows))


# -- tables over several pages ---------------------------------------------------------------------------------------


def continued(table: Sequence[PdfLine], rows: Sequence[PdfLine]) -> list[PdfLine] | None:
    """Return a table with the rows that go on in it on the next page, None where these are a table of their own.

    They go on where the first row repeats the table's, or where they have no header and the columns are as wide. A
    header that is repeated is left out; a first row that is repeated is a header.
    """
    frame, other = table[-1].frame, rows[0].frame
    if frame is None or other is None or rows[0].page != table[-1].page + 1:
        return None
    head = table[0].frame
    repeated = [cell.text for cell in rows[0].cells] == [cell.text for cell in table[0].cells]
    shift = other.columns[0] - frame.columns[0]
    if len(frame.columns) != len(other.columns) or (other.header and not repeated):
        return None
    if not repeated:
        same = all(abs(b - a - shift) <= _SAME_COLUMN for a, b in zip(frame.columns, other.columns, strict=True))
        return _with_row(table, rows) if same else None
    if head is not None and not head.header:
        named = replace(head, header=True)
        table = [replace(line, frame=named) if line.frame is head else line for line in table]
    return [*table[:1], *_with_row(table[1:], rows[1:])]


def _with_row(table: Sequence[PdfLine], rows: Sequence[PdfLine]) -> list[PdfLine]:
    """Put rows below a table's, the first into the last where it clearly goes on in it: without a first cell."""
    if not table or not rows:
        return [*table, *rows]
    last, first = table[-1], rows[0]
    pairs = list(zip(last.cells, first.cells, strict=True))
    goes_on = [
        bool(above.text) and not above.text.endswith(_ENDS) and (cell.text[0].islower() or ord(cell.text[0]) > 0x3000)
        for above, cell in pairs
        if cell.text
    ]
    if first.cells[0].text or not any(goes_on):
        return [*table, *rows]
    cells = tuple(
        replace(above, text=f"{above.text} {cell.text}".strip(), words=above.words + cell.words)
        for above, cell in pairs
    )
    return [*table[:-1], replace(last, text=f"{last.text} {first.text}", cells=cells), *rows[1:]]


# -- tables by their columns -----------------------------------------------------------------------------------------


def aligned_tables(lines: list[PdfLine], rules: Sequence[Rule]) -> list[PdfLine]:
    """Return the lines of a page with those that are a table's replaced by its rows."""
    turns = {line.quarter_turns for line in lines}
    level = {turn: stacks(rules, turn) for turn in turns}
    upright = {turn: [rule for rule in turned(rules, turn) if not rule.horizontal] for turn in turns}
    finer = [line if line.frame else _finer(line) for line in lines] if any(level.values()) else lines
    result: list[PdfLine] = []
    i = 0
    while i < len(lines):
        turn = lines[i].quarter_turns
        rows, length = _between_rules(finer, i, level[turn], upright[turn])
        if not rows and len(lines[i].cells) > 1:
            rows, length = _below_one_another(lines, i, upright[turn])
        result += rows or lines[i : i + 1]
        i += length if rows else 1
    return result


def _between_rules(
    lines: Sequence[PdfLine], i: int, level: Sequence[Stack], upright: Sequence[Rule]
) -> tuple[list[PdfLine], int]:
    """Return the rows of the table that begins at line ``i`` and how many lines it takes, where level rules part it.

    The lines are those that ``_finer`` returns.
    """
    for stack in level:
        run = list(itertools.takewhile(stack.holds, lines[i : i + _MOST_LINES]))
        if len(run) < 2 or _is_text(run, stack):
            continue
        bands = [list(band) for _, band in itertools.groupby(run, key=lambda line: stack.band(line.base))]
        borders = _borders(run) if len(bands) > 1 else []
        if not borders:
            continue
        limits = (stack.left, *borders, stack.right)
        if any(_within(rule, limits, run[-1].base, run[0].top) for rule in upright):  # a drawing
            continue
        rows = _rows(bands, limits)
        if _filled(rows):
            above = (
                sum(
                    stack.band(max(word.base for cell in row for word in cell)) == stack.band(run[0].base)
                    for row in rows
                )
                if len(bands) == 2
                else 0
            )
            return _table(rows, limits, run[0].page, header=above), len(run)
    return [], 0


def _is_text(lines: Sequence[PdfLine], stack: Stack) -> bool:
    """Whether lines between rules are code, or prose that fills the width."""
    wide = 0.6 * (stack.right - stack.left)
    code = sum(line.monospaced for line in lines)
    return code * 3 > len(lines) or any(len(line.cells) == 1 and line.right - line.left > wide for line in lines)


def _finer(line: PdfLine) -> PdfLine:
    """Part the cells of a line at narrower gaps, where it is known to be in a table."""
    cells: list[Cell] = []
    for cell in line.cells:
        parts = [[cell.words[0]]]
        for before, word in itertools.pairwise(cell.words):
            if word.left - before.right > _FINER_GAP * (word.top - word.bottom):
                parts.append([])
            parts[-1].append(word)
        cells += [cell_of(part) for part in parts] if len(parts) > 1 else [cell]
    return line if len(cells) == len(line.cells) else replace(line, cells=tuple(cells))


def _below_one_another(lines: list[PdfLine], i: int, upright: Sequence[Rule]) -> tuple[list[PdfLine], int]:
    """Return the rows of the table that begins at line ``i`` and how many lines it takes, found by its columns."""
    run = _run(lines, i)
    borders = _borders(run)
    while len(run) > 1 and borders and _outside(run[-1], borders):
        run.pop()
    if len(run) < 2 or not borders or any(_NO_ROW.search(line.text) for line in run):
        return [], 0
    if _in_paragraph(run, lines[max(0, i - 1) : i] + lines[i + len(run) : i + len(run) + 1]):
        return [], 0
    limits = (min(line.left for line in run), *borders, max(line.right for line in run))
    if any(_within(rule, limits, run[-1].base, run[0].top) for rule in upright):  # a drawing
        return [], 0
    rows = _rows([run], limits)
    header = header_rows(rows)
    if len(rows) < (2 if header else 3) or not _filled(rows):
        return [], 0
    if _is_justified(rows[header:]) or not _lines_up(rows[header:]):
        return [], 0
    texts = [[_text(cell) for cell in row] for row in rows[header:]]
    if any(no_table(texts) for no_table in (_is_list, _is_prose, _is_index, _is_formula)):
        return [], 0
    return _table(rows, limits, run[0].page, header=0), len(run)


def _within(rule: Rule, limits: Sequence[float], bottom: float, top: float) -> bool:
    return limits[0] < rule.left and rule.right < limits[-1] and rule.top > bottom and rule.bottom < top


def _run(lines: Sequence[PdfLine], i: int) -> list[PdfLine]:
    """Return the lines from ``i`` on between whose cells a gap goes down."""
    run = [lines[i]]
    covered = _merged(run[0], [])
    narrowest = _COLUMN_GAP * run[0].size
    gaps = _gaps(covered, narrowest)
    for line in lines[i + 1 : i + _MOST_LINES]:
        last = run[-1]
        near = 0 < last.base - line.base <= _ROW_GAP * max(last.size, line.size)
        if not near or line.frame or line.monospaced or line.quarter_turns != last.quarter_turns:
            break
        covered = _merged(line, covered)
        narrower = [
            (left, right) for left, right in _gaps(covered, narrowest) if any(a < right and left < b for a, b in gaps)
        ]
        if not narrower:
            break
        run.append(line)
        gaps = narrower
    return [] if run[0].monospaced or run[0].frame else run


def _merged(line: PdfLine, covered: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the stretches that the cells of a line and of those above it cover, from left to right."""
    merged: list[tuple[float, float]] = []
    for left, right in sorted([*covered, *((cell.left, cell.right) for cell in line.cells)]):
        if merged and left <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], right)
        else:
            merged.append((left, right))
    return merged


def _gaps(covered: Sequence[tuple[float, float]], narrowest: float) -> list[tuple[float, float]]:
    """Return the gaps between stretches that are wider than ``narrowest`` points."""
    return [(right, left) for (_, right), (left, _) in itertools.pairwise(covered) if left - right > narrowest]


def _borders(lines: Sequence[PdfLine]) -> list[float]:
    """Return the x between the columns: many lines have a gap there, and hardly one a cell that runs across."""
    several = [line.cells for line in lines if len(line.cells) > 1]
    if len(several) < 2:
        return []
    edges = sorted({edge for cells in several for cell in cells for edge in (cell.left, cell.right)})
    lefts = sorted(cell.left for cells in several for cell in cells if cell.left < cell.right)
    rights = sorted(cell.right for cells in several for cell in cells if cell.left < cell.right)
    parted = [(cells[0].right, cells[-1].left) for cells in several if cells[0].right <= cells[-1].left]
    firsts, lasts = sorted(right for right, _ in parted), sorted(left for _, left in parted)
    borders = []
    zone: list[float] = []
    for left, right in [*itertools.pairwise(edges), (edges[-1], edges[-1])]:
        x = (left + right) / 2
        across = bisect_left(lefts, x) - bisect_right(rights, x)  # cells that begin before x and end behind it
        apart = bisect_right(firsts, x) - bisect_left(lasts, x) - across
        if right > left and apart >= 2 and across <= max(apart // 5, 0) and not _covered(several, left, right, across):
            zone = [zone[0] if zone else left, right]
        elif zone:
            if zone[1] - zone[0] > _COLUMN_GAP * lines[0].size:
                borders.append((zone[0] + zone[1]) / 2)
            zone = []
    return borders


def _covered(several: Sequence[tuple[Cell, ...]], left: float, right: float, across: int) -> bool:
    """Whether the cells that run across a stretch are those of a column of its own, which few rows fill."""
    return across > 0 and all(
        not (before.right <= left or after.left >= right)
        for cells in several
        for before, after in itertools.pairwise(cells)
        if before.left < left < before.right
    )


def _outside(line: PdfLine, borders: Sequence[float]) -> bool:
    """Whether a line below a table is not part of it: one text in the first column, or one across."""
    return len(line.cells) == 1 and line.left < borders[0]


# -- rows ------------------------------------------------------------------------------------------------------------


def _row(line: PdfLine, limits: Sequence[float]) -> Row:
    """Return the words of a line by column."""
    row: Row = [[] for _ in limits[1:]]
    for cell in line.cells:
        for words in _split(cell.words, limits):
            column = bisect_right(limits, words[0].left + 0.5) - 1
            row[min(max(column, 0), len(row) - 1)] += words
    return row


def _split(words: Sequence[Word], limits: Sequence[float]) -> list[list[Word]]:
    """Part the words of a cell at borders of columns, where the gap is wider than a blank."""
    parts = [[words[0]]]
    for before, word in itertools.pairwise(words):
        if word.left - before.right > _BLANK * (word.top - word.bottom):
            middle = (before.right + word.left) / 2
            border = min(limits, key=lambda limit: abs(limit - middle))
            if before.right <= border + 1 and border - 1 <= word.left:
                parts.append([])
        parts[-1].append(word)
    return parts


def _rows(bands: Sequence[Sequence[PdfLine]], limits: Sequence[float]) -> list[Row]:
    """Return the rows; rules stand between the bands of lines.

    A line close below another goes on in that row, if its words did not fit into the cells above. Where every row has
    its rules, closeness is enough.
    """
    distances = [above.base - line.base for band in bands for above, line in itertools.pairwise(band)]
    closest = min(distances, default=0.0)
    apart = any(distance > 1.25 * closest for distance in distances)
    by_line = [[_row(line, limits) for line in band] for band in bands]
    edges = [
        (min(word.left for word in cell), max(word.right for word in cell))
        for cell in _columns(list(itertools.chain.from_iterable(by_line)))
    ]
    starts = [*(left for left, _ in edges[1:]), edges[-1][1]]
    ends = [right if apart else start for (_, right), start in zip(edges, starts, strict=True)]
    rows: list[Row] = []
    for band, band_parts in zip(bands, by_line, strict=True):
        parts: list[Row] = []
        last = None
        together = len(bands) > _FULLY_RULED or (len(bands) == 2 and band is bands[0])  # a rule below every row
        for line, part in zip(band, band_parts, strict=True):
            near = last is not None and last.base - line.base <= 1.15 * closest
            if near and (together or _goes_on(parts, part, ends, apart)):
                parts.append(part)
            else:
                rows += [_columns(parts)] if parts else []
                parts = [part]
            last = line
        rows.append(_columns(parts))
    return rows


def _columns(rows: Sequence[Row]) -> Row:
    """Return the words of every column, from all rows."""
    return [[word for cell in column for word in cell] for column in zip(*rows, strict=True)]


def _goes_on(row: Sequence[Row], part: Row, ends: Sequence[float], apart: bool) -> bool:
    """Whether a line goes on in the cells of the row above it, whose columns end at ``ends``."""
    filled = [i for i, words in enumerate(part) if words]
    if not apart and len(filled) == len(part):
        return False
    wrapped = []
    for i in filled:
        above = next((line[i] for line in reversed(row) if line[i]), None)
        if above is None:
            return False
        first = part[i][0]
        wrapped.append(above[-1].right + 0.25 * first.size + first.right - first.left > ends[i] - 0.5 * first.size)
    return all(wrapped) or (any(wrapped) and len(filled) < sum(map(bool, row[0])) and (apart or not part[0]))


# -- what is no table ------------------------------------------------------------------------------------------------


def _filled(rows: Sequence[Row]) -> bool:
    """Whether most rows have several cells, and two columns or more have cells in every other row."""
    several = sum(sum(map(bool, row)) > 1 for row in rows)
    full = sum(2 * sum(map(bool, column)) >= len(rows) for column in zip(*rows, strict=True))
    return several >= 2 and several * 5 >= len(rows) * 2 and full >= 2


def _is_list(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first column holds nothing but bullets or numbers of a list."""
    marks = [row[0] for row in rows if row[0]]
    return len(rows[0]) == 2 and sum(_MARK.fullmatch(mark) is not None for mark in marks) * 2 > len(marks)


def _is_prose(rows: Sequence[Sequence[str]]) -> bool:
    """Whether two columns or more hold sentences, as those of a page set in columns do."""
    columns = list(zip(*rows, strict=True))
    return len(columns) == 2 and all(
        statistics.fmean([len(cell) for cell in column if cell] or [0]) > _PROSE for column in columns
    )


def _in_paragraph(run: Sequence[PdfLine], neighbours: Sequence[PdfLine]) -> bool:
    """Whether a line of text above or below begins and ends as the lines do: wide gaps within a justified paragraph."""
    left, right, size = min(line.left for line in run), max(line.right for line in run), run[0].size
    return any(
        len(line.cells) == 1
        and abs(line.left - left) < size
        and abs(line.right - right) < size
        and min(abs(line.base - other.base) for other in (run[0], run[-1])) < 1.6 * size
        for line in neighbours
    )


def _is_justified(rows: Sequence[Row]) -> bool:
    """Whether the last column is text that ends flush right and begins anywhere: justified lines with wide gaps."""
    last = [row[-1] for row in rows if row[-1]]
    if len(last) < 2:
        return True
    words = sum(word.text.isalpha() for cell in last for word in cell)
    flush = [_spread([cell[0].left for cell in last]), _spread([cell[-1].right for cell in last])]
    return words * 2 > sum(map(len, last)) and flush[1] < 1.0 < flush[0]


def _spread(places: Sequence[float]) -> float:
    """Return how far places are from their median, in points, in the mean."""
    middle = statistics.median(places)
    return statistics.fmean(abs(place - middle) for place in places)


def _is_index(rows: Sequence[Sequence[str]]) -> bool:
    """Whether cells are entries of an index: words and page numbers."""
    texts = [cell for row in rows for cell in row if cell]
    return sum(_ENTRY.search(text) is not None for text in texts) * 3 > len(texts)


def _is_formula(rows: Sequence[Sequence[str]]) -> bool:
    """Whether few cells have a word or a number of two characters, or many are an operator or end in one."""
    texts = [cell for row in rows for cell in row if cell]
    words = sum(_WORD.search(text) is not None for text in texts)
    operators = sum(_OPERATOR.search(text) is not None for text in texts)
    return words * 2 < len(texts) or operators * 5 >= len(texts)


def _lines_up(rows: Sequence[Row]) -> bool:
    """Whether the cells of a column begin, end or are centred on one x: the gaps of justified lines stand anywhere."""
    for column in zip(*rows, strict=True):
        cells = [text_lines(cell)[0] for cell in column if cell]
        if len(cells) < 2:
            continue
        edges = [[line[0].left for line in cells], [line[-1].right for line in cells]]
        edges.append([(left + right) / 2 for left, right in zip(*edges, strict=True)])
        near = 0.5 * cells[0][0].size
        middles = map(statistics.median, edges)
        if 5 * max(_around(middle, near, places) for middle, places in zip(middles, edges, strict=True)) < 3 * len(
            cells
        ):
            return False
    return True


def _around(middle: float, near: float, places: Sequence[float]) -> int:
    return sum(abs(place - middle) < near for place in places)


def _text(words: Sequence[Word]) -> str:
    return written_lines(text_lines(words))


def _table(rows: Sequence[Row], limits: Sequence[float], page: int, header: int) -> list[PdfLine]:
    """Return the rows as lines; the first are the header if they look like it, or as many as rules say (``header``)."""
    count = header_rows(rows) or (header if header < len(rows) else 0)
    heading = [[word for row in rows[:count] for word in row[i]] for i in range(len(limits) - 1)]
    kept = [heading, *rows[count:]] if count else rows
    words = [word for row in rows for cell in row for word in cell]
    box = (limits[0], min(word.bottom for word in words), limits[-1], max(word.top for word in words))
    frame = Frame(tuple(limits), bool(count), box)
    return [row_line([_text(cell) for cell in row], row, page, frame) for row in kept]
