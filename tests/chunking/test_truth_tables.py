"""Tables of real pages whose cells were written down by eye: the share found, and how many are found that are none.

``truth_tables/*.json`` holds them by page, or by pages ("24-25") for those that go over a page break, whose header
stands there once: with the page that it begins on. A name over several columns stands in each.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chunking.document import Document
from chunking.splitters import ChunkSettings, chunk
from chunking.tokens import TokenCounter

pytestmark = pytest.mark.data

TRUTH = [
    json.loads(path.read_text("utf-8")) for path in sorted(Path(__file__).with_name("truth_tables").glob("*.json"))
]


# Table G-1 of the Ada manual: its last two columns touch, so that only their words tell them apart.
TOUCHING = pytest.mark.xfail(reason="columns without a gap between them are read as one", strict=True)
CASES = [
    pytest.param(truth, id=truth["document"], marks=[TOUCHING] * truth["document"].startswith("ada")) for truth in TRUTH
]


def placed_cells(rows: list[list[str]]) -> Counter[tuple[int, str]]:
    """Count the cells that are not empty, each with its column; the header is the first row."""
    return Counter((i, "".join(cell.split())) for row in rows for i, cell in enumerate(row) if cell)


def rows_on(document: Document, first: int, last: int) -> list[list[str]]:
    """Return the rows of tables on these pages, with the header of those that begin there."""
    start, end = document.pages[first - 1].start, document.pages[last - 1].end
    rows: list[list[str]] = []
    for block in document.blocks:
        if block.table is not None:
            rows += [list(block.table.header)] if first <= block.page <= last else []
            rows += [list(row.cells) for row in block.table.rows if start <= row.start < end]
    return rows


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("truth", CASES)
def test_cells_stand_in_their_columns(truth: dict[str, Any], read_real_pdf: Callable[[str], Document]) -> None:
    document = read_real_pdf(truth["document"])
    wanted: Counter[tuple[int, str]] = Counter()
    found: Counter[tuple[int, str]] = Counter()
    for pages, tables in truth["pages"].items():
        numbers = [int(number) for number in pages.split("-")]
        wanted += sum(map(placed_cells, tables), Counter[tuple[int, str]]())
        found += placed_cells(rows_on(document, numbers[0], numbers[-1]))
    right, extra = (wanted & found).total(), (found - wanted).total()
    print(f"{truth['document']}: {right} of {wanted.total()} cells, {extra} extra")
    assert right >= 0.95 * wanted.total(), wanted - found
    assert extra <= 0.05 * wanted.total(), found - wanted


# A table on two or more pages: the page after the break, its caption, and the first names of its columns.
OVER_PAGES = [
    ("khronos_glspec46.core.pdf", 231, "Table 8.12:", ("Sized Internal Format", "Base Internal Format")),
    ("riscv-privileged-latest.pdf", 25, "Table 5.", ("Number", "Privilege", "Name", "Description")),
]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("name", "page", "caption", "columns"), OVER_PAGES)
def test_passages_after_the_page_break_are_read_with_caption_and_columns(
    name: str,
    page: int,
    caption: str,
    columns: tuple[str, ...],
    read_real_pdf: Callable[[str], Document],
    counter: TokenCounter,
) -> None:
    document = read_real_pdf(name)
    table = next(
        block.table
        for block in document.blocks
        if block.table is not None and block.table.caption.startswith(caption) and block.table.rows
    )
    start, end = document.pages[page - 1].start, document.pages[page - 1].end
    after = [row for row in table.rows if start <= row.start < end]
    assert after, "no row stands after the page break"
    chunks = chunk(document, ChunkSettings(), counter)
    for row in after:
        passage = next(c for c in chunks if c.start <= row.start < c.end)
        assert caption in passage.encoder_text
        assert all(f"{column}: " in passage.encoder_text for column in columns)
        begins_within = table.rows[0].start < passage.start
        assert not begins_within or passage.lead.startswith("| " + " | ".join(columns))
