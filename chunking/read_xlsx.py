"""Excel workbooks: a sheet is a section. Where a column of it holds ids, every row is a clause of its own.

Such a row's heading is its id and, if there is one, its title; every other filled cell is a paragraph "column: value".
A sheet without ids is a table.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import openpyxl
from defusedxml import DefusedXmlException

from chunking.archives import open_archive
from chunking.block_writer import BlockWriter
from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits

_ID = re.compile(
    r"(?:.*[\s_.-])?(?:id|ids|identifier|key|no|nr|num|number|req|requirement|#)\.?|id[\s_.-].*|(?:要求|要件|項目)?(?:id|番号)|項番",
    re.I,
)
_TITLE = re.compile(r"(?:.*\s)?(?:title|name|heading|summary|subject)|件名|名称|タイトル|見出し", re.I)
_LONGEST_ID = 60
_LONGEST_NAME = 100
_HEADER_WITHIN = 30  # filled rows: above the header stand the sheet's title, its state and the like
_MOST_COLUMNS = 1000


def read_xlsx(path: Path, document_id: str, limits: ReadLimits) -> Document:
    """Read a workbook; formulas give the values they had when it was saved. Raises UnreadableError."""
    open_archive(path, limits).close()
    writer = BlockWriter(limits)
    with path.open("rb") as file:
        try:
            workbook = openpyxl.load_workbook(file, read_only=True, data_only=True)
            for sheet in workbook.worksheets:
                sheet.reset_dimensions()  # what the file says of them need not be true
                _write_sheet(writer, sheet.title, _filled(sheet.iter_rows(values_only=True)))
            title = workbook.properties.title or ""
        except (KeyError, ValueError, TypeError, ParseError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise UnreadableError(_damage(error)) from error
    if all(block.kind == "heading" and block.level == 1 for block in writer.blocks):
        raise UnreadableError("the workbook has no text")
    return writer.document(path, document_id, title or Path(document_id).stem, "xlsx")


def _damage(error: BaseException) -> str:
    """Tell what is wrong with a workbook: what openpyxl met first, not what it made of it."""
    while not isinstance(error, DefusedXmlException) and (error.__cause__ or error.__context__):
        error = error.__cause__ or error.__context__ or error
    if isinstance(error, DefusedXmlException):
        return "the XML has a document type with entities of its own: refused"
    return f"damaged workbook: {(str(error).splitlines() or [type(error).__name__])[0]}"


def _filled(rows: Iterable[Sequence[Any]]) -> list[list[str]]:
    """Return the rows that are not blank, as text."""
    texts = ([_text(value) for value in row[:_MOST_COLUMNS]] for row in rows)
    return [row for row in texts if any(row)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _write_sheet(writer: BlockWriter, name: str, rows: list[list[str]]) -> None:
    if not rows:
        return
    writer.heading(name, 1)
    head = _header(rows)
    if head is None:
        writer.table((), rows)
        return
    for row in rows[:head]:
        writer.write("paragraph", " ".join(filter(None, row)))
    header, body = rows[head], rows[head + 1 :]
    column = _id_column(header, body)
    if column is None:
        writer.table(header, body)
    else:
        _write_requirements(writer, header, body, column)


def _write_requirements(writer: BlockWriter, header: list[str], rows: list[list[str]], column: int) -> None:
    titled = next((i for i, name in enumerate(header) if i != column and _TITLE.fullmatch(name)), None)
    level = 2
    for row in rows:
        cells = {i: cell for i, cell in enumerate(row) if cell}
        if len(cells) == 1 and _is_section(column, cells):
            writer.heading(next(iter(cells.values())), 2)
            level = 3
            continue
        heading = " ".join(filter(None, (cells.pop(column, ""), cells.pop(titled, "") if titled is not None else "")))
        writer.heading(heading, level)
        for i, cell in cells.items():
            writer.write("paragraph", f"{header[i]}: {cell}" if i < len(header) and header[i] else cell)


def _is_section(column: int, cells: dict[int, str]) -> bool:
    """Whether a row with one filled cell is a heading between requirements: short, and not an id without its text."""
    [(i, cell)] = cells.items()
    return len(cell) <= _LONGEST_NAME and (i != column or " " in cell or not any(map(str.isdigit, cell)))


def _header(rows: list[list[str]]) -> int | None:
    """Return the row that names the columns: the first of several filled cells, all of them short words."""
    for i, row in enumerate(rows[:_HEADER_WITHIN]):
        names = [cell for cell in row if cell]
        if len(names) >= 2 and len(rows) > i + 1 and all(map(_is_name, names)) and len(set(names)) == len(names):
            return i
    return None


def _is_name(cell: str) -> bool:
    return (len(cell) <= _LONGEST_NAME and any(map(str.isalpha, cell))) or cell == "#"


def _id_column(header: list[str], rows: list[list[str]]) -> int | None:
    """Return the first column that is named as ids are and holds as many different, short values."""
    for i, name in enumerate(header):
        if _ID.fullmatch(name):
            values = [row[i] for row in rows if i < len(row) and row[i]]
            distinct = len(set(values)) == len(values)
            if values and distinct and len(values) * 2 > len(rows) and max(map(len, values)) <= _LONGEST_ID:
                return i
    return None
