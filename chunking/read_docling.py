"""PDF by docling: its models find headings, paragraphs, tables and their order on the pages; here they become ours.

The pages themselves (their number, labels and rotation), the outline and the title come from PDFium, which also checks
docling: pages that it failed on, or left most of the text of out, are named in the warnings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast

from chunking.docling_install import problem
from chunking.docling_runs import Converted, convert
from chunking.document import Block, BlockKind, Box, Document, Page, Row, Table, UnreadableError, sha256_file
from chunking.limits import ReadLimits
from chunking.markdown_table import markdown_header, markdown_row
from chunking.ocr import OFF, OcrSettings
from chunking.pdf_headings import meant_title
from chunking.pdf_pictures import showing_pages
from chunking.pdf_warnings import page_warnings, ranges, why_without_text
from chunking.pdf_words import Bookmark, PdfContent, PdfPage, printable, read_content
from chunking.reading_settings import ReadingSettings
from chunking.sections import is_known_heading, normal_title, parse_numbered
from chunking.wide import WIDE

_LEAST = 0.5  # of a page's letters and digits: where docling has fewer, a warning names the page
_MOST_REASONS = 5


def read_docling(
    path: Path, document_id: str, limits: ReadLimits, settings: ReadingSettings, ocr: OcrSettings = OFF
) -> Document:
    """Read a PDF with docling; scanned pages are recognised by tesseract, as ``ocr`` says.

    Pages that docling fails on stay, with an empty span and a warning. Raises UnreadableError where it fails on all,
    where no page has text, and where docling or its models are missing.
    """
    if missing := problem(settings):
        raise UnreadableError(missing)
    content = read_content(path, limits)
    converted = convert(path, len(content.pages), limits, ocr, settings)
    if len(converted.failed) == len(content.pages):
        number, reason = min(converted.failed.items())
        raise UnreadableError(f"docling could read none of the {len(content.pages)} pages: {reason}", number)
    text, blocks, assembled = assemble(converted.items, content)
    if len(text) > limits.characters:
        raise UnreadableError(f"more than {limits.characters} characters of text")
    empty = [page.number for page in assembled if page.start == page.end and page.number not in converted.failed]
    scanned = showing_pages(path, empty, [page.number for page in assembled if page.dropped])
    # A page with words of its own is not a scanned one, whatever docling recognised in its pictures.
    recognised = {number for number in converted.recognised if not content.pages[number - 1].words}
    scanned |= recognised
    if not blocks:
        reason = why_without_text(content.warnings, scanned, ocr)
        raise UnreadableError(f"none of the {len(assembled)} pages has text: {reason}")
    pages = [replace(page, scanned=page.number in scanned, ocr=page.number in recognised) for page in assembled]
    titles = (printable(item["text"]) for item in converted.items if item["kind"] == "title")
    return Document(
        id=document_id,
        content_hash=sha256_file(path),
        title=meant_title(content.title) or next(titles, "") or PurePosixPath(document_id).stem,
        text=text,
        pages=tuple(pages),
        blocks=tuple(blocks),
        metadata={"format": "pdf", "reader": "docling"},
        warnings=(*content.warnings, *_warnings(text, pages, blocks, content, converted)),
    )


def assemble(items: Iterable[Mapping[str, Any]], content: PdfContent) -> tuple[str, list[Block], list[Page]]:
    """Write docling's items (see ``chunking.docling_pages``) one after another, page by page.

    Returns the text, its blocks, and every page of ``content``. What stands on several pages is one block where
    nothing comes in between.
    """
    pieces = sorted((piece for item in items for piece in _pieces(item)), key=lambda piece: piece.page)
    levels = _Levels(content.outline)
    writer = _Writer()
    dropped: dict[int, list[str]] = {}
    for piece, following in _with_next(_joined(pieces, dropped)):
        if piece.kind == "heading":
            piece = replace(piece, level=levels.level(piece.text, piece.page, piece.level))
        writer.write(piece, following, content.pages)
    return "".join(writer.parts), writer.blocks, list(_pages(content.pages, writer.spans, dropped))


@dataclass(frozen=True)
class _Piece:
    """What stands of an item on one page: its text, or its rows."""

    item: Mapping[str, Any]
    kind: str
    page: int
    box: tuple[float, ...]
    text: str
    level: int = 0
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    apart: bool = True  # whether a blank stands before it: there is none where docling joined a word again


def _pieces(item: Mapping[str, Any]) -> Iterator[_Piece]:
    """Yield the pieces of an item, none where it has neither text nor a place."""
    kind, parts = item["kind"], item["parts"]
    if not parts:
        return
    page, _, box = parts[0]
    if "rows" in item:
        header = tuple(map(printable, item["columns"]))
        rows = tuple(tuple(map(printable, row)) for row in item["rows"])
        filled = any(header) or any(map(any, rows))
        if filled and kind == "table":
            yield _Piece(item, kind, page, tuple(box), "", header=header, rows=rows)
        elif filled:
            lines = (" ".join(filter(None, row)) for row in (header, *rows))
            yield _Piece(item, kind, page, tuple(box), "\n".join(filter(None, lines)))
        return
    ends = [len(item["text"]) - rest for _, rest, _ in parts[1:]] + [len(item["text"])]
    begin = 0
    for (page, _, box), end in zip(parts, ends, strict=True):
        part = item["text"][begin : max(begin, end)]
        apart = begin == 0 or item["text"][begin - 1].isspace() or part[:1].isspace()
        begin = max(begin, end)
        written = "\n".join(map(_code_line, part.splitlines())) if kind == "code" else printable(part)
        if written.strip():
            yield _Piece(item, kind, page, tuple(box), written, item["level"], apart=apart)


def _code_line(line: str) -> str:
    words = printable(line)
    return " " * (len(line) - len(line.lstrip(" "))) + words if words else ""


def _joined(pieces: Iterable[_Piece], dropped: dict[int, list[str]]) -> Iterator[_Piece]:
    """Yield the pieces that are of the text; note in ``dropped`` the others, and headers that a table repeats.

    A table goes on where the next page begins with one of as many columns that has no caption and no other header.
    """
    last: _Piece | None = None
    for piece in pieces:
        if piece.kind == "running":
            dropped.setdefault(piece.page, []).append(" ".join(piece.text.split()))
            continue
        if last is not None and _goes_on(last, piece):
            rows = piece.rows
            header = last.header or (last.rows[0] if last.rows else ())
            if piece.header or (rows and rows[0] == header and last.header):
                dropped.setdefault(piece.page, []).append(markdown_row(header))
                rows = rows if piece.header else rows[1:]
            piece = replace(piece, item=last.item, header=last.header, rows=rows)
        yield piece
        last = piece


def _goes_on(table: _Piece, piece: _Piece) -> bool:
    columns = {len(row) for row in (*table.rows, table.header) if row}
    return (
        table.kind == piece.kind == "table"
        and piece.page == table.page + 1
        and not piece.item["caption"]
        and piece.header in ((), table.header)
        and columns == {len(row) for row in (*piece.rows, piece.header) if row}
    )


def _with_next(pieces: Iterable[_Piece]) -> Iterator[tuple[_Piece, _Piece | None]]:
    held: _Piece | None = None
    for piece in pieces:
        if held is not None:
            yield held, piece
        held = piece
    if held is not None:
        yield held, None


class _Writer:
    """The document's text as it is written, with its blocks and the span of every page."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.spans: dict[int, tuple[int, int]] = {}
        self.parts: list[str] = []
        self._length = 0
        self._open: list[_Piece] = []  # the pieces of the block that is being written
        self._start = 0
        self._rows: list[Row] = []

    def write(self, piece: _Piece, following: _Piece | None, drawn: Sequence[PdfPage]) -> None:
        """Add a piece to the block that is open, or open one; ``following`` tells whether it goes on."""
        if not self._open:
            self._start, self._rows = self._length, []
        if piece.kind == "table":
            self._write_rows(piece)
        else:
            self._add(piece.page, piece.text)
        self._open.append(piece)
        if following is None or following.item is not piece.item:
            self._end(drawn)
            self._separate("\n\n")
        else:
            self._separate(_between(piece, following))

    def _write_rows(self, piece: _Piece) -> None:
        if not self._open:
            self._add(piece.page, markdown_header(piece.header, max(map(len, (piece.header, *piece.rows)))))
        for row in piece.rows:
            if self._length > self._start and not self.parts[-1].endswith("\n"):
                self._separate("\n")
            line = markdown_row(row)
            self._rows.append(Row(self._length, self._length + len(line), row))
            self._add(piece.page, line)

    def _add(self, page: int, text: str) -> None:
        begin = self.spans.get(page, (self._length, 0))[0]
        self._separate(text)
        self.spans[page] = (begin, self._length)

    def _separate(self, text: str) -> None:
        """Add what belongs to no page."""
        self.parts.append(text)
        self._length += len(text)

    def _end(self, drawn: Sequence[PdfPage]) -> None:
        first = self._open[0]
        table = (
            Table(printable(first.item["caption"]), first.header, tuple(self._rows)) if first.kind == "table" else None
        )
        kind = cast("BlockKind", "paragraph" if first.kind == "title" else first.kind)
        boxes = tuple(Box(piece.page, *piece.box) for piece in self._open if drawn[piece.page - 1].box)
        level = first.level if kind == "heading" else 0
        self.blocks.append(Block(kind, first.page, self._start, self._length, level, boxes, table))
        self._open = []


def _between(piece: _Piece, following: _Piece) -> str:
    """Return what stands between two pieces of one item."""
    if piece.kind in ("table", "code", "contents"):
        return "\n"
    wide = WIDE.match(piece.text[-1]) and WIDE.match(following.text[0])
    return "" if wide or not following.apart else " "


class _Levels:
    """Tells the levels of headings: by the outline, else by their number; docling's models see them all alike."""

    def __init__(self, outline: Sequence[Bookmark]) -> None:
        self._outline: dict[str, list[Bookmark]] = {}
        for bookmark in outline:
            self._outline.setdefault(normal_title(bookmark.title), []).append(bookmark)
        self._numbered = 0  # the level of the last numbered heading
        self._shift = 0  # how much deeper the outline's levels are than the numbers' own

    def level(self, text: str, page: int, own: int) -> int:
        """Return the level of the next heading; ``own`` is what docling gives it."""
        numbered = parse_numbered(text)
        named = [mark for mark in self._outline.get(normal_title(text), ()) if abs(mark.page - page) <= 1]
        if named:
            if numbered:
                self._shift = named[0].level - numbered.level
                self._numbered = named[0].level
            return named[0].level
        if numbered:
            self._numbered = max(1, numbered.level + self._shift)
            return self._numbered
        if is_known_heading(text):
            return 1
        return max(1, own) if own > 1 or not self._numbered else self._numbered + 1


def _pages(
    drawn: Sequence[PdfPage], spans: Mapping[int, tuple[int, int]], dropped: Mapping[int, Sequence[str]]
) -> Iterator[Page]:
    at = 0
    for number, page in enumerate(drawn, 1):
        start, at = spans.get(number, (at, at))
        yield Page(number, start, at, page.label, tuple(dropped.get(number, ())), page.rotation)


def _warnings(
    text: str, pages: Sequence[Page], blocks: Sequence[Block], content: PdfContent, converted: Converted
) -> list[str]:
    warnings = []
    reasons: dict[str, list[int]] = {}
    for number, reason in sorted(converted.failed.items()):
        reasons.setdefault(reason, []).append(number)
    for reason, numbers in list(reasons.items())[:_MOST_REASONS]:
        warnings.append(f"docling failed on {len(numbers)} pages: {ranges(numbers)}: {reason}")
    if len(reasons) > _MOST_REASONS:
        others = sorted(number for numbers in list(reasons.values())[_MOST_REASONS:] for number in numbers)
        warnings.append(f"docling failed on {len(others)} more pages: {ranges(others)}")
    thin = [page.number for page in pages if page.number not in converted.failed and _is_thin(text, page, content)]
    if thin:
        warnings.append(f"docling left most of the text out on {len(thin)} pages: {ranges(thin)}")
    contents = {box.page for block in blocks if block.kind == "contents" for box in block.boxes}
    return [*warnings, *page_warnings(pages, contents)]


def _is_thin(text: str, page: Page, content: PdfContent) -> bool:
    """Whether the text of a page and what was dropped have less than half of the letters that PDFium finds on it."""
    drawn = _letters(word.text for word in content.pages[page.number - 1].words)
    return _letters((text[page.start : page.end], *page.dropped)) < _LEAST * drawn


def _letters(texts: Iterable[str]) -> int:
    return sum(count for text in texts for character, count in Counter(text).items() if character.isalnum())
