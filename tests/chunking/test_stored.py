"""What is stored comes back equal."""

from __future__ import annotations

from pathlib import Path

from chunking.document import Block, Box, Chunk, Document, Page, Row, Table
from chunking.splitters import ChunkSettings, chunk
from chunking.stored import load, load_chunks, load_text, save
from chunking.tokens import TokenCounter


def test_round_trip(tmp_path: Path, counter: TokenCounter) -> None:
    text = "Heading \u2028 with odd breaks\r\n\r\nWords\u0085 日本語 \x0b and 𝛼.\r"
    table = Table("Table 1", ("a", "b"), (Row(30, 35, ("x", "")), Row(36, 40, ("y", "z"))))
    blocks = (
        Block("heading", 1, 0, 26, 2, (Box(1, 72.0, 700.5, 300.0, 712.0), Box(2, 72.0, 30.0, 90.0, 42.0))),
        Block("table", 1, 30, len(text) - 1, table=table),
    )
    pages = (
        Page(
            1,
            0,
            30,
            "iv",
            ("Handbook", "iv"),
            90,
            dropped_boxes=(Box(1, 72.0, 800.0, 120.0, 810.0), Box(1, 72, 20, 80, 30)),
        ),
        Page(2, 30, 30, ocr=True, scanned=True),
    )
    document = Document("a/b.txt", "00", "T", text, pages, blocks, {"format": "x"}, ("w",))
    chunks = chunk(document, ChunkSettings(), counter)
    save(tmp_path / "new" / "folder", document, chunks)
    assert load(tmp_path / "new" / "folder") == (document, chunks)
    assert load_chunks(tmp_path / "new" / "folder") == chunks
    assert load_text(tmp_path / "new" / "folder") == text
    assert isinstance(chunks[0], Chunk)
    assert isinstance(load_chunks(tmp_path / "new" / "folder")[0].section, tuple)
    assert (tmp_path / "new" / "folder" / "text.txt").read_bytes() == text.encode()
