"""Word documents made by python-docx: headings, counted numbers, lists, tables, footnotes, tracked changes."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.opc.packuri import PackURI
from docx.opc.part import Part
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


def inserted(xml: str) -> Any:
    """Return an element with the namespaces of Word, of its drawings and of Microsoft's own."""
    namespaces = (
        f'{nsdecls("w")} xmlns:v="urn:schemas-microsoft-com:vml" '
        'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    )
    return parse_xml(re.sub(r"^<[\w:]+", rf"\g<0> {namespaces}", xml))


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def add_notes(word: WordDocument, kind: str, notes: dict[int, str]) -> None:
    """Add the part that holds footnotes or endnotes, as Word writes it: with a separator that nothing refers to."""
    entries = "".join(f'<w:{kind} w:id="{number}"><w:p>{run(text)}</w:p></w:{kind}>' for number, text in notes.items())
    separator = f'<w:{kind} w:type="separator" w:id="-1"><w:p>{run("separator")}</w:p></w:{kind}>'
    xml = f"<w:{kind}s {nsdecls('w')}>{separator}{entries}</w:{kind}s>"
    content_type = f"application/vnd.openxmlformats-officedocument.wordprocessingml.{kind}s+xml"
    part = Part(PackURI(f"/word/{kind}s.xml"), content_type, xml.encode(), word.part.package)
    word.part.relate_to(part, f"http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}s")


def test_footnotes_and_endnotes_follow_what_refers_to_them(tmp_path: Path) -> None:
    word = docx.Document()
    add_notes(word, "footnote", {1: "As measured cold.", 2: "Of a deleted sentence."})
    add_notes(word, "endnote", {1: "See annex B."})
    paragraph = word.add_paragraph("Tighten to 25 Nm")
    paragraph._p.append(inserted('<w:r><w:footnoteReference w:id="1"/></w:r>'))
    paragraph._p.append(inserted('<w:del><w:r><w:footnoteReference w:id="2"/></w:r></w:del>'))
    table = word.add_table(rows=2, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text, table.cell(1, 0).text = "Bolt", "Torque", "M6"
    table.cell(1, 1).paragraphs[0]._p.append(inserted('<w:r><w:t>9 Nm</w:t><w:endnoteReference w:id="1"/></w:r>'))
    assert blocks(saved(word, tmp_path / "a.docx")) == [
        ("paragraph", 0, "Tighten to 25 Nm"),
        ("footnote", 0, "As measured cold."),
        ("table", 0, "| Bolt | Torque |\n|---|---|\n| M6 | 9 Nm |"),
        ("footnote", 0, "See annex B."),
    ]


def test_deleted_and_moved_paragraphs_rows_and_cells_are_left_out(tmp_path: Path) -> None:
    word = docx.Document()
    part = word.part.numbering_part
    part._element = parse_xml(NUMBERING)
    for text in ("Scope", "Withdrawn", "Terms"):
        numbered(word.add_heading("" if text == "Withdrawn" else text, 1), 7)
    gone = word.paragraphs[1]._p
    gone.get_or_add_pPr().append(inserted("<w:rPr><w:del/></w:rPr>"))
    gone.append(inserted("<w:del><w:r><w:delText>Withdrawn</w:delText></w:r></w:del>"))
    word.element.body.insert(0, inserted(f"<w:p><w:moveTo>{run('Moved here.')}</w:moveTo></w:p>"))
    word.add_paragraph()._p.append(inserted(f"<w:moveFrom>{run('Moved here.')}</w:moveFrom>"))
    table = word.add_table(rows=4, cols=3)
    for i in range(4):
        for j in range(3):
            table.cell(i, j).text = f"{i}{j}"
    table.rows[1]._tr.get_or_add_trPr().append(inserted("<w:del/>"))
    table.rows[2]._tr.get_or_add_trPr().append(inserted("<w:ins/>"))
    for row in table.rows:
        row.cells[1]._tc.get_or_add_tcPr().append(inserted("<w:cellDel/>"))
    assert blocks(saved(word, tmp_path / "a.docx")) == [
        ("paragraph", 0, "Moved here."),
        ("heading", 1, "1 Scope"),
        ("heading", 1, "2 Terms"),
        ("table", 0, "| 00 | 02 |\n|---|---|\n| 20 | 22 |\n| 30 | 32 |"),
    ]


def test_a_text_box_is_read_once_after_its_paragraph(tmp_path: Path) -> None:
    word = docx.Document()
    heading = word.add_heading("Safety", 1)
    box = (
        f"<w:txbxContent><w:p>{run('Danger: high voltage.')}</w:p><w:p>{run('Switch off first.')}</w:p></w:txbxContent>"
    )
    new, old = (
        f"<wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp>",
        f"<w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict>",
    )
    choice = f'<mc:Choice Requires="wps"><w:drawing>{new}</w:drawing></mc:Choice><mc:Fallback>{old}</mc:Fallback>'
    heading._p.append(inserted(f"<w:r><mc:AlternateContent>{choice}</mc:AlternateContent></w:r>"))
    word.add_paragraph("Covers stay closed.")
    word.add_paragraph()._p.append(inserted(f"<w:r>{old.replace('Danger', 'Caution')}</w:r>"))  # as Word 2007 has it
    assert blocks(saved(word, tmp_path / "a.docx")) == [
        ("heading", 1, "Safety"),
        ("paragraph", 0, "Danger: high voltage."),
        ("paragraph", 0, "Switch off first."),
        ("paragraph", 0, "Covers stay closed."),
        ("paragraph", 0, "Caution: high voltage."),
        ("paragraph", 0, "Switch off first."),
    ]


def test_tables_in_tables(tmp_path: Path) -> None:
    word = docx.Document()
    frame = word.add_table(rows=1, cols=1).cell(0, 0)
    frame.text = "Torques of this edition:"
    for outer in (frame, word.add_table(rows=2, cols=2).cell(1, 1)):
        inner = outer.add_table(rows=2, cols=2)
        for i, row in enumerate([("Bolt", "Torque"), ("M6", "9 Nm")]):
            for j, text in enumerate(row):
                inner.cell(i, j).text = text
    outer = word.tables[1]
    outer.cell(0, 0).text, outer.cell(0, 1).text, outer.cell(1, 0).text = "Part", "Details", "Flange"
    assert [(kind, text) for kind, _, text in blocks(saved(word, tmp_path / "a.docx"))] == [
        ("paragraph", "Torques of this edition:"),
        ("table", "| Bolt | Torque |\n|---|---|\n| M6 | 9 Nm |"),  # a frame is no table
        ("table", "| Part | Details |\n|---|---|\n| Flange | Bolt Torque M6 9 Nm |"),
    ]
