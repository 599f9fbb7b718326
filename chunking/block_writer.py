"""A document's text put together from blocks, for formats whose files are not their own text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from chunking.document import Block, BlockKind, Document, Page, Row, Table, UnreadableError, sha256_file
from chunking.limits import ReadLimits
from chunking.markdown_table import markdown_header, markdown_row


class BlockWriter:
    """Collects blocks, parted by blank lines; the document has one page. Raises UnreadableError over the limit."""

    def __init__(self, limits: ReadLimits) -> None:
        self.blocks: list[Block] = []
        self.warnings: list[str] = []
        self._limits = limits
        self._parts: list[str] = []
        self._length = 0

    def write(self, kind: BlockKind, text: str, level: int = 0) -> None:
        """Add a block, none if the text is blank. Blanks at its ends go, those within stay as they are."""
        if text := text.strip():
            self._add(kind, text, level)

    def heading(self, text: str, level: int) -> None:
        """Add a heading on one line; ``level`` 1 is the top."""
        self.write("heading", " ".join(text.split()), level)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
        """Add a table as Markdown. Rows shorter than the longest are filled up; ``header`` is empty where unknown."""
        columns = max(map(len, (header, *rows)), default=0)
        cells = [tuple(" ".join(cell.split()) for cell in (*row, *[""] * (columns - len(row)))) for row in rows]
        names = tuple(" ".join(name.split()) for name in (*header, *[""] * (columns - len(header)))) if header else ()
        if not any(map(any, (names, *cells))):
            return
        lines = [markdown_header(names, columns)]
        at = self._length + len(lines[0]) + 1
        spans = []
        for row in cells:
            lines.append(markdown_row(row))
            spans.append(Row(at, at + len(lines[-1]), row))
            at += len(lines[-1]) + 1
        self._add("table", "\n".join(lines), 0, Table(caption, names, tuple(spans)))

    def _add(self, kind: BlockKind, text: str, level: int, table: Table | None = None) -> None:
        self.blocks.append(Block(kind, 1, self._length, self._length + len(text), level, table=table))
        self._parts.append(text)
        self._length += len(text) + 2
        if self._length > self._limits.characters:
            raise UnreadableError(f"more than {self._limits.characters} characters of text")

    def document(self, path: Path, document_id: str, title: str, kind: str) -> Document:
        """Return the document; its title is the first heading, else the file's name, where ``title`` is blank."""
        if not self.blocks:
            raise UnreadableError("the document has no text")
        written = zip(self.blocks, self._parts, strict=True)
        heading = next((part for block, part in written if block.kind == "heading"), "")
        text = "\n\n".join(self._parts)
        return Document(
            id=document_id,
            content_hash=sha256_file(path),
            title=title.strip() or heading or PurePosixPath(document_id).stem,
            text=text,
            pages=(Page(1, 0, len(text)),),
            blocks=tuple(self.blocks),
            metadata={"format": kind},
            warnings=tuple(self.warnings),
        )
