"""Workbooks made by openpyxl: one requirement is one clause."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl

from chunking.document import Document
from chunking.limits import ReadLimits
from chunking.read_xlsx import read_xlsx
from chunking.sections import sections


def saved(path: Path, **sheets: list[list[Any]]) -> Document:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return read_xlsx(path, "folder/list.xlsx", ReadLimits())


def clauses(document: Document) -> list[tuple[tuple[str, ...], list[str]]]:
    return [(s.path, [document.text[b.start : b.end] for b in s.body]) for s in sections(document)]


def test_every_requirement_is_a_clause_below_its_sheet(tmp_path: Path) -> None:
    document = saved(
        tmp_path / "a.xlsx",
        Brakes=[
            ["Requirements of the brake system"],
            [],
            ["Req ID", "Title", "Text", "Priority"],
            ["BRK-1", "Distance", "The train shall stop within 900 m.\nAlways.", 1],
            ["Emergency"],
            ["BRK-2", None, "The brake shall act within 0.5 s.", 2.5],
        ],
        Doors=[["ID", "Text"], [1.0, "Doors shall close."], [2.0, "Doors shall open."]],
    )
    assert document.title == "list"
    assert clauses(document) == [
        (("Brakes",), ["Requirements of the brake system"]),
        (("Brakes", "BRK-1 Distance"), ["Text: The train shall stop within 900 m.\nAlways.", "Priority: 1"]),
        (("Brakes", "Emergency", "BRK-2"), ["Text: The brake shall act within 0.5 s.", "Priority: 2.5"]),
        (("Doors", "1"), ["Text: Doors shall close."]),
        (("Doors", "2"), ["Text: Doors shall open."]),
    ]


def test_a_sheet_without_ids_is_a_table(tmp_path: Path) -> None:
    document = saved(tmp_path / "a.xlsx", Torques=[["Bolt", "Torque"], ["M6", "9 Nm"], ["M6", "10 Nm"]])
    [table] = [block.table for block in document.blocks if block.table]
    assert (table.header, [row.cells for row in table.rows]) == (("Bolt", "Torque"), [("M6", "9 Nm"), ("M6", "10 Nm")])


def test_japanese_names_of_columns(tmp_path: Path) -> None:
    document = saved(
        tmp_path / "a.xlsx", 要件=[["要件ID", "内容"], ["R-1", "弁を閉じること。"], ["R-2", "弁を開くこと。"]]
    )
    assert clauses(document)[0] == (("要件", "R-1"), ["内容: 弁を閉じること。"])


def test_a_column_of_repeated_numbers_is_no_id(tmp_path: Path) -> None:
    document = saved(tmp_path / "a.xlsx", Sheet=[["No", "Text"], ["1", "first"], ["1", "second"]])
    assert [block.kind for block in document.blocks] == ["heading", "table"]
