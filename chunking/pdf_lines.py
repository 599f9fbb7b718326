"""Lines of a PDF page in reading order, put together from the words as they were drawn.

Programs draw a page in any order: emphasised words after the sentence they belong to, labels before the text beside
them. So words are joined to runs as drawn, runs that touch on one base line are joined to lines, and the lines are
ordered by their place, column by column where the page has columns.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from chunking.pdf_words import Word, turned_right
from chunking.wide import WIDE

_WORD_GAP = 1.5  # times the font size: a wider gap parts two cells
_BASE, _LEFT = attrgetter("base"), attrgetter("left")
_TOUCHING = 0.6  # times the font size: runs this near on one base line are one line
_MOST_SPACES = 40
_PAGE_NUMBERS = re.compile(r"\d{1,4}(?:[–-]\d{1,4})?,?")
_PATH_END = re.compile(r"(?:(?:^|[\s<(\[\"'“‘])/|\w://)(?:[^\s/]+/)*$|(?:^|\s)www\.\S+/$")
SOFT_HYPHEN = "\u00ad"  # stands in a cell where a word may have a hyphen or none; no document's text has it
_MOST_RUNS = 2000  # a page with more is a drawing or hostile: it is read by height alone


@dataclass(frozen=True, slots=True)
class Cell:
    """A stretch of a line without wide gaps: a table's cell, a label beside a text, or all of the line."""

    text: str
    left: float
    right: float
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What the rows of one table on one page have in common; the same object in each.

    ``columns`` are the x of the columns' borders, one more than there are columns; ``header`` is whether the first row
    names the columns; ``box`` is left, bottom, right, top in points.
    """

    columns: tuple[float, ...]
    header: bool
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PdfLine:
    """One line, or one row of cells: text, page, box in points (y grows upwards), base line, look.

    ``hyphen``: its last word goes on in the next line. ``quarter_turns`` as of its words. ``frame``: it is a row of
    that table, with one cell for each column.
    """

    text: str
    page: int
    left: float
    right: float
    bottom: float
    top: float
    base: float
    bold: bool
    monospaced: bool
    hyphen: bool
    cells: tuple[Cell, ...]
    quarter_turns: int = 0
    frame: Frame | None = None

    @property
    def size(self) -> float:
        """The height of the font, in points."""
        return self.top - self.bottom

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Where it is drawn on the page: left, bottom, right, top, turned text as it lies."""
        upright = self.frame.box if self.frame else (self.left, self.bottom, self.right, self.top)
        return turned_right(*upright, -self.quarter_turns)


@dataclass(slots=True)
class _Run:
    """Words that stand side by side on one line."""

    words: list[Word]
    left: float
    right: float
    bottom: float
    top: float
    base: float

    @property
    def size(self) -> float:
        return self.top - self.bottom


def page_lines(words: Sequence[Word], page: int) -> list[PdfLine]:
    """Return the lines of a page, numbered ``page``, in reading order; turned text stands apart."""
    lines: list[PdfLine] = []
    for turns in dict.fromkeys(word.quarter_turns for word in words):
        runs = _touching(_runs([word for word in words if word.quarter_turns == turns]))
        lines += [_row(row, page) for part in _columns(runs) for row in _rows(part)]
    return lines


def typewritten_as_prose(pages: Sequence[list[PdfLine]]) -> list[list[PdfLine]]:
    """Take the monospaced look from the lines where it is the document's own, as in a printed text file."""
    lengths = [(len(line.text), line.monospaced) for lines in pages for line in lines]
    if sum(length for length, monospaced in lengths if monospaced) <= 0.6 * sum(length for length, _ in lengths):
        return list(pages)
    return [[replace(line, monospaced=False) for line in lines] for lines in pages]


def _runs(words: Sequence[Word]) -> list[_Run]:
    """Join words that follow each other as drawn and stand side by side."""
    runs: list[_Run] = []
    last: _Run | None = None
    for word in words:
        if last is not None and _beside(last, word):
            last.words.append(word)
            last.right = max(last.right, word.right)
            if word.bottom < last.bottom or word.top > last.top:
                last.bottom, last.top = min(last.bottom, word.bottom), max(last.top, word.top)
        else:
            last = _Run([word], word.left, word.right, word.bottom, word.top, word.base)
            runs.append(last)
    return runs


def _beside(run: _Run, word: Word) -> bool:
    bottom, top, before = word.bottom, word.top, run.words[-1]
    size, gap = max(before.top - before.bottom, top - bottom), word.left - run.right
    if not -0.3 * size <= gap <= _WORD_GAP * size:
        return False
    if run.bottom == bottom and run.top == top:
        return top > bottom
    overlap = min(run.top, top) - max(run.bottom, bottom)
    return overlap > 0.5 * min(run.top - run.bottom, top - bottom)


def _touching(runs: list[_Run]) -> list[_Run]:
    """Join runs of one base line that touch, whatever was drawn between them."""
    joined: list[_Run] = []
    for run in sorted(runs, key=lambda run: (-round(run.base), run.left)):
        size, home = run.size, None
        level = 0.15 * size + 0.5
        for other in reversed(joined[-40:]):
            higher = other.base - run.base
            if higher > level + 1:  # and so are all before it, but for what rounding makes of their order
                break
            if abs(higher) <= level and -0.3 * size <= run.left - other.right <= _TOUCHING * size:
                home = other
        if home is None:
            joined.append(run)
            continue
        home.words += run.words
        home.right = max(home.right, run.right)
        home.bottom, home.top = min(home.bottom, run.bottom), max(home.top, run.top)
    return joined


# -- columns ---------------------------------------------------------------------------------------------------------


def _columns(runs: list[_Run], depth: int = 0) -> list[list[_Run]]:
    """Divide the runs at a gutter into what stands above it, left and right of it and below, in reading order."""
    gutter = _gutter(runs) if depth < 3 else None
    if gutter is None:
        return [runs] if runs else []
    across = sorted((run for run in runs if run.left < gutter < run.right), key=lambda run: -run.base)
    parts: list[list[_Run]] = []
    rest = [run for run in runs if not run.left < gutter < run.right]
    for bar in across:  # a line across both columns ends what stands above it
        above = [run for run in rest if run.base > bar.base]
        rest = [run for run in rest if run.base <= bar.base]
        parts += [*_left_and_right(above, gutter, depth), [bar]]
    return parts + _left_and_right(rest, gutter, depth)


def _left_and_right(runs: list[_Run], gutter: float, depth: int) -> list[list[_Run]]:
    left = [run for run in runs if run.right <= gutter]
    right = [run for run in runs if run.left >= gutter]
    return _columns(left, depth + 1) + _columns(right, depth + 1)


def _gutter(runs: Sequence[_Run]) -> float | None:
    """Return the x between two columns of prose, or None.

    It lies in the middle half, is crossed by a tenth of the runs at most, and on both sides stand at least eight
    lines of prose over most of the same height. Rows of a table are no prose: their cells are short.
    """
    if not 20 <= len(runs) <= _MOST_RUNS:
        return None
    left, right = min(run.left for run in runs), max(run.right for run in runs)
    wide = [run for run in runs if run.left < run.right]
    lefts, rights = sorted(run.left for run in wide), sorted(run.right for run in wide)
    for step in range(40):  # from the middle outwards
        x: float = (left + right) / 2 + (right - left) * 0.25 * ((step + 1) // 2 / 20) * (-1) ** step
        crossing = bisect_left(lefts, x) - bisect_right(rights, x)
        if crossing * 10 > len(runs):
            continue
        sides = [[run for run in runs if run.right <= x], [run for run in runs if run.left >= x]]
        if all(_is_prose(side) for side in sides) and _same_height(*sides):
            return x
    return None


def _is_prose(runs: Sequence[_Run]) -> bool:
    if len(runs) < 8:
        return False
    words = sum(len(run.words) for run in runs)
    characters = sum(len(word.text) for run in runs for word in run.words)
    return words >= 4 * len(runs) or characters >= 25 * len(runs) or _is_index(runs)


def _is_index(runs: Sequence[_Run]) -> bool:
    """Whether most lines are entries of an index, or their ends: "valve, 12–14," and "valves" with "217" below."""
    words = sum(run.words[0].text[0].isalpha() for run in runs)
    named = sum(run.words[0].text[0].isalpha() and run.words[-1].text.isdecimal() for run in runs)
    ended = sum(_PAGE_NUMBERS.fullmatch(run.words[-1].text) is not None for run in runs)
    listed = sum(any(word.text.endswith(",") for word in run.words) for run in runs)
    return named >= 0.7 * len(runs) or (words >= 0.4 * len(runs) and min(ended, listed) >= 0.5 * len(runs))


def _same_height(left: Sequence[_Run], right: Sequence[_Run]) -> bool:
    """Whether the two sides share more than half of the height of the lower one."""
    (bottom, top), (other_bottom, other_top) = _height(left), _height(right)
    shared = min(top, other_top) - max(bottom, other_bottom)
    return shared > 0.5 * min(top - bottom, other_top - other_bottom)


def _height(runs: Sequence[_Run]) -> tuple[float, float]:
    bases = [run.base for run in runs]
    return min(bases), max(bases)


# -- rows ------------------------------------------------------------------------------------------------------------


def _rows(runs: Sequence[_Run]) -> list[list[_Run]]:
    """Order the runs from the top down; those on one base line are a row, from left to right."""
    rows: list[list[_Run]] = []
    for run in sorted(runs, key=_BASE, reverse=True):
        if rows and abs(rows[-1][0].base - run.base) <= 0.25 * min(rows[-1][0].size, run.size):
            rows[-1].append(run)
        else:
            rows.append([run])
    return [sorted(row, key=_LEFT) for row in rows]


def _row(row: Sequence[_Run], page: int) -> PdfLine:
    words = [word for run in row for word in run.words] if len(row) > 1 else row[0].words
    bold, monospaced, usual = _look(words)
    cells = tuple([cell_of(run.words) for run in row])
    return PdfLine(
        text=_spaced(words) if monospaced else " ".join([cell.text for cell in cells]),
        page=page,
        left=row[0].left,
        right=max([run.right for run in row]),
        bottom=usual.bottom,
        top=usual.top,
        base=usual.base,
        bold=bold,
        monospaced=monospaced,
        hyphen=words[-1].hyphen,
        cells=cells,
        quarter_turns=words[0].quarter_turns,
    )


def _look(words: Sequence[Word]) -> tuple[bool, bool, Word]:
    """Return whether a line is bold and of fixed pitch, and the first word of its usual size.

    That is the size that most characters have, to the tenth of a point.
    """
    characters = bold = monospaced = 0
    heights: dict[float, int] = {}  # how many characters are so high
    for word in words:
        length, height = len(word.text), word.top - word.bottom
        characters += length
        bold += length if word.bold else 0
        monospaced += length if word.monospaced else 0
        heights[height] = heights.get(height, 0) + length
    first = words[0]
    if len(heights) > 1:
        sizes: dict[float, int] = {}
        for height, length in heights.items():
            size = round(height, 1)
            sizes[size] = sizes.get(size, 0) + length
        usual = max(sizes, key=sizes.__getitem__)
        first = next(word for word in words if round(word.size, 1) == usual)
    return bold * 2 > characters, monospaced > 0 and _is_monospaced(words), first


def _is_monospaced(words: Sequence[Word]) -> bool:
    """Whether a line is set in a fixed pitch, signs aside: those may come from a font of symbols."""
    spelled = [word for word in words if any(map(str.isalnum, word.text))] or words
    return all(word.monospaced for word in spelled)


def cell_of(words: Sequence[Word]) -> Cell:
    """Return the cell that these words make, one after another."""
    return Cell(_joined(words), words[0].left, max([word.right for word in words]), tuple(words))


def row_line(texts: Sequence[str], row: Sequence[Sequence[Word]], page: int, frame: Frame) -> PdfLine:
    """Return a row of a table, given its cells' texts and words."""
    words = [word for cell in row for word in cell]
    first = max(words, key=lambda word: word.base)
    cells = [
        Cell(text, left, right, tuple(cell))
        for text, cell, (left, right) in zip(texts, row, itertools.pairwise(frame.columns), strict=True)
    ]
    return PdfLine(
        text=" ".join(filter(None, texts)).replace(SOFT_HYPHEN, ""),
        page=page,
        left=frame.columns[0],
        right=frame.columns[-1],
        bottom=first.bottom,
        top=first.top,
        base=first.base,
        bold=all(word.bold for word in words),
        monospaced=False,
        hyphen=False,
        cells=tuple(cells),
        quarter_turns=first.quarter_turns,
        frame=frame,
    )


def text_lines(words: Sequence[Word]) -> list[list[Word]]:
    """Return the words of one cell line by line, from the top down and from left to right."""
    falling = sorted(words, key=_BASE, reverse=True)
    if not falling or falling[0].base - falling[-1].base <= 0.5 * falling[0].size:  # one line, as most cells are
        return [sorted(falling, key=_LEFT)] if falling else []
    lines: list[list[Word]] = []
    for word in falling:
        if lines and lines[-1][0].base - word.base <= 0.5 * max(lines[-1][0].size, word.size):
            lines[-1].append(word)
        else:
            lines.append([word])
    return [sorted(line, key=_LEFT) for line in lines]


def written_lines(lines: Sequence[Sequence[Word]]) -> str:
    """Join the lines of a cell. SOFT_HYPHEN stands where a word went on in the next line."""
    text = ""
    for line in lines:
        joined = _joined(line)
        if text.endswith("-") and joined[0].islower():
            text = text[:-1] + SOFT_HYPHEN
        elif (
            text
            and not text.endswith(SOFT_HYPHEN)
            and not ((WIDE.match(text[-1]) and WIDE.match(joined[0])) or parts_path(text, joined))
        ):
            text += " "
        text += joined + (SOFT_HYPHEN if line[-1].hyphen else "")
    return text.removesuffix(SOFT_HYPHEN) + ("-" if text.endswith(SOFT_HYPHEN) else "")


def parts_path(text: str, following: str) -> bool:
    """Whether a line's end parts a path or an address after a slash: "in /usr/" and "share", "by /" and "bin/sh"."""
    match = _PATH_END.search(text)
    if match is None or not (following[0].isalnum() or following[0] in "<{_~."):
        return False
    return len(match[0].strip()) > 1 or "/" in following.split(" ", 1)[0]


def placed(lines: Sequence[PdfLine], tables: Sequence[Sequence[PdfLine]]) -> list[PdfLine]:
    """Put the rows of tables among the lines of their page: before the first line below them, in the same column."""
    merged = list(lines)
    for rows in tables:
        top = rows[0]
        below = [line.quarter_turns == top.quarter_turns and line.base < top.base for line in merged]
        same_column = (
            i for i, line in enumerate(merged) if below[i] and line.left < top.right and top.left < line.right
        )
        at = next(same_column, len(merged))
        while at and below[at - 1] and (at == len(merged) or merged[at - 1].base > merged[at].base):
            at -= 1  # a short line below the table, that does not reach it
        merged[at:at] = rows
    return merged


def _joined(words: Sequence[Word]) -> str:
    """Join words with blanks, but those that touch: a full stop set in another font, two Japanese words."""
    parts = [words[0].text]
    for before, word in itertools.pairwise(words):
        gap, size = word.left - before.right, word.top - word.bottom
        if gap >= 0.12 * size and (gap >= 0.3 * size or not (WIDE.match(before.text[-1]) and WIDE.match(word.text[0]))):
            parts.append(" ")
        parts.append(word.text)
    return "".join(parts)


def _spaced(words: Sequence[Word]) -> str:
    """Join monospaced words with as many blanks as the gaps between them have room for."""
    text = words[0].text
    for before, word in itertools.pairwise(words):
        width = (before.right - before.left) / len(before.text) or 1.0
        text += " " * min(_MOST_SPACES, max(1, round((word.left - before.right) / width))) + word.text
    return text
