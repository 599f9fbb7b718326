"""A read document on disk: ``document.json`` (all but the text), ``text.txt`` (UTF-8) and ``chunks.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from chunking.document import Block, BlockKind, Box, Chunk, Document, Page, Parent, Row, Table

_CHUNKS = "chunks.jsonl"
_ID = b'{"id": "'  # what every record begins with: the first field of a chunk, and a UUID needs no escapes


def save(directory: Path, document: Document, chunks: Sequence[Chunk]) -> None:
    """Write the three files into ``directory``, making it if need be. Not atomic: the caller renames the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    record = {
        "id": document.id,
        "content_hash": document.content_hash,
        "title": document.title,
        "pages": [astuple(page) for page in document.pages],
        "blocks": [astuple(block) for block in document.blocks],
        "metadata": document.metadata,
        "warnings": document.warnings,
    }
    (directory / "document.json").write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")
    (directory / "text.txt").write_bytes(document.text.encode())  # bytes: line ends stay as they are
    with (directory / _CHUNKS).open("w", encoding="utf-8", newline="\n") as file:
        for chunk in chunks:
            file.write(json.dumps(asdict(chunk), ensure_ascii=False) + "\n")


def load(directory: Path) -> tuple[Document, list[Chunk]]:
    """Read back what ``save`` wrote."""
    record = json.loads((directory / "document.json").read_text(encoding="utf-8"))
    document = Document(
        id=record["id"],
        content_hash=record["content_hash"],
        title=record["title"],
        text=load_text(directory),
        pages=tuple(_page(*page) for page in record["pages"]),
        blocks=tuple(_block(*block) for block in record["blocks"]),
        metadata=record["metadata"],
        warnings=tuple(record["warnings"]),
    )
    return document, load_chunks(directory)


def load_text(directory: Path) -> str:
    """Read the document's text alone."""
    return (directory / "text.txt").read_bytes().decode()


def text_bytes(directory: Path) -> int:
    """Return how long the document's text is, in bytes of UTF-8, without reading it."""
    return (directory / "text.txt").stat().st_size


def load_chunks(directory: Path) -> list[Chunk]:
    """Read the chunks alone."""
    with (directory / _CHUNKS).open(encoding="utf-8", newline="\n") as file:
        return [_chunk(json.loads(line)) for line in file]


def chunk_places(directory: Path) -> list[tuple[str, int]]:
    """Return each chunk's id, in order, and the byte its record begins at, without parsing the records."""
    places: list[tuple[str, int]] = []
    offset = 0
    with (directory / _CHUNKS).open("rb") as file:
        for line in file:
            if not line.startswith(_ID):
                raise ValueError(f"{directory / _CHUNKS}: the record at byte {offset} does not begin with an id")
            places.append((line[len(_ID) : line.index(b'"', len(_ID))].decode(), offset))
            offset += len(line)
    return places


def load_some_chunks(directory: Path, offsets: Sequence[int]) -> list[Chunk]:
    """Read the chunks whose records begin at these bytes, which ``chunk_places`` gave, in this order."""
    chunks = []
    with (directory / _CHUNKS).open("rb") as file:
        for offset in offsets:
            file.seek(offset)
            chunks.append(_chunk(json.loads(file.readline())))
    return chunks


# What older versions wrote ends sooner: the defaults stand for what they did not know.


def _page(
    number: int,
    start: int,
    end: int,
    label: str = "",
    dropped: Sequence[str] = (),
    rotation: int = 0,
    ocr: bool = False,
    scanned: bool = False,
    dropped_boxes: Sequence[Sequence[Any]] = (),
) -> Page:
    boxes = tuple(Box(*box) for box in dropped_boxes)
    return Page(number, start, end, label, tuple(dropped), rotation, ocr, scanned, boxes)


def _block(
    kind: BlockKind,
    page: int,
    start: int,
    end: int,
    level: int,
    boxes: Sequence[Sequence[Any]] = (),
    table: Sequence[Any] | None = None,
    continues: bool = False,
) -> Block:
    places = tuple(Box(*box) for box in boxes)
    return Block(kind, page, start, end, level, places, _table(*table) if table else None, continues)


def _table(caption: str, header: Sequence[str], rows: Sequence[tuple[int, int, Sequence[str]]]) -> Table:
    return Table(caption, tuple(header), tuple(Row(start, end, tuple(cells)) for start, end, cells in rows))


def _chunk(record: dict[str, Any]) -> Chunk:
    section, parent = record.pop("section"), record.pop("parent", None)
    return Chunk(section=tuple(section), parent=Parent(**parent) if parent else None, **record)
