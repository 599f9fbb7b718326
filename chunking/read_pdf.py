"""PDF: the text is rebuilt from the pages' lines: running lines left out, words and paragraphs joined again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from chunking.document import Block, Box, Document, Page, Row, Table, UnreadableError, sha256_file
from chunking.limits import ReadLimits
from chunking.markdown_table import markdown_row
from chunking.ocr import OFF, OcrSettings, RecognisedWord, recognise
from chunking.pdf_grids import ruled_tables
from chunking.pdf_headings import guess_title, meant_title, outline_headings
from chunking.pdf_layout import Group, group_lines
from chunking.pdf_line_ends import LineEnds
from chunking.pdf_lines import PdfLine, page_lines, placed, typewritten_as_prose
from chunking.pdf_pictures import showing_pages
from chunking.pdf_running import Running, running_lines
from chunking.pdf_tables import aligned_tables, grid
from chunking.pdf_underscores import with_underscores
from chunking.pdf_warnings import page_warnings, why_without_text
from chunking.pdf_words import PdfPage, Word, printable, read_content, turned_right

_DEEPEST_INDENT = 80
_OCR_SHARE = 3  # times the limit of processor time: by the clock, so that the rest has its time
_CAPTION_LINES = 4


def read_pdf(path: Path, document_id: str, limits: ReadLimits, ocr: OcrSettings = OFF) -> Document:
    """Read a PDF; recognise its scanned pages as ``ocr`` says.

    Pages without text stay, with an empty span. Raises UnreadableError.
    """
    content = read_content(path, limits)
    content.pages[:] = map(with_underscores, content.pages)
    kept, running = _laid_out(content.pages)
    empty = [number for number, lines in enumerate(kept, 1) if not lines and content.pages[number - 1].box]
    scanned = showing_pages(path, empty, [number for number in empty if running[number - 1].lines])
    recognised: dict[int, list[RecognisedWord]] = {}
    if scanned and ocr.enabled:
        recognised, problems = recognise(path, sorted(scanned), ocr, _OCR_SHARE * limits.seconds)
        content.warnings.extend(problems)
        for number, words in recognised.items():
            content.pages[number - 1] = _with_words(content.pages[number - 1], words)
        if recognised:
            kept, running = _laid_out(content.pages)
    headings = outline_headings(kept, content.outline)
    groups = group_lines(kept, headings)
    if not groups:
        raise UnreadableError(
            f"none of the {len(kept)} pages has text: {why_without_text(content.warnings, scanned, ocr)}"
        )
    text, blocks, assembled = _assemble(groups, content.pages, running)
    pages = [replace(page, scanned=page.number in scanned, ocr=page.number in recognised) for page in assembled]
    title = meant_title(content.title) or guess_title(kept) or PurePosixPath(document_id).stem
    return Document(
        id=document_id,
        content_hash=sha256_file(path),
        title=title,
        text=text,
        pages=tuple(pages),
        blocks=tuple(blocks),
        metadata={"format": "pdf"},
        warnings=(*content.warnings, *_warnings(pages, groups, len(content.outline) - len(headings))),
    )


def _laid_out(pages: Sequence[PdfPage]) -> tuple[list[list[PdfLine]], list[Running]]:
    """Return the lines of every page in reading order, and the running lines that were taken from among them."""
    lines = typewritten_as_prose([_lines(page, number) for number, page in enumerate(pages, 1)])
    running = running_lines(lines)
    removed = {id(line) for page in running for line in page.lines}
    kept = [
        aligned_tables([line for line in on_page if id(line) not in removed], page.rules)
        for on_page, page in zip(lines, pages, strict=True)
    ]
    return kept, running


def _with_words(page: PdfPage, recognised: Sequence[RecognisedWord]) -> PdfPage:
    """Return the page with the words that were recognised in its picture, as if they were drawn on it."""
    turns = page.rotation // 90
    left, bottom, _, _ = turned_right(*(page.box or (0.0, 0.0, 0.0, 0.0)), turns)
    words = [
        Word(
            text=printable(word.text),
            left=left + word.left,
            right=left + word.right,
            bottom=bottom + word.bottom,
            top=bottom + word.top,
            base=bottom + word.base,
            bold=False,
            monospaced=False,
            hyphen=False,
            quarter_turns=turns,
        )
        for word in recognised
        if printable(word.text)
    ]
    return replace(page, words=words)


def _lines(page: PdfPage, number: int) -> list[PdfLine]:
    """Return the lines of a page in reading order, ruled tables row by row."""
    tables, rest = ruled_tables(page.words, page.rules, number)
    return placed(page_lines(rest, number), tables)


def _warnings(pages: Sequence[Page], groups: Sequence[Group], lost_bookmarks: int) -> list[str]:
    contents = {line.page for group in groups if group.kind == "contents" for line in group.lines}
    warnings = page_warnings(pages, contents)
    if lost_bookmarks:
        warnings.insert(0, f"{lost_bookmarks} entries of the outline name no line of the text")
    return warnings


def _assemble(
    groups: Sequence[Group], drawn: Sequence[PdfPage], running: Sequence[Running]
) -> tuple[str, list[Block], list[Page]]:
    """Write the groups one after another; note where every block and every page begins and ends."""
    ends = LineEnds([group.lines for group in groups])
    parts: list[str] = []
    length = 0
    blocks: list[Block] = []
    spans: dict[int, tuple[int, int]] = {}
    captions = _captions(groups)
    for group in groups:
        begin = length
        table, written = (
            _table(group, begin, ends, captions.get(id(group), ""))
            if group.kind == "table"
            else (None, _written(group, ends))
        )
        for on, text, separator in written:
            spans[on] = (spans.get(on, (length, 0))[0], length + len(text))
            parts += [text, separator]
            length += len(text) + len(separator)
        boxes = _boxes(group.lines, drawn)
        blocks.append(Block(group.kind, group.lines[0].page, begin, length - 2, group.level, boxes, table))
    pages: list[Page] = []
    repeated: dict[int, list[PdfLine]] = {}
    for line in itertools.chain.from_iterable(group.repeated for group in groups):
        repeated.setdefault(line.page, []).append(line)
    for number, (page, lines) in enumerate(zip(drawn, running, strict=True), 1):
        at = pages[-1].end if pages else 0
        start, end = spans.get(number, (at, at))
        dropped = [*lines.lines, *repeated.get(number, ())]
        pages.append(
            Page(
                number,
                start,
                end,
                label=lines.label or page.label,
                dropped=tuple(line.text for line in dropped),
                rotation=page.rotation,
                dropped_boxes=tuple(box for line in dropped for box in _boxes([line], drawn)),
            )
        )
    return "".join(parts), blocks, pages


def _boxes(lines: Sequence[PdfLine], drawn: Sequence[PdfPage]) -> tuple[Box, ...]:
    """Return the box around the lines on every page that they stand on."""
    boxes = []
    for number, on_page in itertools.groupby(lines, key=lambda line: line.page):
        page = drawn[number - 1]
        if page.box is None:
            continue
        lefts, bottoms, rights, tops = zip(*(line.box for line in on_page), strict=True)
        box = page.displayed(min(lefts), min(bottoms), max(rights), max(tops))
        boxes.append(Box(number, *(round(edge, 1) for edge in box)))
    return tuple(boxes)


def _captions(groups: Sequence[Group]) -> dict[int, str]:
    """Return the captions of tables by the group's ``id``: all above or all below, as most of the document's stand."""
    above: dict[int, str] = {}
    below: dict[int, str] = {}
    for first, second in itertools.pairwise(groups):
        if first.lines[-1].page == second.lines[0].page:
            if second.kind == "table" and first.kind == "caption":
                above[id(second)] = _text(first)
            if first.kind == "table" and second.kind == "caption":
                below[id(first)] = _text(second)
    return max(above, below, key=len)


def _text(group: Group) -> str:
    return " ".join(line.text for line in group.lines[:_CAPTION_LINES])


def _table(group: Group, begin: int, ends: LineEnds, caption: str) -> tuple[Table, list[tuple[int, str, str]]]:
    """Return the table, whose text begins at ``begin``, and what ``_written`` yields for other groups."""
    found = grid(group.lines, lambda match: ends.stem(match[1], match[2]) + match[2])
    written = [(group.lines[0].page, found.markdown_header, "\n")]
    rows = []
    at = begin + len(found.markdown_header) + 1
    for row in found.rows:
        text = markdown_row(row.cells)
        rows.append(Row(at, at + len(text), row.cells))
        written.append((row.page, text, "\n"))
        at += len(text) + 1
    page, text, _ = written[-1]
    written[-1] = (page, text, "\n\n")
    return Table(caption, found.header, tuple(rows)), written


def _written(group: Group, ends: LineEnds) -> Iterator[tuple[int, str, str]]:
    """Yield the page of every line, what is written for it, and what stands between it and the next."""
    if group.kind == "code":
        yield from _written_code(group.lines)
        return
    lines = [replace(line, text=" ".join(line.text.split())) for line in group.lines]  # code keeps its blanks
    for line, following in itertools.zip_longest(lines, lines[1:]):
        if following is None:
            yield line.page, line.text + ("-" if line.hyphen else ""), "\n\n"
        elif group.kind == "contents":
            yield line.page, line.text + ("-" if line.hyphen else ""), "\n"
        else:
            yield line.page, *ends.joined(line, following)


def _written_code(lines: Sequence[PdfLine]) -> Iterator[tuple[int, str, str]]:
    """Yield as ``_written`` does, with the lines' indents and the blank lines between them."""
    margin = min(line.left for line in lines)
    for line, following in itertools.zip_longest(lines, lines[1:]):
        width = (line.right - line.left) / len(line.text)
        indent = round((line.left - margin) / width) if width > 0 else 0
        blank = following is not None and line.base - following.base > 1.8 * line.size
        end = "\n\n" if following is None or blank else "\n"
        yield line.page, " " * min(indent, _DEEPEST_INDENT) + line.text + ("-" if line.hyphen else ""), end
