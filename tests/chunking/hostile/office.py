"""Damaged and hostile Word documents, workbooks and ReqIF files."""

from __future__ import annotations

import io
import re
import zipfile

import docx
import openpyxl

from tests.chunking.hostile.case import EMPTY, PICTURE, WORDS, Case, entity_bomb

REQIF_HEAD = """<?xml version="1.0" encoding="UTF-8"?>%s
<REQ-IF xmlns="http://www.omg.org/spec/ReqIF/20110401/reqif.xsd" xmlns:h="http://www.w3.org/1999/xhtml">
<THE-HEADER><REQ-IF-HEADER IDENTIFIER="x"><TITLE>Brake system</TITLE></REQ-IF-HEADER></THE-HEADER>
<CORE-CONTENT><REQ-IF-CONTENT><DATATYPES><DATATYPE-DEFINITION-ENUMERATION IDENTIFIER="d"><SPECIFIED-VALUES>
<ENUM-VALUE IDENTIFIER="high" LONG-NAME="high"/></SPECIFIED-VALUES></DATATYPE-DEFINITION-ENUMERATION></DATATYPES>
<SPEC-TYPES><SPEC-OBJECT-TYPE IDENTIFIER="t"><SPEC-ATTRIBUTES>
<ATTRIBUTE-DEFINITION-STRING IDENTIFIER="id" LONG-NAME="ReqIF.ForeignID"/>
<ATTRIBUTE-DEFINITION-STRING IDENTIFIER="chapter" LONG-NAME="ReqIF.ChapterName"/>
<ATTRIBUTE-DEFINITION-XHTML IDENTIFIER="text" LONG-NAME="ReqIF.Text"/>
<ATTRIBUTE-DEFINITION-ENUMERATION IDENTIFIER="priority" LONG-NAME="Priority"/>
</SPEC-ATTRIBUTES></SPEC-OBJECT-TYPE></SPEC-TYPES>"""


def requirement(identifier: str, number: str = "", xhtml: str = "", chapter: str = "", priority: str = "") -> str:
    """Return a SPEC-OBJECT of ReqIF."""
    values = ""
    for name, value in (("id", number), ("chapter", chapter)):
        if value:
            values += f'<ATTRIBUTE-VALUE-STRING THE-VALUE="{value}">{_defined("STRING", name)}</ATTRIBUTE-VALUE-STRING>'
    if xhtml:
        tagged = re.sub(r"<(/?)(?=\w)", r"<\1h:", xhtml)
        values += f"<ATTRIBUTE-VALUE-XHTML>{_defined('XHTML', 'text')}<THE-VALUE><h:div>{tagged}</h:div></THE-VALUE>"
        values += "</ATTRIBUTE-VALUE-XHTML>"
    if priority:
        values += f"<ATTRIBUTE-VALUE-ENUMERATION>{_defined('ENUMERATION', 'priority')}<VALUES>"
        values += f"<ENUM-VALUE-REF>{priority}</ENUM-VALUE-REF></VALUES></ATTRIBUTE-VALUE-ENUMERATION>"
    return f'<SPEC-OBJECT IDENTIFIER="{identifier}"><VALUES>{values}</VALUES></SPEC-OBJECT>'


def _defined(kind: str, name: str) -> str:
    reference = f"ATTRIBUTE-DEFINITION-{kind}-REF"
    return f"<DEFINITION><{reference}>{name}</{reference}></DEFINITION>"


def reqif(objects: str, tree: str = "", doctype: str = "") -> bytes:
    """Return a ReqIF file of these SPEC-OBJECTs and this hierarchy."""
    specification = f'<SPECIFICATION IDENTIFIER="s" LONG-NAME="S"><CHILDREN>{tree}</CHILDREN></SPECIFICATION>'
    return (
        REQIF_HEAD.replace("%s", doctype)
        + f"<SPEC-OBJECTS>{objects}</SPEC-OBJECTS><SPECIFICATIONS>{specification}</SPECIFICATIONS>"
        + "</REQ-IF-CONTENT></CORE-CONTENT></REQ-IF>"
    ).encode()


def word(body: bytes | None = None, **more: bytes) -> bytes:
    """Return a Word document by python-docx, its document.xml replaced by ``body``; ``more`` are files put beside."""
    out = io.BytesIO()
    document = docx.Document()
    document.add_paragraph(WORDS)
    document.save(out)
    return rezipped(out.getvalue(), {"word/document.xml": body} if body else {}, more)


def workbook(sheet: bytes | None = None, **more: bytes) -> bytes:
    """Return a workbook by openpyxl, its first sheet's XML replaced."""
    out = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["ID", "Text"])
    book.active.append(["R-1", WORDS])
    book.save(out)
    return rezipped(out.getvalue(), {"xl/worksheets/sheet1.xml": sheet} if sheet else {}, more)


def rezipped(data: bytes, changed: dict[str, bytes], more: dict[str, bytes]) -> bytes:
    """Zip anew with some entries changed and some more."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name) or old.read(name))
        for name, content in more.items():
            new.writestr(name, content)
    return out.getvalue()


def many_entries(count: int) -> bytes:
    """Return a ZIP file of so many empty files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(count):
            archive.writestr(str(number), b"")
    return out.getvalue()


def encrypted_zip() -> bytes:
    """Return a ZIP file whose entries say that they are encrypted."""
    data = bytearray(word())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
PARAGRAPH = b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>" % WORDS.encode()
ROW = b'<row r="%d"><c r="%s%d" t="inlineStr"><is><t>%s</t></is></c></row>'
ENTITIES = "the XML has a document type with entities of its own: refused"
ENTITY_TYPE = entity_bomb().partition(b"?>")[2].decode().replace("DOCTYPE html", "DOCTYPE x")

OFFICE: dict[str, Case] = {
    "zero_bytes.docx": Case(lambda: b"", EMPTY),
    "picture.docx": Case(lambda: PICTURE, r"not a ZIP file: it begins with '\\x89PNG.+"),
    "cut.docx": Case(lambda: word()[:-200], "damaged ZIP file: .+"),
    "with_password.docx": Case(
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(999), "encrypted with a password, or of a format older .+"
    ),
    "encrypted_entries.docx": Case(encrypted_zip, "the ZIP file is encrypted"),
    "many_entries.docx": Case(
        lambda: many_entries(20_001), "20001 files in the ZIP file, more than the limit of 20000"
    ),
    "bomb.docx": Case(lambda: word(media=bytes(250_000_000)), r"unpacks to \d+ MB, more than the limit of 200 MB"),
    "bomb.xlsx": Case(lambda: workbook(media=bytes(250_000_000)), r"unpacks to \d+ MB, more than the limit of 200 MB"),
    "workbook.docx": Case(workbook, "not a Word document: a ZIP file of something else"),
    "document.xlsx": Case(word, "damaged workbook: File contains no valid workbook part"),
    "damaged_xml.docx": Case(lambda: word(b"<w:document"), "damaged Word document: .+"),
    "damaged_xml.xlsx": Case(lambda: workbook(b"<worksheet"), "damaged workbook: .+"),
    "entity_bomb.docx": Case(
        lambda: word(
            b"%s<w:document %s><w:body>%s<w:p><w:r><w:t>&h;</w:t></w:r></w:p></w:body></w:document>"
            % (ENTITY_TYPE.encode(), W, PARAGRAPH)
        ),
        "damaged Word document: Maximum entity amplification factor exceeded.+",
    ),
    "entity_bomb.xlsx": Case(
        lambda: workbook(
            b"%s<worksheet %s><sheetData><row><c><v>&h;</v></c></row></sheetData></worksheet>"
            % (ENTITY_TYPE.encode(), S)
        ),
        ENTITIES,
    ),
    "entity_bomb.reqif": Case(lambda: reqif(requirement("o", "R-1", "&h;"), doctype=ENTITY_TYPE), ENTITIES),
    "foreign_entity.reqif": Case(
        lambda: reqif(requirement("o", "R-1", "&x;"), doctype='<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        ENTITIES,
    ),
    "deep_tables.docx": Case(
        lambda: word(b"<w:document %s><w:body>%s</w:body></w:document>" % (W, b"<w:tbl><w:tr><w:tc>" * 5000)),
        "damaged Word document: .+",
    ),
    "wide_cells.docx": Case(
        lambda: word(
            b'<w:document %s><w:body><w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr>%s</w:tc>'
            b"</w:tr><w:tr><w:tc>%s</w:tc></w:tr></w:tbl></w:body></w:document>" % (W, PARAGRAPH, PARAGRAPH)
        ),
        finds=WORDS,
    ),
    "last_cell_of_all.xlsx": Case(
        lambda: workbook(
            b'<worksheet %s><dimension ref="A1:XFD1048576"/><sheetData>%s%s</sheetData></worksheet>'
            % (S, ROW % (1, b"A", 1, WORDS.encode()), ROW % (1048576, b"XFD", 1048576, b"x"))
        ),
        finds=WORDS,
    ),
    "no_text.docx": Case(lambda: word(b"<w:document %s><w:body/></w:document>" % W), "the document has no text"),
    "no_text.xlsx": Case(lambda: workbook(b"<worksheet %s><sheetData/></worksheet>" % S), "the workbook has no text"),
    "noise.reqif": Case(lambda: PICTURE, "damaged XML: .+"),
    "cut.reqif": Case(lambda: reqif(requirement("o", "R-1", WORDS))[:-20], "damaged XML: .+"),
    "other.reqif": Case(lambda: b"<html/>", "not a ReqIF file: its root is <html>"),
    "deep.reqif": Case(
        lambda: reqif(
            requirement("o", "R-1", WORDS),
            "<SPEC-HIERARCHY><OBJECT><SPEC-OBJECT-REF>o</SPEC-OBJECT-REF></OBJECT><CHILDREN>" * 2000
            + "</CHILDREN></SPEC-HIERARCHY>" * 2000,
        ),
        "requirements are nested more than 400 deep",
    ),
    "no_reqif.reqifz": Case(lambda: many_entries(3), r"no \.reqif file in the ZIP file"),
    "picture.reqifz": Case(lambda: PICTURE, r"not a ZIP file: it begins with .+"),
}
