"""Tables between ruling lines: the words of a page that stand in a grid are taken out as rows of cells."""

from __future__ import annotations

import itertools
import statistics
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chunking.pdf_lines import Frame, PdfLine, row_line, text_lines, written_lines
from chunking.pdf_rules import Rule
from chunking.pdf_words import Word, turned_right

_TOUCHING = 3.0  # points between rules that meet
_ONE_BORDER = 4.0  # points between the rules of a double border
_DOUBLE = 1.0  # points, at least, between the rules of a double border
_MOST_PAIRS = 2_000_000  # of level and upright rules: with more, a page is a drawing or hostile
_MOST_PLACES = 5000
_HEADER_GAP = 2.2  # times the font size: how far above the rules a header may stand
_MOST_HEADER_ROWS = 3
_CELL_GAP = 1.0  # times the font size: words of one cell stand nearer


@dataclass(slots=True)
class _Lattice:
    """Rules that meet, and the borders they draw: x of the columns' from the left, y of the rows' from the top."""

    level: list[Rule]
    upright: list[Rule]
    columns: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)

    def borders(self) -> None:
        """Find the borders; tables without lines at their sides end where the others do."""
        lefts, rights = [rule.left for rule in self.level], [rule.right for rule in self.level]
        tops, bottoms = [rule.top for rule in self.upright], [rule.bottom for rule in self.upright]
        x = [(rule.left + rule.right) / 2 for rule in self.upright]
        y = [(rule.bottom + rule.top) / 2 for rule in self.level]
        self.columns = _merged([*x, min(lefts), max(rights)])
        self.rows = _merged([*y, min(bottoms), max(tops)])[::-1]

    @property
    def places(self) -> int:
        """How many cells there are where none is joined with another."""
        return (len(self.rows) - 1) * (len(self.columns) - 1)

    @property
    def rows_above_double_rule(self) -> int:
        """How many rows a double rule parts from those below: the header's, where it is not below half of them."""
        whole = [rule for rule in self.level if rule.right - rule.left > 0.9 * (self.columns[-1] - self.columns[0])]
        heights = sorted(((rule.bottom + rule.top) / 2 for rule in whole), reverse=True)
        for above, below in itertools.pairwise(heights):
            if _DOUBLE < above - below <= _ONE_BORDER:
                rows = sum(row > above + _ONE_BORDER for row in self.rows)
                if rows:
                    return rows if rows <= min(_MOST_HEADER_ROWS, (len(self.rows) - 1) // 2) else 0
        return 0

    def parts_columns(self, border: int, row: int) -> bool:
        """Whether a line stands between the columns on both sides of a border, in a row."""
        y = (self.rows[row] + self.rows[row + 1]) / 2
        x = self.columns[border]
        return any(
            rule.bottom <= y <= rule.top and abs((rule.left + rule.right) / 2 - x) <= _ONE_BORDER
            for rule in self.upright
        )

    def parts_rows(self, border: int, column: int) -> bool:
        """Whether a line stands between the rows above and below a border, in a column."""
        x = (self.columns[column] + self.columns[column + 1]) / 2
        y = self.rows[border]
        return any(
            rule.left <= x <= rule.right and abs((rule.bottom + rule.top) / 2 - y) <= _ONE_BORDER for rule in self.level
        )


def _merged(places: Iterable[float]) -> list[float]:
    """Return the places in ascending order, those of one border as their mean."""
    groups: list[list[float]] = []
    for place in sorted(places):
        if groups and place - groups[-1][-1] <= _ONE_BORDER:
            groups[-1].append(place)
        else:
            groups.append([place])
    return [statistics.fmean(group) for group in groups]


def ruled_tables(words: Sequence[Word], rules: Sequence[Rule], page: int) -> tuple[list[list[PdfLine]], list[Word]]:
    """Return the tables of a page that rules draw, each as its rows, and the words that stand in none of them."""
    if len(rules) < 3:
        return [], list(words)
    tables: list[list[PdfLine]] = []
    rest: list[Word] = []
    for turns in dict.fromkeys(word.quarter_turns for word in words):
        left = [word for word in words if word.quarter_turns == turns]
        for lattice in _lattices(turned(rules, turns)):
            rows, taken = _table(lattice, left, page)
            if rows:
                tables.append(rows)
                left = [word for word in left if id(word) not in taken]
        rest += left
    return tables, rest


# -- rules -----------------------------------------------------------------------------------------------------------


def _lattices(rules: Sequence[Rule]) -> list[_Lattice]:
    """Return the sets of rules that meet one another, of two columns or more, from the top of the page down."""
    level = _joined([rule for rule in rules if rule.horizontal], level=True)
    upright = _joined([rule for rule in rules if not rule.horizontal], level=False)
    if not level or not upright or len(level) * len(upright) > _MOST_PAIRS:
        return []
    home = list(range(len(level) + len(upright)))

    def root(i: int) -> int:
        while home[i] != i:
            home[i] = home[home[i]]
            i = home[i]
        return i

    for i, flat in enumerate(level):
        for j, high in enumerate(upright, len(level)):
            if _meet(flat, high):
                home[root(i)] = root(j)
    members: dict[int, _Lattice] = defaultdict(lambda: _Lattice([], []))
    for i, rule in enumerate(itertools.chain(level, upright)):
        lattice = members[root(i)]
        (lattice.level if i < len(level) else lattice.upright).append(rule)
    found = [lattice for lattice in members.values() if len(lattice.level) >= 2 and lattice.upright]
    for lattice in found:
        lattice.borders()
    tables = [lattice for lattice in found if len(lattice.columns) > 2 and lattice.places <= _MOST_PLACES]
    return sorted(tables, key=lambda lattice: -lattice.rows[0])


def _meet(flat: Rule, high: Rule) -> bool:
    return (
        flat.left - _TOUCHING <= high.right
        and high.left <= flat.right + _TOUCHING
        and high.bottom - _TOUCHING <= flat.top
        and flat.bottom <= high.top + _TOUCHING
    )


@dataclass(frozen=True, slots=True)
class Stack:
    """Level rules below one another that begin and end alike: their ends, and their y from the bottom up."""

    left: float
    right: float
    heights: tuple[float, ...]

    def holds(self, line: PdfLine) -> bool:
        """Whether a line stands between the highest and the lowest, and is not part of a table yet."""
        across = self.left - 2 <= line.left and line.right <= self.right + 2
        return line.frame is None and across and self.heights[0] < line.base < self.heights[-1]

    def band(self, base: float) -> int:
        """Return the number of rules below a base line."""
        return bisect_right(self.heights, base)


def stacks(rules: Sequence[Rule], quarter_turns: int) -> list[Stack]:
    """Return the stacks of three level rules or more, for words that are turned so often.

    Upright rules at their ends make them higher: a row at a page's end may have no line below it.
    """
    ends: dict[tuple[int, int], list[Rule]] = defaultdict(list)
    all_rules = turned(rules, quarter_turns)
    for rule in _joined([rule for rule in all_rules if rule.horizontal], level=True):
        left, right = round(rule.left / _TOUCHING), round(rule.right / _TOUCHING)
        near = ((left + i, right + j) for i in (0, -1, 1) for j in (0, -1, 1))
        ends[next((key for key in near if key in ends), (left, right))].append(rule)
    upright = _joined([rule for rule in all_rules if not rule.horizontal], level=False)
    found = []
    for level in ends.values():
        for part in _by_thickness(sorted(level, key=lambda rule: rule.bottom)):
            heights = [(rule.bottom + rule.top) / 2 for rule in part]
            for rule in upright:
                at_side = min(abs(rule.left - part[0].left), abs(rule.right - part[0].right)) < _TOUCHING
                if at_side and rule.bottom < max(heights) and min(heights) < rule.top:
                    heights += [rule.bottom, rule.top]
            found.append(Stack(part[0].left, part[0].right, tuple(_merged(heights))))
    return [stack for stack in found if 3 <= len(stack.heights) <= _MOST_PLACES]


def _by_thickness(level: Sequence[Rule]) -> list[list[Rule]]:
    """Part rules below one another, of several tables, where a table begins and ends with a thicker one."""
    thin = min(rule.top - rule.bottom for rule in level)
    thick = [i for i, rule in enumerate(level) if rule.top - rule.bottom > 1.3 * thin]
    if len(thick) < 2 or thick[-1] != len(level) - 1:
        return [list(level)]
    return [list(level[first : last + 1]) for first, last in itertools.pairwise(thick) if last - first > 1]


def turned(rules: Sequence[Rule], quarter_turns: int) -> list[Rule]:
    """Return the rules as they stand beside words that are turned so often, once these stand upright."""
    if not quarter_turns % 4:
        return list(rules)
    return [Rule(*turned_right(rule.left, rule.bottom, rule.right, rule.top, quarter_turns)) for rule in rules]


def _joined(rules: Sequence[Rule], level: bool) -> list[Rule]:
    """Join rules that go on one another: many programs draw the border of each cell."""
    lines: dict[int, list[Rule]] = defaultdict(list)
    for rule in rules:
        lines[round(rule.bottom + rule.top if level else rule.left + rule.right)].append(rule)
    joined: list[Rule] = []
    for line in lines.values():
        line.sort(key=lambda rule: rule.left if level else rule.bottom)
        last = line[0]
        for rule in line[1:]:
            gap = rule.left - last.right if level else rule.bottom - last.top
            if gap <= _TOUCHING:
                last = Rule(
                    min(last.left, rule.left),
                    min(last.bottom, rule.bottom),
                    max(last.right, rule.right),
                    max(last.top, rule.top),
                )
            else:
                joined.append(last)
                last = rule
        joined.append(last)
    return joined


# -- cells -----------------------------------------------------------------------------------------------------------

Row = list[list[Word]]  # the words of every column


def _table(lattice: _Lattice, words: Sequence[Word], page: int) -> tuple[list[PdfLine], set[int]]:
    """Return the rows of the table and the ids of their words; no rows where it is a drawing or a frame around text."""
    rows, headings = _bands(lattice, words)
    if sum(sum(map(bool, row)) > 1 for row in rows) < 2 or sum(map(any, zip(*rows, strict=True))) < 2:
        return [], set()
    taken = {id(word) for row in rows for cell in row for word in cell}
    above = _header_above(lattice, [word for word in words if id(word) not in taken])
    if above:
        headings = above
        taken |= {id(word) for row in above for cell in row for word in cell}
    else:
        count = header_rows(headings) or lattice.rows_above_double_rule
        over_all = [row for row, names in zip(rows[:count], headings, strict=False) if _is_one_text(names)]
        headings, rows = [row for row in headings[:count] if not _is_one_text(row)], [*over_all, *rows[count:]]
    box = (lattice.columns[0], lattice.rows[-1], lattice.columns[-1], lattice.rows[0])
    frame = Frame(tuple(lattice.columns), bool(headings), box)
    header = [tuple(_header(column) for column in zip(*headings, strict=True))] if headings else []
    texts = [*header, *(tuple(_text(cell) for cell in row) for row in rows)]
    looks = [headings[-1], *rows] if headings else rows
    return [row_line(cells, look, page, frame) for cells, look in zip(texts, looks, strict=True)], taken


def _bands(lattice: _Lattice, words: Sequence[Word]) -> tuple[list[Row], list[Row]]:
    """Return the rows twice: as rows of the table, and as rows of a header.

    A cell over several rows stands in each; one over several columns in the first, in a header in each.
    """
    rows, columns = len(lattice.rows) - 1, len(lattice.columns) - 1
    held: dict[tuple[int, int], list[Word]] = defaultdict(list)
    rising = lattice.rows[::-1]
    for word in words:
        column = _place(lattice.columns, (word.left + word.right) / 2)
        row = _place(rising, word.base + 0.3 * word.size)
        if column is not None and row is not None:
            held[rows - 1 - row, column].append(word)
    body: list[Row] = [[[] for _ in range(columns)] for _ in range(rows)]
    heading: list[Row] = [[[] for _ in range(columns)] for _ in range(rows)]
    for places in _cells(lattice):
        inside = [(place, word) for place in places for word in held[place]]
        first_column = min(column for _, column in places)
        across = len({column for _, column in places}) > 1
        if across and _stands_apart([word for _, word in inside], lattice.columns):
            for (row, column), word in inside:
                body[row][column].append(word)
                heading[row][column].append(word)
            continue
        lines = text_lines([word for _, word in inside]) if across else []
        if len(lines) > 1 and _stands_apart(lines[-1], lattice.columns):  # names below a name that they have in common
            common = {id(word) for line in lines[:-1] for word in line}
        else:
            common = {id(word) for _, word in inside}
        for row, column in places:
            heading[row][column] = [word for place, word in inside if id(word) in common or place[1] == column]
            if column == first_column:
                body[row][column] = [word for _, word in inside]
    full = [row for row in range(rows) if any(body[row])]
    groups = any(len(_parted(body[row], lattice.columns, len(full))) > 2 for row in full)
    parted = [part for row in full for part in _parted(body[row], lattice.columns, len(full), groups)]
    return parted, [heading[row] for row in full]


def _place(borders: Sequence[float], at: float) -> int | None:
    """Return between which two of the ascending borders a place lies."""
    i = bisect_right(borders, at)
    return i - 1 if 0 < i < len(borders) else None


def _cells(lattice: _Lattice) -> list[list[tuple[int, int]]]:
    """Return the cells, each as the (row, column) places between which no line stands."""
    rows, columns = len(lattice.rows) - 1, len(lattice.columns) - 1
    cells: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for row, column in itertools.product(range(rows), range(columns)):
        cell = [(row, column)]
        open_sides = []
        if column and not lattice.parts_columns(column, row):
            open_sides.append((row, column - 1))
        if row and not lattice.parts_rows(row, column):
            open_sides.append((row - 1, column))
        for side in open_sides:
            other = cells[side]
            if other is not cell:
                cell = other + cell if len(other) >= len(cell) else cell + other
                for place in cell:
                    cells[place] = cell
        cells[row, column] = cell
    return list({id(cell): cell for cell in cells.values()}.values())


def _stands_apart(words: Sequence[Word], borders: Sequence[float]) -> bool:
    """Whether words between which no line stands are texts of several columns all the same: none runs across."""
    places = set()
    for line in text_lines(words):
        for before, word in itertools.pairwise(line):
            if word.left - before.right < _CELL_GAP * word.size and _place(borders, before.right) != _place(
                borders, word.left
            ):
                return False
        if any(_place(borders, word.left + 1) != _place(borders, word.right - 1) for word in line):
            return False
        places |= {_place(borders, (word.left + word.right) / 2) for word in line}
    return len(places) > 1


def _parted(row: Row, columns: Sequence[float], rows: int, groups: bool = False) -> list[Row]:
    """Part a row of a table that has lines only around its header, body or groups: where its columns have like lines.

    In a table of many rows a cell may as well be a text of several lines: then the lines must have been ended on
    purpose, with room for the next word (two lines in every column), and none may go on in the next. ``groups``: rows
    of three lines and more were parted in the table.
    """
    cells = [(text_lines(cell), limits) for cell, limits in zip(row, itertools.pairwise(columns), strict=True) if cell]
    counts = {len(lines) for lines, _ in cells}
    if len(cells) < 2 or len(counts) > 1 or counts == {1}:
        return [row]
    size = cells[0][0][0][0].size
    bases = [[line[0].base for line in lines] for lines, _ in cells]
    if any(max(level) - min(level) > 0.3 * size for level in zip(*bases, strict=True)):
        return [row]
    if rows > (2 if len(bases[0]) < 3 else 3):
        ends = [[(*pair, right) for pair in itertools.pairwise(lines)] for lines, (_, right) in cells]
        ended = sum(3 * sum(itertools.starmap(_is_full, column)) <= len(column) for column in ends)
        wrapped = any(itertools.starmap(_is_wrapped, itertools.chain.from_iterable(ends)))
        if wrapped or ended < (1 if groups or len(bases[0]) > 2 else len(cells)):
            return [row]
    parted = [text_lines(cell) for cell in row]
    return [[cell[i] if cell else [] for cell in parted] for i in range(len(bases[0]))]


def _is_full(line: Sequence[Word], following: Sequence[Word], right: float) -> bool:
    """Whether the next line's first word had no room on a line of a cell that ends at ``right``."""
    first = following[0]
    return line[-1].right + 0.25 * first.size + first.right - first.left > right - 0.25 * first.size


def _is_wrapped(line: Sequence[Word], following: Sequence[Word], right: float) -> bool:
    """Whether a line of a cell goes on in the next: it is full, and the next does not begin anew."""
    return line[-1].hyphen or (len(line) > 1 and following[0].text[0].islower() and _is_full(line, following, right))


def header_rows(rows: Sequence[Row]) -> int:
    """Return how many of the first rows are the header: those all bold above others, or one in a font of its own."""
    bold = len(list(itertools.takewhile(_is_bold, rows[:_MOST_HEADER_ROWS])))
    if 0 < bold < len(rows):
        return bold
    fonts = [{word.font for cell in row for word in cell} for row in rows]
    return int(len(rows) > 2 and len(_texts(rows[0])) > 1 and not fonts[0] & set[str]().union(*fonts[1:]))


def _is_bold(row: Row) -> bool:
    """Whether a row looks like a header's: all its words bold, and not one text that runs over the whole table."""
    return len(_texts(row)) > 1 and all(word.bold for cell in row for word in cell)


def _is_one_text(row: Row) -> bool:
    """Whether one text stands over all columns of a header: "continued from previous page" names none of them."""
    return len(row) > 2 and all(row) and len(_texts(row)) == 1


def _texts(row: Row) -> set[str]:
    return {_text(cell) for cell in row if cell}


def _header(column: Sequence[list[Word]]) -> str:
    """Return the name of a column, from all rows of the header: "Range min"."""
    return " ".join(dict.fromkeys(filter(None, map(_text, column))))


def _header_above(lattice: _Lattice, words: Sequence[Word]) -> list[Row]:
    """Return the header that stands above the rules: names over half of the columns or more, none over two."""
    left, right, top = lattice.columns[0], lattice.columns[-1], lattice.rows[0]
    near = [
        word
        for word in words
        if left - 1 <= word.left and word.right <= right + 1 and 0 <= word.base - top <= _HEADER_GAP * word.size
    ]
    lines = text_lines(near)
    if not lines or lines[-1][0].base - top > lines[-1][0].size or not _stands_apart(near, lattice.columns):
        return []
    row: Row = [[] for _ in lattice.columns[1:]]
    for word in near:
        row[_place(lattice.columns, (word.left + word.right) / 2) or 0].append(word)
    return [row] if sum(map(bool, row)) * 2 > len(row) else []


def _text(words: Sequence[Word]) -> str:
    return written_lines(text_lines(words))
