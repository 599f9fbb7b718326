"""Fixtures: two small tokenizers, a drawer of PDFs, and what must hold for every chunked document."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split, Whitespace

from chunking.accounting import account
from chunking.document import Chunk, Document
from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf
from chunking.splitters import ChunkSettings
from chunking.tokens import TokenCounter


@pytest.fixture(scope="session")
def tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two tokenizer.json files: one token for each word or punctuation run, and one for each two characters."""
    folder = tmp_path_factory.mktemp("tokenizers")
    words = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()  # type: ignore[assignment]
    words.enable_truncation(16)  # as models' own files have it; a counter must not be capped by it
    pairs = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    pairs.pre_tokenizer = Split(Regex(r"\S\S?|\s+"), "isolated")  # type: ignore[assignment]
    paths = [folder / "words.json", folder / "pairs.json"]
    words.save(str(paths[0]))
    pairs.save(str(paths[1]))
    return paths


@pytest.fixture(scope="session")
def counter(tokenizer_files: list[Path]) -> TokenCounter:
    """One token for each word."""
    return TokenCounter.load(tokenizer_files[:1])


@pytest.fixture(scope="session")
def both(tokenizer_files: list[Path]) -> TokenCounter:
    """Both tokenizers: the larger count."""
    return TokenCounter.load(tokenizer_files)


CheckChunks = Callable[[Document, Sequence[Chunk], ChunkSettings, TokenCounter], None]


@pytest.fixture(scope="session")
def check_chunks() -> CheckChunks:
    """What must hold for the chunks of any document."""

    def check(document: Document, chunks: Sequence[Chunk], settings: ChunkSettings, counter: TokenCounter) -> None:
        assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
        assert len({chunk.id for chunk in chunks}) == len(chunks)
        for before, block in itertools.pairwise(document.blocks):
            assert before.end <= block.start
        for chunk in chunks:
            assert chunk.text == document.text[chunk.start : chunk.end] != ""
            assert chunk.tokens == counter.count(chunk.encoder_text) <= settings.budget
            assert 1 <= chunk.first_page <= chunk.last_page <= len(document.pages)
            if chunk.parent is not None:
                assert chunk.parent.start <= chunk.start < chunk.end <= chunk.parent.end
                assert chunk.parent.first_page <= chunk.first_page <= chunk.last_page <= chunk.parent.last_page
        for before, chunk in itertools.pairwise(chunks):
            assert before.start < chunk.start
            assert before.end < chunk.end
            assert before.end <= chunk.start or settings.overlap
        # Every character of every block but contents, once and in order, apart from what the chunk before had.
        body = [i for b in document.blocks if b.kind != "contents" for i in range(b.start, b.end)]
        ends = [0, *(chunk.end for chunk in chunks)]
        own = [i for end, c in zip(ends, chunks, strict=False) for i in range(max(end, c.start), c.end)]
        known = set(body)
        assert [i for i in own if i in known and not document.text[i].isspace()] == [
            i for i in body if not document.text[i].isspace()
        ]

    return check


CheckBooks = Callable[[Document, Sequence[Chunk]], None]


@pytest.fixture(scope="session")
def check_books() -> CheckBooks:
    """What must hold for the account of any document."""

    def check(document: Document, chunks: Sequence[Chunk]) -> None:
        books = account(document, chunks)
        totals = books.totals
        assert [page.page for page in books.pages] == [page.number for page in document.pages]
        assert totals["characters"] + totals["separators"] == len(document.text)
        assert totals["separators"] >= 0
        between = [
            document.text[before.end : page.start]
            for before, page in zip((replace(document.pages[0], end=0), *document.pages), document.pages, strict=False)
        ]
        assert not "".join([*between, document.text[document.pages[-1].end :]]).strip()
        kinds = Counter(block.kind for block in document.blocks)
        assert {kind: totals.get(f"blocks_{kind}", 0) for kind in kinds} == kinds
        assert totals["tables"] == kinds["table"]
        assert totals["table_rows"] == sum(len(block.table.rows) for block in document.blocks if block.table)
        assert totals["dropped_lines"] == sum(len(page.dropped) for page in document.pages)
        assert totals["chunks"] == len(chunks)
        assert totals["tokens"] == sum(chunk.tokens for chunk in chunks)
        without = [page for page in books.pages if page.without_text]
        assert totals["pages_without_text"] == len(without) == sum(page.characters == 0 for page in books.pages)
        assert not [page for page in without if page.chunks or page.blocks or page.table_rows]

    return check


@pytest.fixture(scope="session")
def read_real_pdf(data_folder: Callable[[str], Path]) -> Callable[[str], Document]:
    """Return a function that reads one of the real documents, given its file name, or skips the test; each once."""
    return cache(lambda name: read_pdf(data_folder("pdfs") / name, name, ReadLimits()))


DrawPdf = Callable[[Path, Iterable[Iterable[tuple[str, float, float, int, str]]]], Path]


@pytest.fixture(scope="session")
def draw_pdf() -> DrawPdf:
    """Return a function that draws pages of (text, x, y, size, font) in the order given."""
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))

    def draw(path: Path, pages: Iterable[Iterable[tuple[str, float, float, int, str]]]) -> Path:
        canvas = Canvas(str(path), pagesize=(595, 842), invariant=True)
        for page in pages:
            for text, x, y, size, font in page:
                canvas.setFont(font, size)
                canvas.drawString(x, y, text)
            canvas.showPage()
        canvas.save()
        return path

    return draw
