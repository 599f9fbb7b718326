"""The books of reading add up: pages in are pages accounted for, and their figures are the document's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chunking.accounting import account, total
from chunking.document import Block, Chunk, Document, Page, Row, Table
from chunking.limits import ReadLimits
from chunking.readers import read
from chunking.splitters import ChunkSettings, chunk
from chunking.tokens import TokenCounter

CheckBooks = Callable[[Document, list[Chunk]], None]

PAGES = (
    Page(1, 0, 40, "i", ("Handbook", "i")),
    Page(2, 42, 100, "ii", ("ii",), rotation=90),
    Page(3, 100, 100, dropped=("iii",)),
    Page(4, 100, 100, scanned=True),
    Page(5, 100, 100),
    Page(6, 102, 120, ocr=True, scanned=True),
)
TABLE = Table("Table 1", ("a", "b"), (Row(34, 40, ("1", "2")), Row(42, 48, ("3", "4")), Row(49, 55, ("5", "6"))))
BLOCKS = (
    Block("heading", 1, 0, 10, 1),
    Block("paragraph", 1, 12, 28),
    Block("table", 1, 30, 55, table=TABLE),
    Block("paragraph", 2, 57, 100),
    Block("paragraph", 6, 102, 120),
)
DOCUMENT = Document("a.pdf", "00", "T", "x" * 120, PAGES, BLOCKS)


def a_chunk(ordinal: int, first_page: int, tokens: int, prefix: str = "T\n") -> Chunk:
    return Chunk(str(ordinal), "a.pdf", "T", ordinal, (), first_page, first_page, 0, 1, "x", prefix + "x", tokens)


def test_every_page_is_told_and_the_sums_are_the_documents() -> None:
    chunks = [a_chunk(0, 1, 30), a_chunk(1, 1, 7), a_chunk(2, 6, 5, prefix="")]
    books = account(DOCUMENT, chunks)
    first, second, third, fourth, fifth, sixth = books.pages
    assert (first.label, first.characters, first.blocks) == ("i", 40, {"heading": 1, "paragraph": 1, "table": 1})
    assert (first.table_rows, second.table_rows) == (
        1,
        2,
    )  # the table goes on on page 2, its rows stand where they stand
    assert (first.dropped_lines, second.dropped_lines, third.dropped_lines) == (2, 1, 1)
    assert (first.chunks, first.tokens, first.shortened) == (2, 37, 0)
    assert (sixth.chunks, sixth.tokens, sixth.shortened) == (1, 5, 1)
    states = [page.without_text for page in (first, second, third, fourth, fifth, sixth)]
    assert states == ["", "", "running lines only", "scanned", "blank", ""]
    assert books.totals == {
        "pages": 6,
        "pages_without_text": 3,
        "pages_scanned": 1,
        "pages_blank": 1,
        "pages_ocr": 1,
        "pages_rotated": 1,
        "characters": 40 + 58 + 18,
        "separators": 4,
        "dropped_lines": 4,
        "tables": 1,
        "table_rows": 3,
        "blocks_heading": 1,
        "blocks_paragraph": 3,
        "blocks_table": 1,
        "chunks": 3,
        "tokens": 42,
        "chunks_shortened": 1,
    }
    assert json.loads(json.dumps(books.as_json()))["totals"] == books.totals


def test_totals_of_documents_are_summed_by_name() -> None:
    assert total([{"pages": 2, "tables": 1}, {}, {"pages": 3, "blocks_list": 4}]) == {
        "pages": 5,
        "tables": 1,
        "blocks_list": 4,
    }
    assert total([]) == {}


@given(
    st.lists(st.sampled_from(["# Head", "words and words", "- item", "| a | b |\n|---|---|\n| 1 | 2 |", "    code"]))
)
def test_the_books_of_any_markdown_balance(
    tmp_path_factory: Any, counter: TokenCounter, check_books: CheckBooks, parts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("books") / "a.md"
    path.write_text("\n\n".join(["begin", *parts]), encoding="utf-8")
    document = read(path, "a.md", ReadLimits())
    check_books(document, chunk(document, ChunkSettings(), counter))


def test_the_books_of_a_drawn_pdf_balance(
    tmp_path: Path, draw_pdf: Any, counter: TokenCounter, check_books: CheckBooks
) -> None:
    page = [("1 Scope", 72, 720, 14, "Times-Bold"), ("These are the words of a page.", 72, 690, 10, "Times-Roman")]
    document = read(draw_pdf(tmp_path / "a.pdf", [page, [], page]), "a.pdf", ReadLimits())
    check_books(document, chunk(document, ChunkSettings(), counter))
    assert [page.without_text for page in account(document, []).pages] == ["", "blank", ""]
