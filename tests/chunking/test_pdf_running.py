"""Running lines of PDFs drawn for the tests: what goes, and what only looks like one and stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf

BODY = "Times-Roman"


def dropped(path: Path) -> list[tuple[str, ...]]:
    return [page.dropped for page in read_pdf(path, "a.pdf", ReadLimits()).pages]


def test_text_that_stands_first_on_pages_far_apart_is_no_running_line(tmp_path: Path, draw_pdf: Any) -> None:
    def page(number: int) -> list[Any]:
        first = "NOTES" if number % 20 == 0 else f"Item {number} begins"  # on 4 of 80 pages, and none is near another
        return [(first, 72, 750, 10, BODY), (f"Only page {number} says so.", 72, 600, 10, BODY)]

    assert dropped(draw_pdf(tmp_path / "a.pdf", [page(number) for number in range(80)])) == [()] * 80


def test_a_chapters_header_goes_that_stands_on_every_other_page(tmp_path: Path, draw_pdf: Any) -> None:
    def page(number: int) -> list[Any]:
        header = [("Valves", 72, 800, 9, BODY)] if 40 <= number < 46 and number % 2 else []
        return [*header, (f"Only page {number} says so.", 72, 600, 10, BODY)]

    found = dropped(draw_pdf(tmp_path / "a.pdf", [page(number) for number in range(80)]))
    assert [number for number, lines in enumerate(found) if lines] == [41, 43, 45]


def test_roman_page_numbers_go_beside_words_that_change(tmp_path: Path, draw_pdf: Any) -> None:
    def page(number: str, chapter: str) -> list[Any]:
        header = [(chapter, 72, 800, 9, BODY), (number, 500, 800, 9, BODY)] if number else []
        return [*header, (f"The {chapter} says so.", 72, 600, 10, BODY)]

    pages = [("", "title"), ("ii", "preface"), ("", "blank"), ("iv", "foreword"), ("", "list")]
    path = draw_pdf(tmp_path / "a.pdf", [page(*item) for item in pages])
    assert dropped(path) == [(), ("preface ii",), (), ("foreword iv",), ()]
    assert [page.label for page in read_pdf(path, "a.pdf", ReadLimits()).pages] == ["", "ii", "", "iv", ""]


def test_a_letter_alone_at_the_foot_stays(tmp_path: Path, draw_pdf: Any) -> None:
    page = [("item, 3", 72, 700, 10, BODY), ("I", 72, 50, 10, BODY)]
    assert dropped(draw_pdf(tmp_path / "a.pdf", [page, [("invoke, 4", 72, 700, 10, BODY)]])) == [(), ()]


def test_a_chapters_header_goes_on_a_page_where_its_number_stands_apart(tmp_path: Path, draw_pdf: Any) -> None:
    def page(number: int) -> list[Any]:
        header = [("INDEX", 72, 800, 9, BODY)] if 20 < number < 26 else []
        height = 794 if number == 23 else 800  # drawn a little lower there
        return [*header, (str(number), 500, height, 9, BODY), (f"Only page {number} says so.", 72, 600, 10, BODY)]

    found = dropped(draw_pdf(tmp_path / "a.pdf", [page(number) for number in range(1, 61)]))
    assert found[20:25] == [(f"INDEX {number}",) if number != 23 else ("INDEX", "23") for number in range(21, 26)]
