"""Tables of PDFs drawn for the tests: every cell in its row and column, the header, the Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chunking.document import Block, Document, Table
from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf

BODY, BOLD = "Times-Roman", "Times-Bold"


def read(path: Path) -> Document:
    return read_pdf(path, "a.pdf", ReadLimits())


def tables(document: Document) -> list[Table]:
    """Return the tables; their rows' spans must hold their Markdown, below a header of two lines."""
    found = []
    for block in document.blocks:
        assert (block.kind == "table") == (block.table is not None)
        if block.table is not None:
            check_spans(document, block, block.table)
            found.append(block.table)
    return found


def check_spans(document: Document, block: Block, table: Table) -> None:
    columns = len(table.rows[0].cells)
    header = document.text[block.start : table.rows[0].start].splitlines()
    assert header == [written(table.header or ("",) * columns), "|" + "---|" * columns]
    assert [document.text[row.start : row.end] for row in table.rows] == [written(row.cells) for row in table.rows]
    assert table.rows[-1].end == block.end


def written(cells: tuple[str, ...]) -> str:
    return "".join(f"| {cell} ".replace("|", "\\|").replace("\\|", "|", 1) for cell in cells) + "|"


def cells(table: Table) -> list[tuple[str, ...]]:
    return [row.cells for row in table.rows]


def row(y: float, *texts: str, font: str = BODY, at: tuple[float, ...] = (72, 200, 300)) -> list[Any]:
    return [(text, x, y, 10, font) for text, x in zip(texts, at, strict=False) if text]


def test_a_bold_first_row_is_the_header_and_empty_cells_stay(tmp_path: Path, draw_pdf: Any) -> None:
    page = [
        *row(700, "Name", "Torque", "Note", font=BOLD),
        *row(686, "M6", "9 Nm", "a|b"),
        *row(672, "M8", "", "dry"),
        *row(658, "", "22 Nm", "wet"),
    ]
    (table,) = tables(read(draw_pdf(tmp_path / "a.pdf", [page])))
    assert table.header == ("Name", "Torque", "Note")
    assert cells(table) == [("M6", "9 Nm", "a|b"), ("M8", "", "dry"), ("", "22 Nm", "wet")]
