"""Running headers, footers and page numbers of a PDF: lines at a page's edge that other pages have too."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chunking.pdf_lines import PdfLine

_PAGE_NUMBER = re.compile(r"^(\d{1,4})\b|\b(\d{1,4})(?:\s*(?:/|of|von|sur|de)\s*\d{1,4})?$")
_LONE_NUMBER = re.compile(r"[ivxlc]{1,7}|(?:[A-Z]|\d{1,3})[-–]\d{1,3}|[-–—]\s*\d{1,4}\s*[-–—]", re.I)


@dataclass(frozen=True, slots=True)
class Running:
    """The running headers and footers of one page, from the top down, and the page number among them ("" if none)."""

    lines: list[PdfLine]
    label: str


def running_lines(pages: Sequence[list[PdfLine]]) -> list[Running]:
    """Find the running headers, footers and page numbers of every page.

    The highest or lowest line of a page is one when its text stands at the same height on three pages or more, or when
    it begins or ends with the page's number; the line next to it is asked when it was one.
    """
    edges = [_edges(lines) for lines in pages]
    repeated = Counter(place for edge in edges for side in edge for line in side for place in _places(line))
    offset = _page_number_offset(edges)

    def running(line: PdfLine) -> bool:
        if line.frame:  # a header that its table repeats on every page
            return False
        whole, *cells = _places(line)
        if repeated[whole] >= 3 or _LONE_NUMBER.fullmatch(line.text):
            return True
        if any(repeated[cell] >= max(3, len(pages) / 3) for cell in cells):  # beside the chapter's name, for one
            return True
        return offset is not None and line.page + offset in _numbers(line.text)

    found = []
    for top, bottom in edges:
        lines = {id(line): line for side in (top, bottom) for line in itertools.takewhile(running, side)}
        in_order = sorted(lines.values(), key=lambda line: -line.base)
        found.append(Running(in_order, next(filter(None, (_label(line, offset) for line in in_order)), "")))
    return found


def _label(line: PdfLine, offset: int | None) -> str:
    """Return the page number that a running line shows, as it is written, or ""."""
    if offset is not None and line.page + offset in _numbers(line.text):
        return str(line.page + offset)
    return next((cell.text.strip("-–— ") for cell in line.cells if _LONE_NUMBER.fullmatch(cell.text)), "")


def _edges(lines: Sequence[PdfLine]) -> tuple[list[PdfLine], list[PdfLine]]:
    """Return the line at the top and that at the bottom, each with a second one if that stands close to it."""
    by_height = sorted(lines, key=lambda line: line.base)
    return _close(by_height[::-1]), _close(by_height)


def _close(lines: Sequence[PdfLine]) -> list[PdfLine]:
    near = len(lines) > 1 and abs(lines[0].base - lines[1].base) < 1.6 * lines[0].size
    return list(lines[: 2 if near else 1])


def _places(line: PdfLine) -> list[tuple[str, int, int]]:
    """Return the text and place of the line, and of each of its cells if it has several."""
    height = round(line.base / 4)
    cells = [(cell.text, height, round(cell.left / 4)) for cell in line.cells] if len(line.cells) > 1 else []
    return [(line.text, height, -1), *cells]


def _numbers(text: str) -> list[int]:
    return [int(number) for match in _PAGE_NUMBER.finditer(text) for number in match.groups() if number]


def _page_number_offset(edges: Sequence[tuple[list[PdfLine], list[PdfLine]]]) -> int | None:
    """Return printed page number minus page index, if at least a third of the pages (and three) agree on it."""
    outermost = [[line for side in edge for line in side] for edge in edges]
    votes = Counter(
        offset for lines in outermost for offset in {n - line.page for line in lines for n in _numbers(line.text)}
    )
    if not votes:
        return None
    offset, count = votes.most_common(1)[0]
    return offset if count >= max(3, len(edges) / 3) else None
