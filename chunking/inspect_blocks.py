"""What the reader saw, block by block: every page's blocks in reading order, their section, and who embeds them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chunking.document import SECTION_SEPARATOR, Block, Chunk, Document
from chunking.sections import sections


@dataclass(frozen=True)
class Stretch:
    """A part of a block's text on one page that belongs to one chunk (by ordinal), or to none."""

    text: str
    chunk: int | None
    begins: bool  # whether the chunk begins here


@dataclass(frozen=True)
class SeenBlock:
    """A block as it stands on one page: its number in the page's reading order, its section, its text there."""

    number: int
    block: Block
    section: tuple[str, ...]
    stretches: tuple[Stretch, ...]

    @property
    def text(self) -> str:
        """The block's text on this page."""
        return "".join(stretch.text for stretch in self.stretches)

    @property
    def chunks(self) -> list[int]:
        """The ordinals of the chunks that hold it."""
        return sorted({stretch.chunk for stretch in self.stretches if stretch.chunk is not None})

    def as_json(self) -> dict[str, Any]:
        """Return the block as JSON-able values."""
        table = self.block.table
        return {
            "number": self.number,
            "kind": self.block.kind,
            "level": self.block.level,
            "section": SECTION_SEPARATOR.join(self.section),
            "start": self.block.start,
            "end": self.block.end,
            "text": self.text,
            "chunks": self.chunks,
            "boxes": [[box.page, box.left, box.bottom, box.right, box.top] for box in self.block.boxes],
            "table": table
            and {"caption": table.caption, "header": table.header, "rows": [row.cells for row in table.rows]},
        }


def seen_blocks(document: Document, chunks: Sequence[Chunk]) -> dict[int, list[SeenBlock]]:
    """Return the blocks of every page; one that goes on over several pages is on each of them."""
    paths = {
        (block.start, block.end): section.path
        for section in sections(document)
        for block in (*section.headings, *section.body)
    }
    pages: dict[int, list[SeenBlock]] = {page.number: [] for page in document.pages}
    page_ends = [page.end for page in document.pages]
    chunk_ends = [chunk.end for chunk in chunks]
    for block in document.blocks:
        for page in document.pages[bisect_right(page_ends, block.start) :]:
            start, end = max(block.start, page.start), min(block.end, page.end)
            if page.start >= block.end:
                break
            if start >= end:
                continue
            near = chunks[bisect_right(chunk_ends, start) :] if block.kind != "contents" else ()
            stretches = tuple(_stretches(document.text, start, end, near))
            seen = pages[page.number]
            seen.append(SeenBlock(len(seen) + 1, block, paths.get((block.start, block.end), ()), stretches))
    return pages


def _stretches(text: str, start: int, end: int, chunks: Sequence[Chunk]) -> list[Stretch]:
    """Divide a span among the chunks; what two chunks share, for their overlap, is counted to the later one."""
    stretches: list[Stretch] = []
    at = start
    for i, chunk in enumerate(chunks):
        if chunk.start >= end:
            break
        if chunk.start > at:
            stretches.append(Stretch(text[at : chunk.start], None, False))
            at = chunk.start
        following = chunks[i + 1].start if i + 1 < len(chunks) else end
        until = max(at, min(chunk.end, end, following))
        if until > at:
            stretches.append(Stretch(text[at:until], chunk.ordinal, at == chunk.start))
            at = until
    if at < end:
        stretches.append(Stretch(text[at:end], None, False))
    return stretches
