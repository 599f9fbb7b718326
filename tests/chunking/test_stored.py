"""What is stored comes back equal."""

from __future__ import annotations

from pathlib import Path

from chunking.document import Block, Chunk, Document, Page
from chunking.splitters import ChunkSettings, chunk
from chunking.stored import load, load_chunks, load_text, save
from chunking.tokens import TokenCounter


def test_round_trip(tmp_path: Path, counter: TokenCounter) -> None:
    text = "Heading \u2028 with odd breaks\r\n\r\nWords\u0085 日本語 \x0b and 𝛼.\r"
    blocks = (Block("heading", 1, 0, 26, 2), Block("paragraph", 1, 30, len(text) - 1))
    document = Document("a/b.txt", "00", "T", text, (Page(1, 0, 30), Page(2, 30, 30)), blocks, {"format": "x"}, ("w",))
    chunks = chunk(document, ChunkSettings(), counter)
    save(tmp_path / "new" / "folder", document, chunks)
    assert load(tmp_path / "new" / "folder") == (document, chunks)
    assert load_chunks(tmp_path / "new" / "folder") == chunks
    assert load_text(tmp_path / "new" / "folder") == text
    assert isinstance(chunks[0], Chunk)
    assert isinstance(load_chunks(tmp_path / "new" / "folder")[0].section, tuple)
    assert (tmp_path / "new" / "folder" / "text.txt").read_bytes() == text.encode()
