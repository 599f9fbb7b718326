"""Tables of PDFs drawn for the tests: every cell in its row and column, the header, the Markdown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from reportlab.lib.colors import black
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate
from reportlab.platypus import Table as Drawn

from chunking.document import Block, Document, Table
from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf

BODY, BOLD = "Times-Roman", "Times-Bold"
AT = (72.0, 150.0, 220.0, 260.0)
CELL = ParagraphStyle("cell", fontName=BODY, fontSize=9, leading=11)


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


def draw_grid(path: Path, rows: list[list[str]], styles: list[Any]) -> Path:
    """Draw a ruled table; a cell's lines are parted by line ends."""
    table = [[Paragraph(cell.replace("\n", "<br/>"), CELL) for cell in row] for row in rows]
    body = Drawn(table, colWidths=[90] * len(rows[0]), style=[("GRID", (0, 0), (-1, -1), 0.5, black), *styles])
    SimpleDocTemplate(str(path), pagesize=(595, 842), invariant=1).build([body])
    return path


def test_a_ruled_table_has_the_cells_that_its_lines_draw(tmp_path: Path) -> None:
    rows = [
        ["<b>Thread</b>", "<b>Range</b>", "", "<b>Note</b>"],
        ["", "<b>min</b>", "<b>max</b>", ""],
        ["M6", "8", "9", "first line\nand second"],
        ["", "10", "11", ""],
        ["M8", "", "22", "dry"],
        ["All threads from here on are of steel", "", "", ""],
    ]
    spans = [((0, 0), (0, 1)), ((1, 0), (2, 0)), ((3, 0), (3, 1)), ((0, 2), (0, 3)), ((0, 5), (3, 5))]
    document = read(draw_grid(tmp_path / "a.pdf", rows, [("SPAN", *span) for span in spans]))
    (table,) = tables(document)
    assert table.header == ("Thread", "Range min", "Range max", "Note")
    assert cells(table) == [
        ("M6", "8", "9", "first line and second"),
        ("M6", "10", "11", ""),
        ("M8", "", "22", "dry"),
        ("All threads from here on are of steel", "", "", ""),
    ]


def test_a_frame_around_text_is_no_table(tmp_path: Path) -> None:
    document = read(draw_grid(tmp_path / "a.pdf", [["A note in a box."]], []))
    assert tables(document) == []
    document = read(draw_grid(tmp_path / "b.pdf", [["31", "opcode", "0"]], []))  # a drawing of one row
    assert tables(document) == []


def test_ten_thousand_lines_are_read_soon(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    canvas.drawString(100, 420, "In the net.")
    for i in range(5000):
        canvas.line(50, 50 + i * 0.14, 550, 50 + i * 0.14)
        canvas.line(50 + i * 0.1, 50, 50 + i * 0.1, 750)
    canvas.save()
    begun = time.monotonic()
    assert tables(read(tmp_path / "a.pdf")) == []
    assert time.monotonic() - begun < 10


def test_level_rules_part_tables_and_their_headers(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    for top in (700, 500):  # two tables below one another: thick, thin, thick
        for y, thickness in ((top, 1.0), (top - 30, 0.4), (top - 80, 1.0)):
            canvas.setLineWidth(thickness)
            canvas.line(72, y, 400, y)
        rows = [("Name", "Size", "Meaning", 12), ("", "(bits)", "", 24), ("qi", "6", "The index of", 42),
                ("", "", "the quantiser.", 54), ("bits", "12", "", 66)]  # fmt: skip
        for name, size, meaning, down in rows:
            for x, text in ((80, name), (150, size), (230, meaning)):
                canvas.drawString(x, top - down, text)
    canvas.save()
    found = tables(read(tmp_path / "a.pdf"))
    assert [table.header for table in found] == [("Name", "Size (bits)", "Meaning")] * 2
    assert [cells(table) for table in found] == [[("qi", "6", "The index of the quantiser."), ("bits", "12", "")]] * 2


def test_lists_code_and_indexes_are_no_tables(tmp_path: Path, draw_pdf: Any) -> None:
    def column(texts: list[tuple[str, str]], font: str = BODY) -> list[Any]:
        return [item for i, pair in enumerate(texts) for item in row(700 - 14 * i, *pair, font=font)]

    numbered = [("1.", "open the valve"), ("2.", "close the valve"), ("3.", "call us")]
    grammar = [("sum ::=", "term"), ("term ::=", "factor"), ("factor ::=", "name")]
    index = [("valve, 12, 18", "water, 7, 9"), ("vane, 13", "wear, 80"), ("vent, 2, 9", "wheel, 5")]
    code = [("mov a,", "b"), ("add a,", "c"), ("ret", "d")]
    pages = [column(numbered), column(grammar), column(index), column(code, font="Courier")]
    assert tables(read(draw_pdf(tmp_path / "a.pdf", pages))) == []


def test_a_table_over_pages_is_one_without_the_repeated_header(tmp_path: Path) -> None:
    rows = [["Name", "Torque"], *([f"M{i}", f"{i} Nm"] for i in range(120))]
    table = Drawn(rows, colWidths=[90, 90], repeatRows=1, style=[("GRID", (0, 0), (-1, -1), 0.5, black)])
    below = Paragraph("The text after the table.", CELL)
    SimpleDocTemplate(str(tmp_path / "a.pdf"), pagesize=(595, 842), invariant=1).build([table, below])
    document = read(tmp_path / "a.pdf")
    assert len(document.pages) == 4
    (found,) = tables(document)
    assert found.header == ("Name", "Torque")  # known by its repetition alone
    assert cells(found) == [(f"M{i}", f"{i} Nm") for i in range(120)]
    assert [box.page for box in document.blocks[0].boxes] == [1, 2, 3, 4]
    assert [page.dropped for page in document.pages] == [(), *[("Name Torque",)] * 3]


def test_a_row_over_a_page_break_is_one(tmp_path: Path, draw_pdf: Any) -> None:
    def page(first: tuple[str, str, str], *others: tuple[str, str, str]) -> list[Any]:
        wide = (72.0, 200.0, 350.0)
        head = row(700, "Part", "Use", "Note", font=BOLD, at=wide)
        return [
            *head,
            *(item for i, cells in enumerate((first, *others)) for item in row(680 - 20 * i, *cells, at=wide)),
        ]

    first = page(("nut", "holds the bolt", "steel"), ("lid", "keeps the water in and", "see below."))
    second = page(("", "the dirt out", ""), ("pin", "is turned", "brass"), ("rod", "is drawn", "brass"))
    (table,) = tables(read(draw_pdf(tmp_path / "a.pdf", [first, second])))
    assert cells(table) == [
        ("nut", "holds the bolt", "steel"),
        ("lid", "keeps the water in and the dirt out", "see below."),
        ("pin", "is turned", "brass"),
        ("rod", "is drawn", "brass"),
    ]


def test_a_caption_is_the_tables(tmp_path: Path, draw_pdf: Any) -> None:
    table = [
        *row(680, "Part", "Use", font=BOLD),
        *row(666, "nut", "holds"),
        *row(652, "lid", "closes"),
    ]
    caption = [("Table 3: Parts", 72, 720, 10, BODY)]
    (found,) = tables(read(draw_pdf(tmp_path / "a.pdf", [caption + table])))
    assert found.caption == "Table 3: Parts"


def test_rows_of_a_group_between_rules_are_rows(tmp_path: Path) -> None:
    rows = [
        ["<b>Number</b>", "<b>Name</b>", "<b>Meaning</b>"],
        ["First group", "", ""],
        ["0x1\n0x2\n0x3", "abc\nde\nfg", "Is read\nIs written\nIs kept"],
        ["Second group", "", ""],
        ["0x4\n0x5", "hi\njk", "Is set\nIs cleared"],
        ["0x6", "long name that is wrapped", "a text of its cell that is wrapped"],
    ]
    (table,) = tables(read(draw_grid(tmp_path / "a.pdf", rows, [("SPAN", (0, 1), (2, 1)), ("SPAN", (0, 3), (2, 3))])))
    assert table.header == ("Number", "Name", "Meaning")
    assert cells(table) == [
        ("First group", "", ""),
        ("0x1", "abc", "Is read"),
        ("0x2", "de", "Is written"),
        ("0x3", "fg", "Is kept"),
        ("Second group", "", ""),
        ("0x4", "hi", "Is set"),
        ("0x5", "jk", "Is cleared"),
        ("0x6", "long name that is wrapped", "a text of its cell that is wrapped"),
    ]


def test_a_double_rule_stands_below_the_header(tmp_path: Path) -> None:
    rows = [["Name", "Torque"], ["M6", "9 Nm"], ["M8", "22 Nm"], ["M10", "44 Nm"]]
    double = ("LINEBELOW", (0, 0), (-1, 0), 0.5, black, 0, None, None, 2, 2)
    (table,) = tables(read(draw_grid(tmp_path / "a.pdf", rows, [double])))
    assert table.header == ("Name", "Torque")
    assert cells(table) == [("M6", "9 Nm"), ("M8", "22 Nm"), ("M10", "44 Nm")]


def test_a_text_over_all_columns_is_no_part_of_their_names(tmp_path: Path) -> None:
    rows = [["<b>Continued</b>", "", ""], ["<b>Name</b>", "<b>Torque</b>", "<b>Use</b>"], ["M6", "9 Nm", "lid"],
            ["M8", "22 Nm", "pump"]]  # fmt: skip
    double = ("LINEBELOW", (0, 1), (-1, 1), 0.5, black, 0, None, None, 2, 2)
    (table,) = tables(read(draw_grid(tmp_path / "a.pdf", rows, [("SPAN", (0, 0), (2, 0)), double])))
    assert table.header == ("Name", "Torque", "Use")
    assert cells(table) == [("Continued", "", ""), ("M6", "9 Nm", "lid"), ("M8", "22 Nm", "pump")]


def test_names_below_one_that_they_have_in_common(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    for y in (700, 660, 657, 640, 620, 600):
        canvas.line(72, y, 312, y)
    for x in (72, 152, 312):
        canvas.line(x, 700, x, 600)
    canvas.line(232, 657, 232, 600)  # the columns are parted below the header only
    texts = [("Format", 80, 672), ("Bits of each part", 180, 688), ("red", 160, 672), ("green", 240, 672)]
    texts += [(text, x, y) for y, row in ((645, "a 1 2"), (625, "b 3 4"), (605, "c 5 6"))
              for text, x in zip(row.split(), (80, 160, 240), strict=True)]  # fmt: skip
    for text, x, y in texts:
        canvas.drawString(x, y, text)
    canvas.save()
    (table,) = tables(read(tmp_path / "a.pdf"))
    assert table.header == ("Format", "Bits of each part red", "Bits of each part green")
    assert cells(table) == [("a", "1", "2"), ("b", "3", "4"), ("c", "5", "6")]


def test_white_boxes_draw_no_lines(tmp_path: Path) -> None:
    rows = [["<b>Name</b>", "<b>Use</b>"], ["Of all threads", ""], ["M6", "lid"], ["M8", "pump"]]
    canvas = Canvas(str(tmp_path / "b.pdf"), pagesize=(595, 842))
    for i, row_ in enumerate(rows):
        canvas.setFillColorRGB(1, 1, 1)
        for left in (72, 162):  # behind the row over both columns too
            canvas.rect(left, 680 - 20 * i, 90, 20, stroke=0, fill=1)
        canvas.rect(72, 680 - 20 * i, 180, 20, stroke=1, fill=0)
        if i != 1:
            canvas.line(162, 680 - 20 * i, 162, 700 - 20 * i)
        canvas.setFillColorRGB(0, 0, 0)
        canvas.setFont(BOLD if i == 0 else BODY, 9)
        canvas.drawString(135 if i == 1 else 80, 685 - 20 * i, row_[0].replace("<b>", "").replace("</b>", ""))
        canvas.drawString(170, 685 - 20 * i, row_[1].replace("<b>", "").replace("</b>", ""))
    canvas.save()
    (table,) = tables(read(tmp_path / "b.pdf"))
    assert table.header == ("Name", "Use")
    assert cells(table) == [("Of all threads", ""), ("M6", "lid"), ("M8", "pump")]


def test_formulas_are_no_table(tmp_path: Path, draw_pdf: Any) -> None:
    names = ("reds =", "greens =", "blues =")
    page = [item for i, name in enumerate(names) for item in row(700 - 20 * i, name, "red / 10", "+", "12", at=AT)]
    assert tables(read(draw_pdf(tmp_path / "a.pdf", [page]))) == []
