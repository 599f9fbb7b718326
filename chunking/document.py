"""The nouns of reading: a document, its pages and blocks, and the chunks cut from it.

Every span is a half-open range of character offsets ``[start, end)`` into ``Document.text``; pages count from 1.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list", "table", "code", "caption", "footnote", "contents"]
"""``contents`` is a table of contents or an index: part of the text, but of no chunk."""

SECTION_SEPARATOR = " > "
LONGEST_TITLE = 300  # characters of a title or heading that are kept in what is repeated with every chunk


class UnreadableError(Exception):
    """A document that cannot be read; it goes to quarantine with this reason and, where known, the page."""

    def __init__(self, reason: str, page: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.page = page


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document: its number (from 1) and its span. An empty span is a page without text.

    ``label`` is the number printed on it, ``dropped`` the running headers and footers, and the repeated headers of
    tables, that were left out of the text, ``dropped_boxes`` where each of them stands, where the format has such (none
    otherwise), ``rotation`` by how many degrees the page is turned for display (0, 90, 180
    or 270). A ``scanned`` page shows something but has no text of its own; with ``ocr`` its text was recognised in the
    picture.
    """

    number: int
    start: int
    end: int
    label: str = ""
    dropped: tuple[str, ...] = ()
    rotation: int = 0
    ocr: bool = False
    scanned: bool = False
    dropped_boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Box:
    """Where something stands on a page, in points from the lower left corner of the page as it is displayed."""

    page: int
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its span in the document's text, and the texts of its cells, one for each column."""

    start: int
    end: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table's caption, the names of its columns (empty where it has none) and its rows, without the header's.

    A table that goes on over several pages is one table; the header that each page repeats is left out.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of one kind of text. ``level`` is the depth of a heading (1 is the top), 0 for all others.

    ``boxes`` are where it stands on its pages, where the format has such (PDF). ``table`` is what a block of kind
    ``table`` holds, where its cells are known; its text up to the first row is the header. ``continues`` tells that
    its first sentence began in the paragraph before it, over the end of a page; what stands in between is in no block.
    """

    kind: BlockKind
    page: int
    start: int
    end: int
    level: int = 0
    boxes: tuple[Box, ...] = ()
    table: Table | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A document as read.

    ``id`` is stable across edits (the path below the folder that was ingested); ``content_hash`` is the SHA-256 of
    the file's bytes. ``blocks`` are in reading order and do not overlap. For text files ``text`` is the decoded file
    itself, so that spans judged on the file hold.
    """

    id: str
    content_hash: str
    title: str
    text: str
    pages: tuple[Page, ...]
    blocks: tuple[Block, ...]
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Parent:
    """The clause that a small passage was cut from: its span, and its first and last page."""

    start: int
    end: int
    first_page: int
    last_page: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Chunk:
    """A passage that is embedded, found and shown.

    ``text`` is what the reader sees, exactly ``document.text[start:end]``; ``encoder_text`` is what the encoders read
    (title, section path and text). ``id`` is a UUID made from document id, span and text, so the same passage has the
    same id in every run. ``lead`` is shown above the text but is no part of it: the header of a table that begins in
    an earlier chunk. ``parent`` is what a search shows in place of the passage it found, None for the passage itself.
    """

    id: str
    document: str
    title: str
    ordinal: int
    section: tuple[str, ...]
    first_page: int
    last_page: int
    start: int
    end: int
    text: str
    encoder_text: str
    tokens: int
    lead: str = ""
    parent: Parent | None = None


def as_shown(chunk: Chunk, text: str | None = None) -> Chunk:
    """Return a chunk as a search shows it: with the span and pages of its parent, where it has one.

    ``text`` is the document's; without it the passage's own text stays, which is enough where only places are compared.
    """
    parent = chunk.parent
    if parent is None:
        return chunk
    return replace(
        chunk,
        start=parent.start,
        end=parent.end,
        first_page=parent.first_page,
        last_page=parent.last_page,
        text=chunk.text if text is None else text[parent.start : parent.end],
        lead="",
    )


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def chunk_id(document: str, start: int, end: int, text: str) -> str:
    """Return the stable UUID (as text) of a chunk."""
    digest = hashlib.sha256(f"{document}\0{start}\0{end}\0{text}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16]))
