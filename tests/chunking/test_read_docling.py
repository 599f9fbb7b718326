"""docling's items as our document: text, blocks, pages and their accounts; and docling itself where it is installed."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking import docling_install, docling_runs, read_docling
from chunking.docling_runs import Converted
from chunking.document import Box, Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.ocr import OFF
from chunking.pdf_words import Bookmark, PdfContent, PdfPage
from chunking.read_docling import assemble
from chunking.readers import read
from chunking.reading_settings import ReadingSettings

PYTHON = os.environ.get("SPECMINE_TEST_DOCLING_PYTHON", sys.executable)
ARTIFACTS = os.environ.get("SPECMINE_TEST_DOCLING_ARTIFACTS", "")
needs_docling = pytest.mark.skipif(
    "docling-slim" not in docling_install.versions(PYTHON),
    reason="docling is not installed here, nor named by SPECMINE_TEST_DOCLING_PYTHON",
)
needs_models = pytest.mark.skipif(
    not ARTIFACTS, reason="docling's models are not named by SPECMINE_TEST_DOCLING_ARTIFACTS"
)
BOX = [50.0, 680.0, 550.0, 700.0]
A4 = (0.0, 0.0, 595.0, 842.0)


def item(kind: str, text: str, *pages: int, ends: tuple[int, ...] = (), level: int = 0) -> dict[str, Any]:
    """An item whose text stands on ``pages``; it goes over to the next of them at every one of ``ends``."""
    rests = [len(text) - begin for begin in (0, *ends)]
    return {
        "kind": kind,
        "level": level,
        "text": text,
        "parts": [[page, rest, BOX] for page, rest in zip(pages, rests, strict=True)],
    }


def table(page: int, columns: list[str], *rows: list[str], caption: str = "", kind: str = "table") -> dict[str, Any]:
    return {"kind": kind, "caption": caption, "columns": columns, "rows": list(rows), "parts": [[page, 0, BOX]]}


def content(pages: int, *outline: Bookmark) -> PdfContent:
    return PdfContent([PdfPage([], A4, str(number)) for number in range(1, pages + 1)], list(outline), "", [])


def document(items: list[dict[str, Any]], of: PdfContent) -> Document:
    text, blocks, pages = assemble(items, of)
    return Document("d", "", "", text, tuple(pages), tuple(blocks))


def texts(read: Document) -> list[tuple[str, int, str]]:
    return [(block.kind, block.page, read.text[block.start : block.end]) for block in read.blocks]


def page_texts(read: Document) -> list[str]:
    return [read.text[page.start : page.end] for page in read.pages]


def test_items_become_blocks_on_their_pages(check_books: Any) -> None:
    made = document(
        [
            item("title", "Pump HPU-200", 1),
            item("running", "ACME  1", 1),
            item("heading", "1 Scope", 1, level=1),
            item("paragraph", "It pumps.", 3),
            item("code", "if open:\n    drain()", 3),
        ],
        content(3),
    )
    assert texts(made) == [
        ("paragraph", 1, "Pump HPU-200"),
        ("heading", 1, "1 Scope"),
        ("paragraph", 3, "It pumps."),
        ("code", 3, "if open:\n    drain()"),
    ]
    assert page_texts(made) == ["Pump HPU-200\n\n1 Scope", "", "It pumps.\n\nif open:\n    drain()"]
    assert [page.dropped for page in made.pages] == [("ACME 1",), (), ()]
    assert [page.label for page in made.pages] == ["1", "2", "3"]
    assert made.blocks[0].boxes == (Box(1, *BOX),)
    check_books(made, [])


def test_a_paragraph_over_the_end_of_a_page_is_one_block(check_books: Any) -> None:
    made = document([item("paragraph", "It pumps and stops.", 1, 2, ends=(9,))], content(2))
    assert texts(made) == [("paragraph", 1, "It pumps and stops.")]
    assert page_texts(made) == ["It pumps", "and stops."]
    assert [box.page for box in made.blocks[0].boxes] == [1, 2]
    check_books(made, [])


def test_a_word_that_docling_joined_over_the_end_of_a_page_stays_whole() -> None:
    made = document([item("paragraph", "the volume is", 1, 2, ends=(7,))], content(2))
    assert made.text.strip() == "the volume is"
    assert page_texts(made) == ["the vol", "ume is"]


def test_japanese_is_joined_without_a_blank() -> None:
    made = document([item("paragraph", "安全弁は 開く。", 1, 2, ends=(5,))], content(2))
    assert made.text.strip() == "安全弁は開く。"


def test_a_footnote_between_the_parts_of_a_paragraph_leaves_every_page_its_own() -> None:
    items = [item("paragraph", "It pumps and stops.", 1, 2, ends=(9,)), item("footnote", "1 At sea level.", 1)]
    made = document(items, content(2))
    assert texts(made) == [
        ("paragraph", 1, "It pumps"),
        ("footnote", 1, "1 At sea level."),
        ("paragraph", 2, "and stops."),
    ]


def test_a_table_that_goes_on_is_one_and_its_repeated_header_left_out(check_books: Any) -> None:
    made = document(
        [
            table(1, ["Size", "Torque"], ["M10", "46"], caption="Table 1"),
            item("running", "ACME", 1),
            table(2, ["Size", "Torque"], ["M12", "81"]),
            table(3, [], ["M16", "197"]),
            table(3, ["Part", "Price"], ["1", "9"]),
        ],
        content(3),
    )
    first, second = [block.table for block in made.blocks]
    assert first is not None
    assert second is not None
    assert (first.caption, first.header) == ("Table 1", ("Size", "Torque"))
    assert [row.cells for row in first.rows] == [("M10", "46"), ("M12", "81"), ("M16", "197")]
    assert [made.text[row.start : row.end] for row in first.rows] == ["| M10 | 46 |", "| M12 | 81 |", "| M16 | 197 |"]
    assert page_texts(made)[1] == "| M12 | 81 |"
    assert made.pages[1].dropped == ("| Size | Torque |",)
    assert second.header == ("Part", "Price")
    check_books(made, [])


def test_tables_with_captions_of_their_own_stay_apart() -> None:
    made = document([table(1, [], ["a"], caption="Table 1"), table(2, [], ["b"], caption="Table 2")], content(2))
    assert [block.table.caption for block in made.blocks if block.table] == ["Table 1", "Table 2"]


def test_an_index_is_contents_and_a_table_without_cells_is_none() -> None:
    made = document([table(1, [], ["1 Scope", "3"], kind="contents"), table(1, [], kind="table")], content(1))
    assert texts(made) == [("contents", 1, "1 Scope 3")]


def levels(headings: list[str], *outline: Bookmark) -> list[int]:
    made = document([item("heading", text, 1, level=1) for text in headings], content(1, *outline))
    return [block.level for block in made.blocks]


def test_headings_have_the_level_of_their_number_or_of_the_outline() -> None:
    assert levels(["1 Scope", "4.2 Valves", "4.2.1 Relief", "Warning", "Bibliography"]) == [1, 2, 3, 4, 1]
    assert levels(["Overview", "Details"]) == [1, 1]
    # in the outline chapters lie below parts, and so do the sections that it does not name
    outline = [Bookmark("Part One", 1, 1), Bookmark("1 Scope", 2, 1)]
    assert levels(["Part One", "1 Scope", "1.1 Valves"], *outline) == [1, 2, 3]
    assert levels(["Scope"], Bookmark("Scope", 2, 7)) == [1]  # the outline means another page


words = st.text(st.sampled_from("ab1 -|\n安、"), max_size=12)
kinds = st.sampled_from(["title", "heading", "paragraph", "list", "caption", "footnote", "code", "running"])
numbers = st.integers(1, 4)
any_text = st.builds(lambda kind, text, page: item(kind, text, page, level=1), kinds, words, numbers)
any_split = st.builds(
    lambda text, at, page: item("paragraph", text, page, page + 1, ends=(min(at, len(text)),)),
    words,
    st.integers(0, 12),
    st.integers(1, 3),
)
rows = st.lists(st.lists(words, min_size=2, max_size=2), max_size=3)
any_table = st.builds(
    lambda page, header, body, kind: table(page, ["a", "b"] if header else [], *body, kind=kind),
    numbers,
    st.booleans(),
    rows,
    st.sampled_from(["table", "contents", "running"]),
)


@given(st.lists(st.one_of(any_text, any_split, any_table), max_size=12))
def test_no_letter_is_lost_and_no_spans_overlap(items: list[dict[str, Any]]) -> None:
    made = document(items, content(4))
    assert all(one.end <= two.start for one, two in zip(made.blocks, made.blocks[1:], strict=False))
    assert all(one.end <= two.start for one, two in zip(made.pages, made.pages[1:], strict=False))
    assert all(made.pages[b.page - 1].start <= b.start < b.end <= len(made.text) for b in made.blocks)
    for block in made.blocks:
        for row in block.table.rows if block.table else ():
            assert made.text[row.start : row.end].startswith("| ")

    def letters(parts: list[str]) -> list[str]:
        return sorted(c for part in parts for c in part if c.isalnum())

    cells = [row for entry in items if "rows" in entry for row in (entry["columns"], *entry["rows"])]
    given_texts = [*(entry["text"] for entry in items if "text" in entry), *itertools.chain.from_iterable(cells)]
    # a table that names its columns and nothing else is a table; what is dropped is told with its page
    kept = [made.text, *(line for page in made.pages for line in page.dropped)]
    assert letters(kept) == letters(given_texts)


# -- the reader: what becomes of pages --------------------------------------------------------------------------------

LINES = [
    [("The relief valve shall open at 18 bar and close again.", 72, 700, 11, "Helvetica")],
    [("It shall be tested once a year by the operator.", 72, 700, 11, "Helvetica")],
    [],
]


def reading(tmp_path: Path, python: str = "") -> ReadingSettings:
    for name in ("docling-project--docling-layout-heron", "docling-project--docling-models"):
        (tmp_path / "models" / name).mkdir(parents=True, exist_ok=True)
    return ReadingSettings("docling", docling_artifacts=str(tmp_path / "models"), docling_python=python)


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Converted], None]:
    """Put a result in place of docling's, for what it cannot be made to answer when asked."""

    def put(result: Converted) -> None:
        monkeypatch.setattr(read_docling, "convert", lambda *_: result)
        monkeypatch.setattr(docling_install, "versions", lambda _: {"docling-slim": "2.143.0"})

    return put


def test_failed_and_thin_pages_are_named(tmp_path: Path, draw_pdf: Any, converted: Any, check_books: Any) -> None:
    path = draw_pdf(tmp_path / "a.pdf", [*LINES, *LINES])
    converted(
        Converted(
            [item("paragraph", LINES[0][0][0], 1), item("paragraph", "It shall", 2)],
            {4: "std::bad_alloc", 5: "std::bad_alloc"},
        )
    )
    made = read(path, "a.pdf", ReadLimits(), reading=reading(tmp_path))
    assert made.warnings == (
        "docling failed on 2 pages: 4-5: std::bad_alloc",
        "docling left most of the text out on 1 pages: 2",
        "4 pages without text: 3-6",
    )
    assert [page.number for page in made.pages] == [1, 2, 3, 4, 5, 6]
    assert made.metadata == {"format": "pdf", "reader": "docling"}
    check_books(made, [])


def test_recognised_pages_are_marked(tmp_path: Path, draw_pdf: Any, converted: Any) -> None:
    path = draw_pdf(tmp_path / "a.pdf", [[], LINES[1]])
    converted(Converted([item("paragraph", "seen", 1), item("paragraph", LINES[1][0][0], 2)], {}, {1, 2}))
    made = read(path, "a.pdf", ReadLimits(), reading=reading(tmp_path))
    assert [(page.scanned, page.ocr) for page in made.pages] == [(True, True), (False, False)]
    assert made.warnings == ("1 scanned pages were recognised, with errors to be expected: 1",)


def test_a_document_of_which_nothing_could_be_read_is_refused(tmp_path: Path, draw_pdf: Any, converted: Any) -> None:
    path = draw_pdf(tmp_path / "a.pdf", LINES[:2])
    converted(Converted([], {1: "no memory", 2: "no memory"}))
    with pytest.raises(UnreadableError, match="docling could read none of the 2 pages: no memory") as refused:
        read(path, "a.pdf", ReadLimits(), reading=reading(tmp_path))
    assert refused.value.page == 1
    converted(Converted())
    with pytest.raises(UnreadableError, match="none of the 1 pages has text: they are blank"):
        read(draw_pdf(tmp_path / "b.pdf", [[]]), "b.pdf", ReadLimits(), reading=reading(tmp_path))


def test_what_is_missing_is_said_in_one_line(tmp_path: Path, draw_pdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = draw_pdf(tmp_path / "a.pdf", LINES)
    nowhere = ReadingSettings("docling", str(tmp_path / "models"), docling_python=str(tmp_path / "python"))
    with pytest.raises(UnreadableError, match=r"docling is not installed in the environment of .*/python: pip install"):
        read(path, "a.pdf", ReadLimits(), reading=nowhere)
    monkeypatch.setattr(docling_install, "versions", lambda _: {})
    assert "pip install 'specmine[docling]'" in docling_install.problem(ReadingSettings("docling"))
    monkeypatch.setattr(docling_install, "versions", lambda _: {"docling-slim": "2.143.0"})
    with pytest.raises(
        UnreadableError, match=r"models are not in .*docling-layout-heron.*docling-tools models download"
    ):
        read(path, "a.pdf", ReadLimits(), reading=nowhere)
    assert docling_install.problem(reading(tmp_path)) == ""


def test_other_models_are_another_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docling_install, "versions", lambda _: {"docling-slim": "2.143.0"})
    settings = reading(tmp_path)
    before = docling_install.identity(settings)
    (settings.artifacts / "docling-project--docling-models" / "new.safetensors").write_bytes(b"12")
    assert docling_install.identity(settings) != before
    assert docling_install.identity(settings).startswith("docling-slim 2.143.0 models ")


def test_only_known_readers_can_be_chosen() -> None:
    with pytest.raises(ValueError, match="pdf must be one of specmine, docling, not 'other'"):
        ReadingSettings("other")  # type: ignore[arg-type]


# -- processes: a program in docling's place, which dies where docling could not be made to ---------------------------

_PROGRAM = """
import json, os, resource, signal, sys, time
settings = json.loads(sys.argv[1])
pages = range(settings["first"], settings["last"] + 1)
assert sys.stdin.buffer.read(5) == b"%PDF-"
print("ready", flush=True)
{behaviour}
box = [0, 0, 1, 1]
found = [{{"kind": "paragraph", "level": 0, "text": f"page {{n}}", "parts": [[n, 6, box]]}} for n in pages]
print(json.dumps({{"failed": {{}}, "recognised": [], "items": found}}))
"""


def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, pages: int = 7, seconds: float = 60
) -> Converted:
    program = tmp_path / "program.py"
    program.write_text(_PROGRAM.format(behaviour=behaviour))
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    monkeypatch.setattr(docling_runs, "PROGRAM", program)
    monkeypatch.setattr(docling_runs, "_PAGES", 4)
    limits = ReadLimits(seconds=seconds)
    return docling_runs.convert(tmp_path / "a.pdf", pages, limits, OFF, ReadingSettings("docling"))


def test_every_range_has_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(tmp_path, monkeypatch, f"open({str(tmp_path / 'log')!r}, 'a').write(f'{{pages}} {{os.getpid()}}\\n')")
    assert [entry["text"] for entry in found.items] == [f"page {number}" for number in range(1, 8)]
    assert found.failed == {}
    ranges, processes = zip(*(line.rsplit(" ", 1) for line in (tmp_path / "log").read_text().splitlines()), strict=True)
    assert ranges == ("range(1, 5)", "range(5, 8)")
    assert len(set(processes)) == 2


def test_a_page_that_kills_the_process_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(tmp_path, monkeypatch, "if 3 in pages: os.abort()")
    assert sorted(entry["parts"][0][0] for entry in found.items) == [1, 2, 4, 5, 6, 7]
    assert list(found.failed) == [3]
    assert "died (SIGABRT)" in found.failed[3]
    assert "raise memory_mb" in found.failed[3]


def test_pages_that_fail_among_others_are_tried_again_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    behaviour = (
        "bad = [n for n in pages if n in (2, 3) and (len(pages) > 1 or n == 3)]\n"
        "if bad: print(json.dumps({'failed': {str(n): 'why' for n in bad}, 'recognised': [], 'items': []})); sys.exit()"
    )
    found = run(tmp_path, monkeypatch, behaviour, pages=4)
    assert found.failed == {3: "why"}
    assert [entry["text"] for entry in found.items] == ["page 2"]


def test_memory_is_bounded_as_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run(tmp_path, monkeypatch, "assert settings['memory_mb'] == 4096; raise MemoryError", pages=1)
    assert "MemoryError" in found.failed[1]
    assert "needs more than 4096 MB" in found.failed[1]


def test_what_does_not_load_or_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.chunking.test_read_docling._PROGRAM", "raise ImportError('no torchvision')")
    with pytest.raises(UnreadableError, match="docling cannot be used: ImportError: no torchvision"):
        run(tmp_path, monkeypatch, "")
    monkeypatch.undo()
    with pytest.raises(UnreadableError, match=r"docling took longer than 0.6 seconds: raise seconds") as refused:
        run(tmp_path, monkeypatch, "time.sleep(60)", seconds=0.2)
    assert refused.value.page == 1


# -- docling itself ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> ReadingSettings:
    """docling with models of the real ones' shapes that have learnt nothing: all of it runs, but it sees only lines."""
    folder = tmp_path_factory.mktemp("docling")
    subprocess.run([PYTHON, Path(__file__).with_name("untrained_docling.py"), folder], check=True, capture_output=True)
    return ReadingSettings("docling", str(folder), PYTHON)


@needs_docling
@pytest.mark.slow
def test_doclings_pipeline_reads_every_page(
    tmp_path: Path, draw_pdf: Any, untrained: ReadingSettings, monkeypatch: pytest.MonkeyPatch, check_books: Any
) -> None:
    monkeypatch.setattr(docling_runs, "_PAGES", 2)
    path = draw_pdf(tmp_path / "a.pdf", LINES)
    writer = pypdf.PdfWriter(path)
    writer.pages[1].rotate(90)
    writer.write(path)
    assert docling_runs.trial(ReadLimits(), OFF, untrained) == ""
    made = read(path, "a.pdf", ReadLimits(), reading=untrained)
    own = read(path, "a.pdf", ReadLimits())
    assert texts(made) == [("paragraph", 1, LINES[0][0][0]), ("paragraph", 2, LINES[1][0][0])] == texts(own)
    assert [page.rotation for page in made.pages] == [0, 90, 0]
    assert made.warnings == ("1 pages without text: 3",)
    for block, ours in zip(made.blocks, own.blocks, strict=True):  # boxes around glyphs or around fonts' heights
        for (_, *box), (_, *expected) in zip(map(_edges, block.boxes), map(_edges, ours.boxes), strict=True):
            assert box == pytest.approx(expected, abs=6)
    check_books(made, [])


def _edges(box: Box) -> tuple[int, float, float, float, float]:
    return box.page, box.left, box.bottom, box.right, box.top


@needs_docling
@needs_models
@pytest.mark.slow
def test_doclings_models_find_headings_and_tables(data_folder: Any, check_books: Any) -> None:
    path = data_folder("pdfs") / "fhs-3.0.pdf"
    settings = ReadingSettings("docling", ARTIFACTS, PYTHON)
    made = read(path, path.name, ReadLimits(seconds=1200), reading=settings)
    headings = {made.text[block.start : block.end]: block.level for block in made.blocks if block.kind == "heading"}
    assert len(made.pages) == 50
    assert "Chapter 3. The Root Filesystem" in headings
    assert headings["3.2. Requirements"] == headings["3.3. Specific Options"]
    check_books(made, [])
