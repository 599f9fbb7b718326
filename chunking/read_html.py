"""HTML: the text is what a reader sees, headings, lists, tables and code kept; scripts, styles and menus left out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement, PreformattedString, Tag

from chunking.document import Block, BlockKind, Document, Page, Row, Table, UnreadableError
from chunking.html_tables import html_rows
from chunking.limits import ReadLimits

_DEEPEST = 400  # elements within elements; people write no more than some dozens
_LEFT_OUT = frozenset("head script style noscript template svg nav iframe object select button".split())
_HEADING = re.compile(r"h([1-6])")
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hr html li main ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_IN_LAYOUT_TABLES = ["table", "h1", "h2", "h3", "h4", "h5", "h6", "p", "ul", "ol", "dl", "pre", "div", "blockquote"]
_PERMALINK = frozenset({"¶", "#", "§", "🔗"})


def read_html(path: Path, document_id: str, limits: ReadLimits) -> Document:
    """Read an HTML file. Raises UnreadableError where it is nested too deep or has no text."""
    data = path.read_bytes()
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError(f"not an HTML file: a NUL byte at byte {data.index(0)}")
    soup = _Shallow(data, "html.parser")
    parts: list[str] = []
    blocks: list[Block] = []
    length = 0
    for owner, kind, level, text in _blocks(soup):
        table = _table(owner, text, length) if kind == "table" and owner is not None else None
        blocks.append(Block(kind, 1, length, length + len(text), level, table=table))
        parts.append(text)
        length += len(text) + 2
        if length > limits.characters:
            raise UnreadableError(f"more than {limits.characters} characters of text")
    if not blocks:
        raise UnreadableError("the page has no text")
    text = "\n\n".join(parts)
    damaged = soup.contains_replacement_characters
    return Document(
        id=document_id,
        content_hash=hashlib.sha256(data).hexdigest(),
        title=_title(soup, text, blocks) or PurePosixPath(document_id).stem,
        text=text,
        pages=(Page(1, 0, len(text)),),
        blocks=tuple(blocks),
        metadata={"format": "html"},
        warnings=("some bytes are not valid in the page's encoding and were replaced",) if damaged else (),
    )


class _Shallow(BeautifulSoup):
    """A parser that gives up at nesting too deep, before that costs the square of its depth."""

    def pushTag(self, tag: Tag) -> None:
        super().pushTag(tag)
        if len(self.tagStack) > _DEEPEST:
            raise UnreadableError(f"elements are nested more than {_DEEPEST} deep")


def _title(soup: BeautifulSoup, text: str, blocks: list[Block]) -> str:
    if soup.title and (title := soup.title.get_text(" ", strip=True)):
        return str(title)
    return next((text[block.start : block.end] for block in blocks if block.kind == "heading"), "")


def _table(owner: Tag, text: str, begin: int) -> Table | None:
    """Return the table whose ``text`` begins at ``begin``; None where its rows are not the text's lines."""
    table = owner if owner.name == "table" else owner.find_parent("table")
    if table is None:
        return None
    try:
        header, rows = html_rows(table, _cell_text)
    except ValueError:
        return None
    caption = table.find("caption")
    title = _cell_text(caption) if caption else ""
    lines = [
        " | ".join(filter(None, map(_cell_text, tr.find_all(["td", "th"], recursive=False))))
        for tr in table.find_all("tr")
    ]
    if list(filter(None, [title, *lines])) != text.split("\n"):
        return None
    at = begin + (len(title) + 1 if title else 0)
    found = []
    for i, line in enumerate(lines, len(rows) - len(lines)):
        if line and i >= 0:
            found.append(Row(at, at + len(line), rows[i]))
        at += len(line) + 1 if line else 0
    return Table(title, header, tuple(found)) if found else None


def _cell_text(cell: Tag) -> str:
    return " ".join("".join(piece for owner, piece in _pieces(cell) if owner is None).translate(_NO_MARKS).split())


def _blocks(soup: BeautifulSoup) -> Iterator[tuple[Tag | None, BlockKind, int, str]]:
    """Yield what a block begins at, its kind, heading level and text.

    A block is a run of text between two block elements' borders.
    """
    began: Tag | None = None
    kind: BlockKind = "paragraph"
    level = 0
    pieces: list[str] = []
    for owner, piece in _pieces(soup):
        if owner is None:
            pieces.append(piece)
            continue
        if text := _text(pieces, kind):
            yield began, kind, level, text
        pieces = []
        kind, level = _kind(owner)
        began = owner
    if text := _text(pieces, kind):
        yield began, kind, level, text


def _text(pieces: list[str], kind: BlockKind) -> str:
    text = "".join(pieces)
    if kind == "code":
        return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
    if kind == "table":
        rows = (" | ".join(filter(None, (" ".join(c.split()) for c in row.split("\v")))) for row in text.split("\f"))
        return "\n".join(filter(None, rows))
    return " ".join(text.split())


def _kind(owner: Tag) -> tuple[BlockKind, int]:
    """Return what a block below this element is: the nearest element that says so decides."""
    for tag in (owner, *owner.parents):
        if match := _HEADING.fullmatch(tag.name):
            return "heading", int(match[1])
        if tag.name == "pre":
            return "code", 0
        if tag.name == "table" and _is_data(tag):
            return "table", 0
        if tag.name in ("li", "dd", "dt"):
            return "list", 0
        if tag.name in ("body", "section", "article", "main"):
            break
    return "paragraph", 0


def _is_data(table: Tag) -> bool:
    """Whether a table holds data, not the page's layout."""
    return table.find(_IN_LAYOUT_TABLES) is None


def _pieces(soup: Tag) -> Iterator[tuple[Tag | None, str]]:
    """Walk the tree; yield (None, text) for text and (element, "") where a block of that element's begins.

    Within a data table, cells are parted by vertical tabs and rows by form feeds, which _text turns into lines.
    """
    stack: list[tuple[Tag, Iterator[PageElement], bool]] = [(soup, iter(soup.children), False)]
    while stack:
        tag, children, in_table = stack[-1]
        child = next(children, None)
        if child is None:
            stack.pop()
            if in_table and tag.name in ("td", "th", "tr", "caption"):
                yield None, "\f" if tag.name in ("tr", "caption") else "\v"
            elif stack and (tag.name == "table" or (tag.name in _BLOCKS and not in_table)):
                yield stack[-1][0], ""
        elif isinstance(child, Tag):
            if child.name in _LEFT_OUT:
                continue
            data_table = in_table or (child.name == "table" and _is_data(child))
            if child.name in _BLOCKS and not in_table:
                yield child, ""
            elif child.name == "br":
                yield None, "\n"
            stack.append((child, iter(child.children), data_table))
        elif isinstance(child, PreformattedString) or not isinstance(child, NavigableString):
            continue  # a comment, a document type, a processing instruction
        elif not (tag.name == "a" and child.strip() in _PERMALINK):
            yield None, str(child).translate(_NO_MARKS) if in_table else str(child)


_NO_MARKS = str.maketrans("\v\f", "  ")
