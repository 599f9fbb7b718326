"""Plain text: the decoded file is the document's text, so spans judged on the file hold in it."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from chunking.document import LONGEST_TITLE, Block, BlockKind, Document, Page, Table, UnreadableError
from chunking.limits import ReadLimits
from chunking.sections import (
    Contents,
    Line,
    Numbered,
    find_contents,
    follows,
    is_known_heading,
    normal_title,
    parse_numbered,
    reads_like_title,
)
from chunking.text_tables import text_table

_LINE_END = re.compile(r"\r\n|\n|\r|\f")
_LOOKED_AT = 200  # characters of a line whose look is judged
_LONG_LINE = 160  # a longer line is a paragraph of its own: files that do not wrap have one paragraph a line
_BULLET = re.compile(r"\s*[-+*•·o・○●◦]\s+\S")
_NUMBERED_ITEM = re.compile(r"\s*\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]\s+\S")
_SENTENCE_END = re.compile(r"[.:;!?。：；！？][\"')\]”’）」』]*\s*$")
_RULE = re.compile(r"[+|]?[-=_]{3,}[-=_+|\s]*")
_ART = re.compile(r"\+[-=]+|[|].*[|]|-->|<--")
_GAP = re.compile(r"\S {3,}(?=\S)")
_PAGE_FOOT = re.compile(r"\S.*\s\[Page [\divxlc]+\]\s*", re.I)
_RFC_NUMBER = re.compile(r"Request for Comments:\s*(\d+)", re.I)


def decode(data: bytes, limits: ReadLimits) -> str:
    """Decode UTF-8 strictly.

    Raises UnreadableError for an empty file, NUL bytes, what is not UTF-8, blank text, and more characters than the
    limit.
    """
    if not data:
        raise UnreadableError("the file is empty (0 bytes)")
    if (nul := data.find(b"\0")) >= 0:
        raise UnreadableError(f"not a text file: a NUL byte at byte {nul}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"not UTF-8: byte {error.start} is 0x{data[error.start]:02x}; convert the file to UTF-8"
        ) from None
    if len(text) > limits.characters:
        raise UnreadableError(f"{len(text)} characters of text, more than the limit of {limits.characters}")
    controls = sum(1 for c in text[:100_000] if c < " " and c not in "\t\n\r\f\v\x1b")
    if controls * 20 > min(len(text), 100_000):
        raise UnreadableError("not a text file: more than 5 % control characters")
    if not text.strip("\ufeff \t\r\n\f\v"):
        raise UnreadableError("the file has no text, only white space")
    return text


def read_text(path: Path, document_id: str, limits: ReadLimits) -> Document:
    """Read a plain-text file. Form feeds divide it into pages. Raises UnreadableError."""
    data = path.read_bytes()
    text = decode(data, limits)
    if (count := text.count("\f") + 1) > limits.pages:
        raise UnreadableError(f"{count} pages, more than the limit of {limits.pages}")
    lines, pages = split_lines(text)
    running = running_lines(lines, len(pages))
    contents = find_contents(lines)
    skipped = running | (set(range(contents.first, contents.last)) if contents else set())
    blocks = _blocks(lines, skipped, contents)
    return Document(
        id=document_id,
        content_hash=hashlib.sha256(data).hexdigest(),
        title=_title(lines, blocks, text, document_id)[:LONGEST_TITLE],
        text=text,
        pages=tuple(_with_dropped(pages, lines, running)),
        blocks=tuple(blocks),
        metadata={"format": "text"},
    )


def split_lines(text: str) -> tuple[list[Line], list[Page]]:
    """Return the lines, numbered by page, and the pages that form feeds divide the text into (at least one)."""
    lines: list[Line] = []
    pages: list[Page] = []
    start, page_start = (1 if text.startswith("\ufeff") else 0), 0
    for match in _LINE_END.finditer(text):
        lines.append(Line(start, match.start(), text[start : match.start()], len(pages) + 1))
        if match[0] == "\f":
            pages.append(Page(len(pages) + 1, page_start, match.start()))
            page_start = match.end()
        start = match.end()
    if start < len(text):
        lines.append(Line(start, len(text), text[start:], len(pages) + 1))
    if page_start < len(text) or not pages:
        pages.append(Page(len(pages) + 1, page_start, len(text)))
    return lines, pages


def running_lines(lines: Sequence[Line], pages: int) -> set[int]:
    """Return the indices of running headers and footers.

    They are the first and last line of a page that, digits aside, stand on at least three pages and a third of them. A
    page ends at a form feed, and at a foot such as ``[Page 12]``, for such pages go on in files that have lost the form
    feeds.
    """
    written = [i for i, line in enumerate(lines) if not line.blank]
    feet = {i for i in written if _PAGE_FOOT.fullmatch(lines[i].text[-_LONG_LINE:])}
    pages = max(pages, len(feet))
    if pages < 3:
        return set()
    firsts = {b for a, b in itertools.pairwise(written) if lines[a].page != lines[b].page or a in feet}
    lasts = {a for a, b in itertools.pairwise(written) if lines[a].page != lines[b].page} | feet
    outer = {written[0], written[-1]} | firsts | lasts if written else set()
    shapes = Counter(re.sub(r"\d+", "0", lines[i].text.strip()) for i in outer)
    needed = max(3, pages / 3)
    return {i for i in outer if shapes[re.sub(r"\d+", "0", lines[i].text.strip())] >= needed}


def _with_dropped(pages: Sequence[Page], lines: Sequence[Line], running: set[int]) -> Iterator[Page]:
    """Yield the pages with their running lines, which stay in the text but are in no block."""
    dropped: dict[int, list[str]] = {}
    for i in sorted(running):
        dropped.setdefault(lines[i].page, []).append(lines[i].text.strip())
    for page in pages:
        yield replace(page, dropped=tuple(dropped.get(page.number, ())))


def _blocks(lines: Sequence[Line], skipped: set[int], contents: Contents | None) -> list[Block]:
    finder = _HeadingFinder(lines, skipped, contents)
    blocks: list[Block] = []
    paragraph: list[Line] = []
    before: list[Line] = []  # the paragraph before, where it ends at the end of a page

    def flush() -> None:
        if paragraph:
            table = text_table(paragraph)
            block = _block("table" if table else kind_of(paragraph), paragraph, table=table)
            prose = block.kind == "paragraph" and bool(blocks) and blocks[-1].kind in ("paragraph", "list")
            blocks.append(replace(block, continues=prose and bool(before) and _goes_on(before[-1], paragraph[0])))
            last[:] = paragraph
            before.clear()
            paragraph.clear()

    last: list[Line] = []

    i = 0
    while i < len(lines):
        line = lines[i]
        length = 0 if i in skipped or line.blank else finder.heading_lines(i)
        if length:
            flush()
            blocks.append(_block("heading", lines[i : i + length], finder.level))
            before.clear()
            last.clear()
            i += length
            continue
        if i in skipped or line.blank:
            flush()
            if i in skipped:
                before[:] = last
        else:
            if paragraph and _parts_from(paragraph[-1], line):
                flush()
            paragraph.append(line)
        i += 1
    flush()
    return blocks


def _parts_from(before: Line, line: Line) -> bool:
    """Whether a new block begins at ``line`` though no blank line stands before it."""
    if line.page != before.page or max(len(before.text), len(line.text)) > _LONG_LINE or _BULLET.match(line.text):
        return True
    return _NUMBERED_ITEM.match(line.text) is not None and before.text.rstrip().endswith((".", ";", ":", ",", "。"))


def _goes_on(before: Line, line: Line) -> bool:
    """Whether a sentence goes on over the end of a page: it has no end there, and no new item or indent begins."""
    return not _SENTENCE_END.search(before.text) and before.indent == line.indent and not _BULLET.match(line.text)


def _block(kind: BlockKind, lines: Sequence[Line], level: int = 0, table: Table | None = None) -> Block:
    end = lines[-1].start + len(lines[-1].text.rstrip())
    return Block(kind, lines[0].page, lines[0].start + lines[0].indent, end, level, table=table)


def kind_of(lines: Sequence[Line]) -> BlockKind:
    """Tell drawings, tables and lists from prose by their look."""
    looks = [line.text[:_LOOKED_AT].strip() for line in lines]
    art = sum(1 for look in looks if _RULE.fullmatch(look) or _ART.search(look))
    if art * 2 > len(looks):
        return "table" if sum("+-" in look for look in looks) >= 2 else "code"
    if len(looks) > 1 and sum(1 for look in looks if len(_GAP.findall(look)) >= 2) * 2 > len(looks):
        return "table"
    return "list" if _BULLET.match(looks[0]) or _NUMBERED_ITEM.match(looks[0]) else "paragraph"


class _HeadingFinder:
    """Decides line by line which lines are headings, remembering the last number so that lists do not pass for them."""

    def __init__(self, lines: Sequence[Line], skipped: set[int], contents: Contents | None) -> None:
        self.level = 0
        self._lines = lines
        self._skipped = skipped
        self._contents = contents
        self._last: tuple[int, ...] = ()
        full = [line for line in lines if not line.blank]
        self._indented = sum(line.indent > 0 for line in full) * 2 > len(full)

    def heading_lines(self, i: int) -> int:
        """Return how many lines the heading that begins at line ``i`` takes, 0 if none begins there; sets ``level``."""
        if i and not self._clear(i - 1):
            return 0
        length = self._title_lines(i)
        if not length:
            return 0
        text = " ".join(part.text.strip() for part in self._lines[i : i + length])
        if numbered := parse_numbered(text):
            if not self._accepts(numbered, self._lines[i].indent):
                return 0
            self._last, self.level = numbered.number, numbered.level
            return length
        if length == 1 and not self._lines[i].indent and (is_known_heading(text) or self._listed(text)):
            self.level = 1
            return 1
        return 0

    def _clear(self, i: int) -> bool:
        return self._lines[i].blank or i in self._skipped

    def _title_lines(self, i: int) -> int:
        """Count the lines of a title: the line itself and at most two indented ones, then a blank line."""
        for length in (1, 2, 3):
            if i + length >= len(self._lines) or self._clear(i + length):
                return length
            if self._lines[i + length].indent <= self._lines[i].indent:
                return 0
        return 0

    def _accepts(self, numbered: Numbered, indent: int) -> bool:
        """A number and title that the table of contents lists are one; else the number must be due, at the margin."""
        listed = self._contents.numbers.get(numbered.number) if self._contents else None
        if listed and normal_title(numbered.title).startswith(listed[:20]):
            return numbered.number > self._last or numbered.level > 1
        return not indent and reads_like_title(numbered.title) and follows(self._last, numbered.number)

    def _listed(self, text: str) -> bool:
        return self._indented and self._contents is not None and normal_title(text) in self._contents.titles


def _title(lines: Sequence[Line], blocks: Sequence[Block], text: str, document_id: str) -> str:
    """Return the title the document gives itself: below an RFC's header, centred on the first page, or a first line."""
    first_heading = next((block.start for block in blocks if block.kind == "heading"), len(text))
    head = _paragraphs([line for line in lines[:60] if line.start < first_heading])
    for i, paragraph in enumerate(head):
        numbers = [match[1] for line in paragraph if (match := _RFC_NUMBER.search(line.text))]
        if numbers:
            below = [p for p in head[i + 1 :] if any(line.indent < 40 for line in p)]  # not the authors, at the right
            title = next((words for words in map(_words, below) if not _GAP.search(words)), "")
            return f"RFC {numbers[0]}: {title}" if title else f"RFC {numbers[0]}"
    for paragraph in head:
        if len(paragraph) <= 4 and all(_centred(line) for line in paragraph):
            return _words(paragraph)
    first = next(iter(_paragraphs(lines[:60])), [])
    words = _words(first)
    if len(first) == 1 and len(words) <= 80 and not words.endswith((".", "。", ",", "、")):
        return words
    return PurePosixPath(document_id).stem


def _paragraphs(lines: Sequence[Line]) -> list[list[Line]]:
    return [list(group) for blank, group in itertools.groupby(lines, key=lambda line: line.blank) if not blank]


def _words(paragraph: Sequence[Line]) -> str:
    return " ".join(line.text.strip() for line in paragraph)


def _centred(line: Line) -> bool:
    right = 72 - len(line.text.rstrip())
    return line.indent >= 4 and abs(line.indent - right) <= 12 and not _GAP.search(line.text.strip())
