"""Running headers, footers and page numbers of a PDF: lines at a page's edge that other pages have too."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chunking.pdf_lines import PdfLine

_PAGE_NUMBER = re.compile(r"^(\d{1,4})\b|\b(\d{1,4})(?:\s*(?:/|of|von|sur|de)\s*\d{1,4})?$")
_ROMAN_NUMBER = re.compile(r"^([ivxlc]{1,8})\b|\b([ivxlc]{1,8})$", re.I)
_ROMAN = re.compile(r"(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_LONE_NUMBER = re.compile(r"(?:[A-Z]|\d{1,3})[-–]\d{1,3}|[-–—]\s*\d{1,4}\s*[-–—]")
_NEAR = 6  # pages: a chapter's header stands on several of so many before and after, often on every other
_FEW = 10  # one page in so many has what stands on the first pages of chapters alone


@dataclass(frozen=True, slots=True)
class Running:
    """The running headers and footers of one page, from the top down, and the page number among them ("" if none)."""

    lines: list[PdfLine]
    label: str


@dataclass(frozen=True, slots=True)
class _Offsets:
    """Printed page number minus page index, of Arabic and of Roman numbers; None where the pages agree on none."""

    arabic: int | None
    roman: int | None

    def label(self, line: PdfLine) -> str:
        """Return the number of its page that a line begins or ends with, as it is written, or ""."""
        for offset, numbers in ((self.arabic, _numbers(line.text)), (self.roman, _roman_numbers(line.text))):
            written = numbers.get(line.page + offset, "") if offset is not None else ""
            if written:
                return written
        return ""


def running_lines(pages: Sequence[list[PdfLine]]) -> list[Running]:
    """Find the running headers, footers and page numbers of every page.

    The highest or lowest line of a page is one when its text stands at the same height on three pages near it or on
    many of the document, or when it begins or ends with the page's number; the line next to it is asked when it was
    one. A line of the text that happens to stand first on pages far apart is none.
    """
    edges = [_edges(lines) for lines in pages]
    standing: dict[_Place, list[int]] = defaultdict(list)
    for line in itertools.chain.from_iterable(side for edge in edges for side in edge):
        for place in _places(line):
            standing[place].append(line.page)
    offsets = _Offsets(
        _page_number_offset(edges, _numbers, max(3, len(edges) / 3)), _page_number_offset(edges, _roman_numbers, 2)
    )

    def near_by(place: _Place, page: int) -> int:
        on = standing[place]
        return bisect_right(on, page + _NEAR) - bisect_left(on, page - _NEAR)

    def running(line: PdfLine) -> bool:
        if line.frame:  # a header that its table repeats on every page
            return False
        whole, *cells = _places(line)
        on = standing[whole]
        near = max(map(near_by, (whole, *(cells if len(cells) == 1 else ())), itertools.repeat(line.page)))
        if near >= 3 or len(on) >= max(3, len(pages) / _FEW) or _LONE_NUMBER.fullmatch(line.text):
            return True
        if any(len(standing[cell]) >= max(3, len(pages) / 3) for cell in cells):  # beside the chapter's name, for one
            return True
        return bool(offsets.label(line))

    found = []
    for top, bottom in edges:
        lines = {id(line): line for side in (top, bottom) for line in itertools.takewhile(running, side)}
        in_order = sorted(lines.values(), key=lambda line: -line.base)
        found.append(Running(in_order, next(filter(None, (_label(line, offsets) for line in in_order)), "")))
    return found


def _label(line: PdfLine, offsets: _Offsets) -> str:
    """Return the page number that a running line shows, as it is written, or ""."""
    lone = (cell.text.strip("-–— ") for cell in line.cells if _LONE_NUMBER.fullmatch(cell.text))
    return offsets.label(line) or next(lone, "")


def _edges(lines: Sequence[PdfLine]) -> tuple[list[PdfLine], list[PdfLine]]:
    """Return the line at the top and that at the bottom, each with a second one if that stands close to it."""
    by_height = sorted(lines, key=lambda line: line.base)
    return _close(by_height[::-1]), _close(by_height)


def _close(lines: Sequence[PdfLine]) -> list[PdfLine]:
    near = len(lines) > 1 and abs(lines[0].base - lines[1].base) < 1.6 * lines[0].size
    return list(lines[: 2 if near else 1])


_Place = tuple[str, int, int]


def _places(line: PdfLine) -> list[_Place]:
    """Return the text and place of the line, and of each of its cells: one may stand alone elsewhere."""
    height = round(line.base / 4)
    cells = [(cell.text, height, round(cell.left / 4)) for cell in line.cells]
    return [(line.text, height, -1), *cells]


def _numbers(text: str) -> dict[int, str]:
    """Return the Arabic numbers at a line's begin and end: value → as it is written."""
    return {int(number): number for match in _PAGE_NUMBER.finditer(text) for number in match.groups() if number}


def _roman_numbers(text: str) -> dict[int, str]:
    """Return the Roman numbers at a line's begin and end: value → as it is written."""
    written = [number for match in _ROMAN_NUMBER.finditer(text) for number in match.groups() if number]
    found = {}
    for number in written:
        if _ROMAN.fullmatch(number.lower()):
            values = [_ROMAN_VALUES[letter] for letter in number.lower()]
            found[sum(-a if a < b else a for a, b in itertools.zip_longest(values, values[1:], fillvalue=0))] = number
    return found


def _page_number_offset(
    edges: Sequence[tuple[list[PdfLine], list[PdfLine]]], numbers: Callable[[str], dict[int, str]], enough: float
) -> int | None:
    """Return printed page number minus page index, if ``enough`` pages agree on it."""
    outermost = [[line for side in edge for line in side] for edge in edges]
    votes = Counter(
        offset for lines in outermost for offset in {n - line.page for line in lines for n in numbers(line.text)}
    )
    if not votes:
        return None
    offset, count = votes.most_common(1)[0]
    return offset if count >= enough else None
