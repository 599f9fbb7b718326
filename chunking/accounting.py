"""What became of every page of a document: the books of reading, in which nothing may be missing.

What belongs to several pages (a block, a table, a chunk) is counted once, on the page where it begins, so that the
pages' figures add up to the document's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from chunking.document import Chunk, Document, Page
from chunking.splitters import shortened

WithoutText = Literal["", "scanned", "running lines only", "blank"]
Totals = dict[str, int]
"""Counts by name; ``blocks_<kind>`` for every kind of block that occurs."""


@dataclass(frozen=True)
class PageAccount:
    """One page: what was read from it, what was left out, and what begins on it.

    ``characters`` is the length of the page's text. ``blocks`` counts those that begin here by kind, ``table_rows``
    the rows that stand here, ``dropped_lines`` the running headers and footers left out of the text.
    ``without_text`` says why there is no text: a picture that was not recognised, running lines only, or nothing at
    all; it is "" where there is text. ``tokens`` and ``shortened`` are of the chunks that begin here: the tokens that
    the encoders read, and how many of the chunks are read with their title or section path cut short.
    """

    page: int
    label: str
    characters: int
    blocks: dict[str, int]
    table_rows: int
    dropped_lines: int
    without_text: WithoutText
    rotation: int
    ocr: bool
    chunks: int
    tokens: int
    shortened: int


@dataclass(frozen=True)
class DocumentAccount:
    """All pages of a document. ``separators`` are the characters between the pages' texts."""

    document: str
    separators: int
    pages: tuple[PageAccount, ...]

    @property
    def totals(self) -> Totals:
        """The sums over the pages; ``characters`` and ``separators`` together are the length of the text."""
        without = Counter(page.without_text for page in self.pages)
        blocks: Counter[str] = Counter()
        for page in self.pages:
            blocks.update(page.blocks)
        return {
            "pages": len(self.pages),
            "pages_without_text": len(self.pages) - without[""],
            "pages_scanned": without["scanned"],
            "pages_blank": without["blank"],
            "pages_ocr": sum(page.ocr for page in self.pages),
            "pages_rotated": sum(page.rotation != 0 for page in self.pages),
            "characters": sum(page.characters for page in self.pages),
            "separators": self.separators,
            "dropped_lines": sum(page.dropped_lines for page in self.pages),
            "tables": blocks["table"],
            "table_rows": sum(page.table_rows for page in self.pages),
            **{f"blocks_{kind}": blocks[kind] for kind in sorted(blocks)},
            "chunks": sum(page.chunks for page in self.pages),
            "tokens": sum(page.tokens for page in self.pages),
            "chunks_shortened": sum(page.shortened for page in self.pages),
        }

    def as_json(self) -> dict[str, Any]:
        """Return the account as JSON-able values."""
        return {"document": self.document, "totals": self.totals, "pages": [asdict(page) for page in self.pages]}


def account(document: Document, chunks: Sequence[Chunk]) -> DocumentAccount:
    """Return the account of a document and the chunks cut from it."""
    starts = [page.start for page in document.pages]

    def page_at(offset: int) -> int:
        return document.pages[max(0, bisect_right(starts, offset) - 1)].number

    blocks: dict[int, Counter[str]] = {page.number: Counter() for page in document.pages}
    rows: Counter[int] = Counter()
    for block in document.blocks:
        blocks[block.page][block.kind] += 1
        rows.update(page_at(row.start) for row in (block.table.rows if block.table else ()))
    begun: dict[int, list[Chunk]] = {page.number: [] for page in document.pages}
    for chunk in chunks:
        begun[chunk.first_page].append(chunk)
    pages = tuple(
        PageAccount(
            page=page.number,
            label=page.label,
            characters=page.end - page.start,
            blocks=dict(sorted(blocks[page.number].items())),
            table_rows=rows[page.number],
            dropped_lines=len(page.dropped),
            without_text=_without_text(page),
            rotation=page.rotation,
            ocr=page.ocr,
            chunks=len(begun[page.number]),
            tokens=sum(chunk.tokens for chunk in begun[page.number]),
            shortened=shortened(begun[page.number]),
        )
        for page in document.pages
    )
    return DocumentAccount(document.id, len(document.text) - sum(page.characters for page in pages), pages)


def total(documents: Iterable[Mapping[str, int]]) -> Totals:
    """Return the sums over several documents' totals."""
    sums: Totals = {}
    for totals in documents:
        for name, count in totals.items():
            sums[name] = sums.get(name, 0) + count
    return sums


def _without_text(page: Page) -> WithoutText:
    if page.start < page.end:
        return ""
    if page.scanned:
        return "scanned"
    return "running lines only" if page.dropped else "blank"
