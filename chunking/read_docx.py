"""Word documents: headings by style or outline level with the numbers that Word counts, lists, tables, footnotes.

Word keeps no pages, so the document is one page. Deleted text of tracked changes is left out, inserted text is read.
What stands in a text box comes after the paragraph that it is anchored to.
"""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import docx
from docx.document import Document as WordDocument
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml.ns import qn
from docx.oxml.parser import parse_xml
from lxml.etree import LxmlError

from chunking.archives import open_archive
from chunking.block_writer import BlockWriter
from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.word_numbers import WordNumbers

_TRANSPARENT = frozenset(map(qn, ("w:sdt", "w:sdtContent", "w:customXml", "w:ins", "w:smartTag", "w:moveTo")))
_SKIPPED = frozenset(map(qn, ("w:del", "w:moveFrom", "w:pPr", "w:rPr", "w:instrText")))
_BOX = qn("w:txbxContent")
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_FORMULA = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_WRITTEN = {qn("w:tab"): "\t", qn("w:br"): "\n", qn("w:cr"): "\n", qn("w:noBreakHyphen"): "-"}
_HEADING = re.compile(r"heading ([1-9])")
_NO_TITLE = "Word Document"  # what python-docx gives documents without one
_MOST_COLUMNS = 1000
_FIRST_ROW = 0x20  # ISO 29500-1, 17.4.55: the bit of w:tblLook for a first row that looks different


def read_docx(path: Path, document_id: str, limits: ReadLimits) -> Document:
    """Read a Word document. Raises UnreadableError."""
    open_archive(path, limits).close()
    with path.open("rb") as file:
        try:
            word = _opened(file)
            writer = BlockWriter(limits)
            body = _Body(word, writer)
            body.write(word.element.body)
            title = body.title or word.core_properties.title.replace(_NO_TITLE, "")
        except (LxmlError, KeyError, ValueError, AttributeError, PackageNotFoundError, zipfile.BadZipFile) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UnreadableError(f"damaged Word document: {reason}") from error
    return writer.document(path, document_id, title, "docx")


def _opened(file: IO[bytes]) -> WordDocument:
    try:
        return docx.Document(file)
    except ValueError as error:
        if "content type" in str(error):
            raise UnreadableError("not a Word document: a ZIP file of something else") from None
        raise


class _Body:
    """Writes the body's paragraphs and tables in their order."""

    def __init__(self, word: WordDocument, writer: BlockWriter) -> None:
        self._writer = writer
        self._numbers = WordNumbers(word)
        self._styles = {style.style_id: (style.name or "").lower() for style in word.styles}
        self._notes = {**_notes(word, RELATIONSHIP_TYPE.FOOTNOTES), **_notes(word, RELATIONSHIP_TYPE.ENDNOTES)}
        self._caption = ""
        self.title = ""

    def write(self, body: Any) -> None:
        for element in _flat(body):
            if element.tag == qn("w:p"):
                self._write_paragraph(element)
            else:
                self._write_table(element)

    def _write_paragraph(self, element: Any) -> None:
        text = _text(element, _BOX).strip()
        if not text and element.find(f"{qn('w:pPr')}/{qn('w:rPr')}/{qn('w:del')}") is not None:  # deleted as a whole
            return
        numbering = self._numbers.next(element)  # asked even of blank paragraphs, which Word counts too
        if text:
            self._write_text(element, text, numbering)
        self._write_notes(element, _BOX)
        for box in _within(element, _BOX):
            self.write(box)

    def _write_text(self, element: Any, text: str, numbering: str) -> None:
        style = self._styles.get(_style(element), "")
        named = _HEADING.fullmatch(style)
        level = self._numbers.outline_level(element) or (int(named[1]) if named else 0)
        self._caption = text if style == "caption" else ""
        if style == "title":
            self.title = self.title or " ".join(text.split())
            self._writer.write("paragraph", text)
        elif style.startswith(("toc ", "table of figures")):
            self._writer.write("contents", text)
        elif style == "caption":
            self._writer.write("caption", text)
        elif level:
            self._writer.heading(f"{numbering} {text}", level)
        elif numbering:
            self._writer.write("list", f"{numbering} {text}")
        else:
            self._writer.write("list" if style.startswith("list") else "paragraph", text)

    def _write_table(self, element: Any) -> None:
        rows = [row for row in _flat(element, qn("w:tr")) if row.find(f"{qn('w:trPr')}/{qn('w:del')}") is None]
        if len(rows) == 1 and len(cells := list(_flat(rows[0], qn("w:tc")))) == 1:  # a frame, as warnings have
            self.write(cells[0])
            return
        texts = [_cells(row) for row in rows]
        if texts:
            for above, row in itertools.pairwise(texts):
                for i, cell in enumerate(row):
                    if cell is None:
                        row[i] = above[i] if i < len(above) else ""
            filled = [[cell or "" for cell in row] for row in texts]
            headed = len(rows) > 1 and _is_header(element, rows[0])
            self._writer.table(filled[0] if headed else (), filled[1:] if headed else filled, self._caption)
        self._caption = ""
        self._write_notes(element)

    def _write_notes(self, element: Any, *skipped: str) -> None:
        for reference in _within(element, qn("w:footnoteReference"), qn("w:endnoteReference"), skipped=skipped):
            if note := self._notes.get((reference.tag, reference.get(qn("w:id")))):
                self._writer.write("footnote", note)


def _flat(parent: Any, *tags: str) -> Iterator[Any]:
    """Yield the paragraphs and tables (or what the tags name) below an element, also those in content controls."""
    wanted = tags or (qn("w:p"), qn("w:tbl"))
    stack = list(reversed(parent))
    while stack:
        element = stack.pop()
        if element.tag in wanted:
            yield element
        elif element.tag in _TRANSPARENT:
            stack += list(reversed(element))


def _within(element: Any, *tags: str, skipped: Sequence[str] = ()) -> Iterator[Any]:
    """Yield what the tags name, at any depth but within one another, where it stands with all tracked changes accepted.

    Nothing within the elements ``skipped``.
    """
    stack = list(reversed(element))
    while stack:
        item = stack.pop()
        if item.tag in tags:
            yield item
        elif item.tag not in _SKIPPED and item.tag != _FALLBACK and item.tag not in skipped:
            stack += list(reversed(item))


def _text(element: Any, *skipped: str) -> str:
    """Return the text within an element as it reads with all tracked changes accepted, without that of ``skipped``."""
    parts: list[str] = []
    stack = [element]
    while stack:
        item = stack.pop()
        if item.tag in (qn("w:t"), _FORMULA):
            parts.append(item.text or "")
        elif item.tag in _WRITTEN:
            parts.append(_WRITTEN[item.tag])
        elif item.tag not in _SKIPPED and item.tag not in (_FALLBACK, *skipped) and isinstance(item.tag, str):
            if item.tag == qn("w:p") and parts:
                parts.append("\n")
            stack += list(reversed(item))
    return "".join(parts)


def _cells(row: Any) -> list[str | None]:
    """Return the texts of a row's cells, one over several columns in each of them, None for what goes on from above."""
    texts: list[str | None] = []
    for cell in _flat(row, qn("w:tc")):
        properties = cell.find(qn("w:tcPr"))
        if properties is not None and properties.find(qn("w:cellDel")) is not None:
            continue
        span = properties.find(qn("w:gridSpan")) if properties is not None else None
        merged = properties.find(qn("w:vMerge")) if properties is not None else None
        continued = merged is not None and merged.get(qn("w:val"), "continue") == "continue"
        width = int(span.get(qn("w:val"), "1")) if span is not None else 1
        texts += [None if continued else _text(cell)] * max(1, min(width, _MOST_COLUMNS - len(texts)))
    return texts[:_MOST_COLUMNS]


def _is_header(table: Any, row: Any) -> bool:
    """Whether the first row names the columns: repeated on every page, or made to look different."""
    if row.find(f"{qn('w:trPr')}/{qn('w:tblHeader')}") is not None:
        return True
    look = table.find(f"{qn('w:tblPr')}/{qn('w:tblLook')}")
    if look is None:
        return False
    if (first := look.get(qn("w:firstRow"))) is not None:
        return first in ("1", "true", "on")
    return bool(int(look.get(qn("w:val"), "0"), 16) & _FIRST_ROW)


def _style(paragraph: Any) -> str:
    style = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}")
    return style.get(qn("w:val"), "") if style is not None else ""


def _notes(word: WordDocument, kind: str) -> dict[tuple[str, str | None], str]:
    """Return the footnotes or endnotes: the tag that refers to one and its number → its text."""
    name = "footnote" if kind == RELATIONSHIP_TYPE.FOOTNOTES else "endnote"
    related = [relation.target_part for relation in word.part.rels.values() if relation.reltype == kind]
    return {
        (qn(f"w:{name}Reference"), note.get(qn("w:id"))): _text(note).strip()
        for part in related
        for note in parse_xml(part.blob).iter(qn(f"w:{name}"))
    }
