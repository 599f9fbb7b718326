"""Headings and the section tree: which lines are headings, what a table of contents is, and which path a block lies in.

The rules here know nothing of a file format: readers of plain text and of PDFs without an outline both ask them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chunking.document import LONGEST_TITLE, Block, Document

MAX_TITLE = 160  # a longer line is prose that happens to begin with a number

_LABEL = r"(?P<label>appendix|annex|chapter|section|part|clause|附属書|付録)\s*"
_NUMBER = r"(?P<number>\d{1,3}(?:\.\d{1,3}){0,8}|[A-Z](?:\.\d{1,3}){0,8})"
_NUMBERED = re.compile(
    rf"(?:{_LABEL})?{_NUMBER}(?P<mark>\.|:|\)|\s+[-–—](?=\s))?(?:\s+|(?=[^\x00-\u2fff]))(?P<title>\S.*)", re.I
)
_LABEL_ALONE = re.compile(r"(?:appendix|annex|附属書|付録)\s*(?P<number>[A-Z]|\d{1,2})\.?", re.I)
_JAPANESE = re.compile(r"第\s*(?P<number>\d{1,4})\s*(?P<unit>[編部章節款条])(?P<title>.*)")
_JAPANESE_LEVEL = {"編": 1, "部": 1, "章": 2, "節": 3, "款": 4, "条": 5}

_UNNUMBERED = re.compile(
    r"abstract|status of this memo|copyright( and license)? notice|full copyright statement|(the )?table of contents|"
    r"contents|list of (tables|figures)|acknowledge?ments?|authors?|"
    r"(author|editor|contributor|chair)('s|s'|s)? address(es)?|"
    r"(normative |informative )?references|contributors|index|foreword|preface|introduction|intellectual property"
    r"( statement| rights notice)?|disclaimer( of validity)?|iesg note|note|bibliography|glossary|revision history|"
    r"目次|はじめに|まえがき|序文|参考文献|索引|謝辞|用語集|あとがき",
    re.I,
)
_CONTENTS = re.compile(r"(the )?(table of )?contents|目\s*次", re.I)
_LEADER = re.compile(r"(?:\s*[.·…・‥]){2,}\s*[\divxlc]*$|\s{3,}\d{1,4}$")

_APPENDIX = 1000  # letters count after every number: A is 1001


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document: its span in the text, without the line end, its text and its page."""

    start: int
    end: int
    text: str
    page: int

    @property
    def blank(self) -> bool:
        """Whether only white space stands on the line."""
        return not self.text.strip()

    @property
    def indent(self) -> int:
        """How many white-space characters the line begins with."""
        return len(self.text) - len(self.text.lstrip())


@dataclass(frozen=True, slots=True)
class Numbered:
    """A line that reads like a numbered heading: ``number`` is comparable (4.2.1 is (4, 2, 1), B.1 is (1002, 1))."""

    number: tuple[int, ...]
    level: int
    title: str


def parse_numbered(text: str) -> Numbered | None:
    """Return the number and title if the line begins as a numbered heading does, in English or Japanese.

    Whether it *is* one is not told by the line alone: see ``reads_like_title`` and ``follows``.
    """
    text = unicodedata.normalize("NFKC", text[: MAX_TITLE + 40]).strip()
    if len(text) > MAX_TITLE:
        return None
    if match := _JAPANESE.fullmatch(text):
        level = _JAPANESE_LEVEL[match["unit"]]
        return (
            None if match["title"].endswith("。") else Numbered((int(match["number"]),), level, match["title"].strip())
        )
    if match := _LABEL_ALONE.fullmatch(text):
        return Numbered(_as_tuple(match["number"]), 1, text)
    match = _NUMBERED.fullmatch(text)
    if match is None:
        return None
    number = match["number"]
    bare_letter = number.isalpha() and not match["label"] and match["mark"] != "."
    if bare_letter or number[0].islower() or match["mark"] == ")":
        return None
    if match["label"] and match["label"].lower() in ("section", "clause", "part") and not match["mark"]:
        return None  # "Section 4.2 describes ..." is prose
    return Numbered(_as_tuple(number), number.count(".") + 1, match["title"].strip())


def _as_tuple(number: str) -> tuple[int, ...]:
    parts = number.upper().split(".")
    return tuple(int(part) if part.isdigit() else _APPENDIX + ord(part) - ord("A") + 1 for part in parts)


def reads_like_title(title: str) -> bool:
    """Whether the words after a number are those of a title: mostly letters, no sentence end, no columns."""
    letters = sum(c.isalpha() for c in title)
    mostly_letters = letters >= 2 and letters * 2 >= len(title.replace(" ", ""))
    return mostly_letters and title[-1] not in ".,;。、" and "  " not in title


def follows(last: tuple[int, ...], number: tuple[int, ...]) -> bool:
    """Whether ``number`` may be the next heading after ``last``: later, and at most three steps on at one level."""
    if number <= last:
        return False
    shared = 0
    while shared < min(len(last), len(number)) and last[shared] == number[shared]:
        shared += 1
    before = last[shared] if shared < len(last) else 0
    if number[shared] > _APPENDIX and before < _APPENDIX:
        before = _APPENDIX
    return number[shared] - before <= 3 and all(part <= 1 for part in number[shared + 1 :])


def normal_title(text: str) -> str:
    """Return a heading's words for comparison: no number, leader dots or page number, one case, no white space."""
    text = without_leader(unicodedata.normalize("NFKC", text))
    if numbered := parse_numbered(text):
        text = numbered.title
    return re.sub(r"\W", "", text).lower()


def without_leader(text: str) -> str:
    """Return an entry of a table of contents without its leader dots and page number."""
    text = text.strip()
    return text[:-120] + _LEADER.sub("", text[-120:])


def is_known_heading(text: str) -> bool:
    """Whether the line is one of the headings that stand without a number (Abstract, Authors' Addresses, 目次 ...)."""
    return _UNNUMBERED.fullmatch(text.strip().rstrip(".:")) is not None


def is_contents_heading(text: str) -> bool:
    """Whether the line is the heading of a table of contents."""
    return _CONTENTS.fullmatch(text.strip()) is not None


@dataclass(frozen=True, slots=True)
class Contents:
    """A table of contents: the lines ``[first, last)`` it takes and the titles it lists (see ``normal_title``)."""

    first: int
    last: int
    titles: frozenset[str]
    numbers: dict[tuple[int, ...], str]


def find_contents(lines: Sequence[Line], search: int = 1500, longest: int = 3000) -> Contents | None:
    """Find the table of contents among the first ``search`` lines, or return None.

    It begins with its own heading ("Table of Contents", "目次") and ends before the first line that stands further
    left than the entries or repeats the first entry, whichever is first. What no text follows is no table of contents.
    """
    for first, line in enumerate(lines[:search]):
        if not is_contents_heading(line.text):
            continue
        body = [i for i in range(first + 1, min(len(lines), first + longest)) if not lines[i].blank]
        last = _contents_end(lines, body)
        entries = [lines[i] for i in body if i < last]
        followed = any(not line.blank for line in lines[last:])
        if followed and len(entries) >= 3 and sum(map(_entrylike, entries)) * 2 >= len(entries):
            numbers = {}
            for entry in entries:
                if numbered := parse_numbered(without_leader(entry.text)):
                    numbers[numbered.number] = normal_title(numbered.title)
            return Contents(first, last, frozenset(normal_title(entry.text) for entry in entries) - {""}, numbers)
    return None


def _entrylike(line: Line) -> bool:
    return (
        bool(_LEADER.search(line.text[-120:])) or parse_numbered(line.text) is not None or is_known_heading(line.text)
    )


def _contents_end(lines: Sequence[Line], body: Sequence[int]) -> int:
    if not body:
        return 0
    indent = min(lines[i].indent for i in body[:3])
    opening = parse_numbered(without_leader(lines[body[0]].text))
    for position, i in enumerate(body[1:], 1):
        line = lines[i]
        if line.indent < indent:
            return i
        if opening and position >= 3 and _repeats(opening, parse_numbered(line.text)):
            return i
        if position >= 8 and not any(_entrylike(lines[j]) for j in body[position : position + 8]):
            return i
    return body[-1] + 1


def _repeats(entry: Numbered, heading: Numbered | None) -> bool:
    """Whether a heading is the one an entry names; the entry may have a page number at its end."""
    return (
        heading is not None
        and heading.number == entry.number
        and normal_title(entry.title).startswith(normal_title(heading.title))
    )


@dataclass(frozen=True, slots=True)
class Section:
    """A heading's own text: the path of headings down to it, and its blocks before the next heading of any level.

    ``headings`` are the heading blocks that stand at its head: its own, and those of its ancestors that have no text
    of their own before it. The text before the first heading is a section with an empty path.
    """

    path: tuple[str, ...]
    headings: tuple[Block, ...]
    body: tuple[Block, ...]


def sections(document: Document) -> Iterator[Section]:
    """Yield the sections of a document in reading order; every block but those of contents is in exactly one."""
    path: list[tuple[int, str]] = []
    headings: list[Block] = []
    body: list[Block] = []
    for block in document.blocks:
        if block.kind == "contents":
            continue
        if block.kind != "heading":
            body.append(block)
            continue
        deeper = bool(headings) and not body and block.level > headings[-1].level
        if (headings or body) and not deeper:
            yield Section(tuple(title for _, title in path), tuple(headings), tuple(body))
            headings, body = [], []
        headings.append(block)
        while path and path[-1][0] >= block.level:
            path.pop()
        path.append((block.level, " ".join(document.text[block.start : block.end].split())[:LONGEST_TITLE]))
    if headings or body:
        yield Section(tuple(title for _, title in path), tuple(headings), tuple(body))
