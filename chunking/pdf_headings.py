"""Headings of a PDF: the lines that its outline names, and those that number and look tell; and its title."""

from __future__ import annotations

import itertools
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from chunking.pdf_lines import PdfLine
from chunking.pdf_words import Bookmark, printable
from chunking.sections import follows, is_known_heading, parse_numbered, reads_like_title

_LABEL_LINE = re.compile(r"(?:chapter|appendix|part|annex)\s+[\dA-Z]{1,4}|第\s*\d+\s*[章部編]", re.I)
_NUMBER_PREFIX = re.compile(
    r"(?:chapter|appendix|part|annex|section|table|figure)?\s*(?:\d{1,3}|[A-Z])(?:\.\d{1,3})*\s*[.:]?\s+|第\s*\d+\s*[章部編節]\s*",
    re.I,
)
_HEADING_WORDS = 160
_NO_TITLE = re.compile(r"untitled.*|microsoft word.*|.*\.(docx?|pdf|tex|dvi|ps|indd|fm|xml)|", re.I)
_SAME_SIZE = 0.3  # points


def _look(line: PdfLine) -> tuple[str, float]:
    return line.cells[0].words[0].font, round(line.size, 1)


@lru_cache(maxsize=1024)  # the lines of a page are compared with each entry of the outline that names it
def _plain(text: str) -> str:
    return re.sub(r"\W", "", unicodedata.normalize("NFKC", text)).lower()


def _unnumbered(text: str) -> str:
    return _plain(_NUMBER_PREFIX.sub("", text.strip(), count=1))


def outline_headings(pages: Sequence[list[PdfLine]], outline: Sequence[Bookmark]) -> dict[int, tuple[int, int]]:
    """Find the lines that the outline's entries name: ``id`` of the first line → (number of lines, level)."""
    found: dict[int, tuple[int, int]] = {}
    taken: set[int] = set()
    tops = [bookmark for bookmark in outline if bookmark.level == 1]
    titled = len(outline) > 3 * len(tops) and len({top.page for top in tops}) == 1  # all else is below the title
    for bookmark in outline:
        wanted = {_plain(bookmark.title), _unnumbered(bookmark.title)} - {""}
        candidates = []
        for lines in pages[bookmark.page - 1 : bookmark.page + 1]:
            candidates += [(lines, i, n) for i, n in _matches(lines, wanted) if id(lines[i]) not in taken]
            if candidates:
                break
        if not candidates:
            continue
        lines, i, length = max(candidates, key=lambda candidate: candidate[0][candidate[1]].size)
        while i and id(lines[i - 1]) not in taken and _LABEL_LINE.fullmatch(lines[i - 1].text):
            i, length = i - 1, length + 1  # "Chapter 4" stands on a line of its own above
        taken.update(id(line) for line in lines[i : i + length])
        found[id(lines[i])] = (length, max(1, bookmark.level - titled))
    return found


def _matches(lines: Sequence[PdfLine], wanted: set[str]) -> Iterator[tuple[int, int]]:
    longest = max(map(len, wanted), default=0)
    for i in range(len(lines)):
        joined = ""
        for length in range(1, min(4, len(lines) - i) + 1):
            if lines[i + length - 1].frame:
                break
            joined += " " + lines[i + length - 1].text
            plain = _plain(joined)
            if len(plain) > longest + 20:
                break
            if plain in wanted or _unnumbered(joined) in wanted:
                yield i, length
                break


class HeadingFinder:
    """Decides by number and look which lines are headings, where there is no outline or below its lowest entries."""

    def __init__(self, lines: Sequence[PdfLine], outlined: Mapping[int, tuple[int, int]]) -> None:
        """``outlined`` is what ``outline_headings`` found among the lines."""
        sizes: Counter[float] = Counter()
        for line in lines:
            sizes[round(line.size, 1)] += len(line.text)
        self._body = sizes.most_common(1)[0][0] if sizes else 10.0
        self._bold_body = sum(len(line.text) for line in lines if line.bold) * 2 > sum(len(line.text) for line in lines)
        self._larger = {size for size, count in sizes.items() if size > 1.15 * self._body and count >= 4}
        self._outlined = bool(outlined)
        self._looks = self._outlined_looks(lines, outlined)
        self._above: list[tuple[float, int]] = []  # size and level of the headings that the next one may stand below
        self._uniform = not any(self._distinct(line) for line in lines)
        self._last: tuple[int, ...] = ()
        self._level = 0
        self._shift = 0  # how much deeper the outline's levels are than the numbers' own

    def passed(self, line: PdfLine, level: int) -> None:
        """Take note of a heading that the outline gave."""
        self._level = level
        if numbered := parse_numbered(line.text):
            self._last, self._shift = numbered.number, level - numbered.level

    def heading(self, lines: Sequence[PdfLine], i: int) -> tuple[int, int]:
        """Return how many lines a heading beginning at line ``i`` takes and its level, (0, 0) if none begins there."""
        line = lines[i]
        if (
            line.frame
            or line.monospaced
            or not self._alone(lines, i)
            or not (self._distinct(line) or self._typewritten(lines, i))
        ):
            return 0, 0
        length = 1
        while i + length < len(lines) and length < 4 and self._same_heading(lines[i + length - 1], lines[i + length]):
            length += 1
        text = " ".join(part.text for part in lines[i : i + length])
        if len(text) > _HEADING_WORDS:
            return 0, 0
        numbered = parse_numbered(text)
        if numbered and reads_like_title(numbered.title) and follows(self._last, numbered.number):
            level = numbered.level + self._shift
            if self._outlined and level <= self._level and self._level:
                return 0, 0
            self._last = numbered.number
            return length, self._below(line, max(1, level))
        if numbered or not reads_like_title(text):
            return 0, 0
        if self._outlined:
            level = self._looks.get(_look(line), 0) if self._level else 0
            return (length, level) if level else (0, 0)
        if round(line.size, 1) not in self._larger and not is_known_heading(text):
            return 0, 0
        return length, self._below(line)

    def _outlined_looks(
        self, lines: Sequence[PdfLine], outlined: Mapping[int, tuple[int, int]]
    ) -> dict[tuple[str, float], int]:
        """Return the look of the headings that the outline names, those larger than the text → their usual level."""
        levels: dict[tuple[str, float], Counter[int]] = defaultdict(Counter)
        for line in lines:
            if id(line) in outlined and line.size > 1.15 * self._body:
                levels[_look(line)][outlined[id(line)][1]] += 1
        return {look: counts.most_common(1)[0][0] for look, counts in levels.items() if counts.total() > 1}

    def _below(self, line: PdfLine, level: int = 0) -> int:
        """Return the level of a heading: its number's, or one below the last heading that is larger."""
        while self._above and (self._above[-1][1] >= level if level else self._above[-1][0] <= line.size + _SAME_SIZE):
            self._above.pop()
        level = level or (self._above[-1][1] + 1 if self._above else 1)
        self._above.append((line.size, level))
        return level

    def _distinct(self, line: PdfLine) -> bool:
        return line.size > 1.05 * self._body or (line.bold and not self._bold_body and line.size >= 0.9 * self._body)

    def _typewritten(self, lines: Sequence[PdfLine], i: int) -> bool:
        """Whether a line may be a heading where all look alike: by its number, with a blank line above and below."""
        if not self._uniform or parse_numbered(lines[i].text) is None:
            return False
        above, below = lines[i - 1 : i], lines[i + 1 : i + 2]
        gaps = [a.base - b.base for a, b in itertools.pairwise([*above, lines[i], *below])]
        return all(gap < 0 or gap > 1.6 * self._body for gap in gaps)

    def _alone(self, lines: Sequence[PdfLine], i: int) -> bool:
        """Whether the line above ends its own block: bold words within a paragraph are no heading."""
        if i == 0:
            return True
        above = lines[i - 1]
        return (
            above.bottom - lines[i].top > 0.15 * self._body
            or lines[i].bottom > above.top
            or above.size != lines[i].size
        )

    def _same_heading(self, line: PdfLine, following: PdfLine) -> bool:
        alike = abs(line.size - following.size) < _SAME_SIZE and line.bold == following.bold
        near = -0.5 * line.size < line.bottom - following.top < 0.6 * line.size
        return alike and near and parse_numbered(following.text) is None


def meant_title(title: str) -> str:
    """Return what a PDF says of its title, "" where that is a file's name or no title at all."""
    title = printable(title)
    return "" if _NO_TITLE.fullmatch(title) else title


def guess_title(pages: Sequence[list[PdfLine]]) -> str:
    """Return the words set largest on the first page that has text, or "" if they are no larger than the rest."""
    sizes = [line.size for lines in pages for line in lines]
    lines = next((lines for lines in pages if lines), [])
    largest = max((line.size for line in lines), default=0.0)
    if not lines or largest < 1.2 * statistics.median(sizes):
        return ""
    return " ".join(line.text for line in lines if line.size > largest - 0.5)[:200]
