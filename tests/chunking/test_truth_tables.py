"""Tables of real pages whose cells were written down by eye: the share found, and how many are found that are none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest

from chunking.document import Table
from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf

pytestmark = pytest.mark.data

TRUTH = [
    json.loads(path.read_text("utf-8")) for path in sorted(Path(__file__).with_name("truth_tables").glob("*.json"))
]


def placed_cells(rows: list[list[str]]) -> Counter[tuple[int, str]]:
    """Count the cells that are not empty, each with its column; the header is the first row."""
    return Counter((i, "".join(cell.split())) for row in rows for i, cell in enumerate(row) if cell)


def rows_of(table: Table) -> list[list[str]]:
    return [list(table.header), *(list(row.cells) for row in table.rows)]


@pytest.mark.parametrize("truth", TRUTH, ids=[truth["document"] for truth in TRUTH])
def test_cells_stand_in_their_columns(
    truth: dict[str, object], data_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    source = data_folder("pdfs") / str(truth["document"])
    wanted: Counter[tuple[int, str]] = Counter()
    found: Counter[tuple[int, str]] = Counter()
    with pypdfium2.PdfDocument(source) as document:
        for number, tables in truth["pages"].items():  # type: ignore[attr-defined]
            with pypdfium2.PdfDocument.new() as page:
                page.import_pages(document, [int(number) - 1])
                page.save(tmp_path / "page.pdf")
            read = read_pdf(tmp_path / "page.pdf", "page", ReadLimits())
            for table in tables:
                wanted += placed_cells(table)
            for block in read.blocks:
                found += placed_cells(rows_of(block.table)) if block.table else Counter()
    right, extra = (wanted & found).total(), (found - wanted).total()
    print(f"{truth['document']}: {right} of {wanted.total()} cells, {extra} extra")
    assert right >= 0.95 * wanted.total(), wanted - found
    assert extra <= 0.05 * wanted.total(), found - wanted
