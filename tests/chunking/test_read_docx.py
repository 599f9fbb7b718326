"""Word documents made by python-docx: headings, counted numbers, lists, tables, footnotes, tracked changes."""

from __future__ import annotations

import copy
from pathlib import Path

import docx
from docx.document import Document as WordDocument
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn

from chunking.document import Document
from chunking.limits import ReadLimits
from chunking.read_docx import read_docx
from chunking.sections import sections

NUMBERING = f"""<w:numbering {nsdecls("w")}><w:abstractNum w:abstractNumId="7"><w:multiLevelType w:val="multilevel"/>
<w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1"/></w:lvl>
<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/></w:lvl></w:abstractNum>
<w:abstractNum w:abstractNumId="8"><w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="lowerLetter"/>
<w:lvlText w:val="%1)"/></w:lvl></w:abstractNum>
<w:num w:numId="7"><w:abstractNumId w:val="7"/></w:num><w:num w:numId="8"><w:abstractNumId w:val="8"/></w:num>
</w:numbering>"""


def saved(word: WordDocument, path: Path) -> Document:
    word.save(str(path))
    return read_docx(path, "folder/pump.docx", ReadLimits())


def blocks(document: Document) -> list[tuple[str, int, str]]:
    return [(block.kind, block.level, document.text[block.start : block.end]) for block in document.blocks]


def numbered(paragraph: object, number: int, level: int = 0) -> None:
    properties = paragraph._p.get_or_add_pPr()  # type: ignore[attr-defined]
    properties.append(
        parse_xml(f'<w:numPr {nsdecls("w")}><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')
    )


def test_headings_lists_and_tables_make_the_round_trip(tmp_path: Path) -> None:
    word = docx.Document()
    word.add_paragraph("Pump specification", style="Title")
    word.add_heading("Scope", 1)
    word.add_paragraph("This standard is about pumps.\tAll of them.")
    word.add_heading("Torque", 2)
    word.add_paragraph("wrench", style="List Bullet")
    word.add_paragraph("Table 1: bolts", style="Caption")
    table = word.add_table(rows=3, cols=3)
    for i, row in enumerate([("Bolt", "Torque", "Note"), ("M6", "9 Nm", "a|b"), ("M8", "22 Nm", "")]):
        for j, text in enumerate(row):
            table.cell(i, j).text = text
    word.add_paragraph("The end.")
    document = saved(word, tmp_path / "a.docx")
    assert document.title == "Pump specification"
    assert blocks(document) == [
        ("paragraph", 0, "Pump specification"),
        ("heading", 1, "Scope"),
        ("paragraph", 0, "This standard is about pumps.\tAll of them."),
        ("heading", 2, "Torque"),
        ("list", 0, "• wrench"),
        ("caption", 0, "Table 1: bolts"),
        ("table", 0, "| Bolt | Torque | Note |\n|---|---|---|\n| M6 | 9 Nm | a\\|b |\n| M8 | 22 Nm |  |"),
        ("paragraph", 0, "The end."),
    ]
    found = next(block.table for block in document.blocks if block.table)
    assert (found.caption, found.header) == ("Table 1: bolts", ("Bolt", "Torque", "Note"))
    assert [row.cells for row in found.rows] == [("M6", "9 Nm", "a|b"), ("M8", "22 Nm", "")]
    assert [document.text[row.start : row.end] for row in found.rows] == ["| M6 | 9 Nm | a\\|b |", "| M8 | 22 Nm |  |"]
    assert [section.path for section in sections(document)] == [(), ("Scope",), ("Scope", "Torque")]


def test_numbers_are_counted_as_word_does(tmp_path: Path) -> None:
    word = docx.Document()
    part = word.part.numbering_part
    part._element = parse_xml(NUMBERING)
    for text, level in (("Scope", 0), ("Pumps", 1), ("Valves", 1), ("Terms", 0), ("Words", 1)):
        numbered(word.add_heading(text, level + 1), 7, level)
    for text in ("first", "second"):
        numbered(word.add_paragraph(text), 8)
    assert blocks(saved(word, tmp_path / "a.docx")) == [
        ("heading", 1, "1 Scope"),
        ("heading", 2, "1.1 Pumps"),
        ("heading", 2, "1.2 Valves"),
        ("heading", 1, "2 Terms"),
        ("heading", 2, "2.1 Words"),
        ("list", 0, "c) first"),
        ("list", 0, "d) second"),
    ]


def test_merged_cells_stand_in_every_row_and_column(tmp_path: Path) -> None:
    word = docx.Document()
    table = word.add_table(rows=3, cols=3)
    for i in range(3):
        for j in range(3):
            table.cell(i, j).text = f"{i}{j}"
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    table.cell(1, 2).merge(table.cell(2, 2)).text = "high"
    document = saved(word, tmp_path / "a.docx")
    [found] = [block.table for block in document.blocks if block.table]
    assert (found.header, [row.cells for row in found.rows]) == (
        ("wide", "wide", "02"),
        [("10", "11", "high"), ("20", "21", "high")],
    )


def test_tracked_changes_and_content_controls(tmp_path: Path) -> None:
    word = docx.Document()
    paragraph = word.add_paragraph("The torque is ")
    for tag, inner in (("del", "<w:delText>8</w:delText>"), ("ins", "<w:t>9 Nm</w:t>")):
        paragraph._p.append(parse_xml(f"<w:{tag} {nsdecls('w')}><w:r>{inner}</w:r></w:{tag}>"))
    control = parse_xml(f"<w:sdt {nsdecls('w')}><w:sdtContent/></w:sdt>")
    control.find(qn("w:sdtContent")).append(copy.deepcopy(word.add_paragraph("within a control")._p))
    word.element.body.insert(0, control)
    assert blocks(saved(word, tmp_path / "a.docx"))[:2] == [
        ("paragraph", 0, "within a control"),
        ("paragraph", 0, "The torque is 9 Nm"),
    ]
