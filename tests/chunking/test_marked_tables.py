"""Tables in text, Markdown and HTML: the text stays, rows are spans in it, cells stand in their columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunking.document import Document, Table
from chunking.limits import ReadLimits
from chunking.readers import read

GRID = """\
   +-------+--------+
   | Name  | Torque |
   +-------+--------+
   | M6    | 9 Nm   |
   | M8    | 22 Nm, |
   |       | oiled  |
   +-------+--------+
"""
RULED = """\
   Name    Torque  Note
           (Nm)
   ------  ------  ----
   M6      9       dry
   M8      22
                   oiled
"""
MARKDOWN = "| Name | *Torque* |\n|---|--:|\n| M6 | `9` Nm |\n| M8 \\| M9 | |\n"
HTML = """<table><caption>Torques</caption>
<thead><tr><th rowspan=2>Name</th><th colspan=2>Torque</th></tr><tr><th>min</th><th>max</th></tr></thead>
<tr><td rowspan=2>M6</td><td>8</td><td>9<sup>a</sup></td></tr><tr><td></td><td>10</td></tr>
<tr><td colspan=3>oiled</td></tr></table>"""


def one_table(tmp_path: Path, name: str, text: str) -> tuple[Document, Table]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    document = read(path, name, ReadLimits())
    (table,) = [block.table for block in document.blocks if block.table]
    return document, table


def spans(document: Document, table: Table) -> list[str]:
    return [document.text[row.start : row.end] for row in table.rows]


def test_grid(tmp_path: Path) -> None:
    document, table = one_table(tmp_path, "a.txt", GRID)
    assert document.text == GRID
    assert table.header == ("Name", "Torque")
    assert [row.cells for row in table.rows] == [("M6", "9 Nm"), ("M8", "22 Nm, oiled")]
    assert spans(document, table) == ["| M6    | 9 Nm   |", "| M8    | 22 Nm, |\n   |       | oiled  |"]


def test_grid_with_a_rule_below_every_row(tmp_path: Path) -> None:
    rule = "   +-------+--------+\n"
    _, table = one_table(tmp_path, "a.txt", GRID.replace("| M8", rule.strip() + "\n   | M8"))
    assert [row.cells for row in table.rows] == [("M6", "9 Nm"), ("M8", "22 Nm, oiled")]


def test_columns_below_dashes(tmp_path: Path) -> None:
    document, table = one_table(tmp_path, "a.txt", RULED)
    assert table.header == ("Name", "Torque (Nm)", "Note")
    assert [row.cells for row in table.rows] == [("M6", "9", "dry"), ("M8", "22", "oiled")]
    assert spans(document, table)[0] == "M6      9       dry"


@pytest.mark.parametrize(
    "drawing",
    [
        "+-+-+-+-+\n| Type  |\n+-+-+-+-+\n| Size  |\n+-+-+-+-+\n",
        "+-----+\n| box |\n+-----+\n",
        "a  -- b\n-- --\nand words that run on\n",
    ],
)
def test_drawings_have_no_cells(tmp_path: Path, drawing: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(drawing)
    assert [block.table for block in read(path, "a", ReadLimits()).blocks] == [None]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_markdown(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(("# Head\n\n" + MARKDOWN).replace("\n", end).encode())
    document = read(path, "a", ReadLimits())
    table = document.blocks[-1].table
    assert table is not None
    assert table.header == ("Name", "Torque")
    assert [row.cells for row in table.rows] == [("M6", "9 Nm"), ("M8 | M9", "")]
    assert spans(document, table) == ["| M6 | `9` Nm |", "| M8 \\| M9 | |"]


def test_html(tmp_path: Path) -> None:
    document, table = one_table(tmp_path, "a.html", HTML)
    assert document.text == "Torques\nName | Torque\nmin | max\nM6 | 8 | 9a\n10\noiled"  # as without cells
    assert (table.caption, table.header) == ("Torques", ("Name", "Torque min", "Torque max"))
    assert [row.cells for row in table.rows] == [("M6", "8", "9a"), ("M6", "", "10"), ("oiled", "", "")]
    assert spans(document, table) == ["M6 | 8 | 9a", "10", "oiled"]


def test_html_spans_without_end_make_no_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<table>" + "<tr><td rowspan=99999 colspan=99999>x</td></tr>" * 900 + "</table>")
    assert read(path, "a", ReadLimits()).blocks[0].table is None
