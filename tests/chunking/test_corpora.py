"""Real documents: RFCs whose sections were judged, Japanese articles, and PDFs of standards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pypdf
import pytest

from chunking.document import Chunk, Document
from chunking.limits import ReadLimits
from chunking.readers import read
from chunking.splitters import SPLITTERS, ChunkSettings, chunk
from chunking.tokens import TokenCounter
from tests.chunking import judged_rfcs

DataFolder = Callable[[str], Path]

pytestmark = pytest.mark.data

# Every splitter, with an overlap that is no round share of the size.
SETTINGS = [ChunkSettings(splitter, max_tokens=200, overlap=37) for splitter in SPLITTERS]

# The judged spans of these end too late: they take in the sections that follow (RFC 2328 indents its subsections).
COARSE = {("rfc2328.txt", number) for number in ("9", "10", "11", "13", "16", "A.4.5")} | {("rfc8613.txt", "3")}


def test_judged_rfc_sections_begin_with_their_heading_and_hold_their_chunks(
    data_folder: DataFolder, counter: TokenCounter, check_chunks: object
) -> None:
    spans = headed = inside = named = 0
    rfcs = data_folder("rfc")
    judged_sections = judged_rfcs.sections(rfcs)
    for name in sorted(judged_sections)[::6]:
        judged = {place for place in judged_sections[name] if (name, place[0]) not in COARSE}
        document = read(rfcs / "documents" / name, name, ReadLimits())
        headings = {block.start: block for block in document.blocks if block.kind == "heading"}
        chunks = chunk(document, ChunkSettings(), counter)
        check_chunks(document, chunks, ChunkSettings(), counter)  # type: ignore[operator]
        for number, start, end in judged:
            spans += 1
            block = headings.get(start)
            headed += (
                block is not None
                and judged_rfcs.number_of(" ".join(document.text[block.start : block.end].split())) == number
            )
            paths = [part.section for part in chunks if start <= part.start and part.end <= end]
            inside += len(paths)
            named += sum(bool(path) and judged_rfcs.number_of(path[-1]) == number for path in paths)
    assert spans > 250
    assert headed / spans >= 0.99
    assert named / inside >= 0.98


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.splitter)
def test_every_splitter_covers_real_documents(
    data_folder: DataFolder, both: TokenCounter, check_chunks: object, settings: ChunkSettings
) -> None:
    paths = [
        data_folder("rfc") / "documents" / "rfc2328.txt",
        *sorted((data_folder("jaquad") / "documents").glob("*.txt"))[::40],
    ]
    for path in paths:
        document = read(path, path.name, ReadLimits())
        chunks = chunk(document, settings, both)
        check_chunks(document, chunks, settings, both)  # type: ignore[operator]


def test_rfc_titles(data_folder: DataFolder) -> None:
    rfcs = data_folder("rfc")
    titles = json.loads((rfcs / "titles.json").read_text())
    names = sorted(titles)[::5]
    read_titles = {name: read(rfcs / "documents" / name, name, ReadLimits()).title for name in names}
    right = [name for name in names if read_titles[name].lower() == titles[name].lower()]
    assert len(right) / len(names) >= 0.95, {name: read_titles[name] for name in names if name not in right}


def test_japanese_articles_are_cut_at_sentence_ends(data_folder: DataFolder, both: TokenCounter) -> None:
    ends = total = 0
    for path in sorted((data_folder("jaquad") / "documents").glob("*.txt"))[::12]:
        chunks = chunk(read(path, path.name, ReadLimits()), ChunkSettings(), both)
        total += len(chunks)
        ends += sum(part.text.endswith(("。", "」", "』", ")", "！", "？")) for part in chunks)
    assert total > 100
    assert ends / total >= 0.95


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_pdfs_are_read_and_their_pages_add_up(
    data_folder: DataFolder,
    counter: TokenCounter,
    check_books: Callable[[Document, Sequence[Chunk]], None],
    check_chunks: Callable[[Document, Sequence[Chunk], ChunkSettings, TokenCounter], None],
) -> None:
    pdfs = data_folder("pdfs")
    documents: dict[str, Document] = {}
    for path in sorted(pdfs.glob("*.pdf")):
        document = documents[path.stem] = read(path, path.name, ReadLimits())
        for settings in (ChunkSettings(), *SETTINGS):
            chunks = chunk(document, settings, counter)
            check_chunks(document, chunks, settings, counter)
            check_books(document, chunks)
        assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
        assert all(0 < block.page <= len(document.pages) for block in document.blocks)
        empty = [page for page in document.pages if page.start == page.end]
        assert all(document.text[page.start : page.end].strip() for page in document.pages if page not in empty)
        assert len(empty) < len(document.pages) / 8
        assert sum(block.kind == "heading" for block in document.blocks) >= 40
    counted = {path.stem: len(pypdf.PdfReader(path).pages) for path in pdfs.glob("*.pdf")}
    assert {stem: len(document.pages) for stem, document in documents.items()} == counted
    assert sum(counted.values()) == 5442
    assert "evaluates an If-Match condition MUST NOT perform the requested method if" in documents["rfc9110"].text
    assert "これは決定的な Unix の発明です。" in documents["debian-reference.ja"].text
