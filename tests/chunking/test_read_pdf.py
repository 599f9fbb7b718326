"""PDFs drawn for the tests: reading order, running lines, headings, words joined again, pages counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pypdf
import pytest
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf
from chunking.sections import sections

BODY, BOLD, MONO, JAPANESE = "Times-Roman", "Times-Bold", "Courier", "HeiseiMin-W3"


def lines(texts: list[str], x: float = 72, top: float = 700, size: int = 10, font: str = BODY) -> list[Any]:
    return [(text, x, top - 12 * i, size, font) for i, text in enumerate(texts)]


def width(text: str, font: str) -> float:
    return float(stringWidth(text, font, 10))


def texts(document: Document, kind: str) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks if block.kind == kind]


def read(path: Path) -> Document:
    document = read_pdf(path, "folder/name.pdf", ReadLimits())
    assert all(before.end <= block.start for before, block in zip(document.blocks, document.blocks[1:], strict=False))
    assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
    assert all(before.end <= page.start for before, page in zip(document.pages, document.pages[1:], strict=False))
    return document


def test_words_are_put_where_they_stand_not_when_they_were_drawn(tmp_path: Path, draw_pdf: Any) -> None:
    page = [
        ("A client", 72, 700, 10, BODY),
        (
            "verify the name of the",
            72 + width("A client ", BODY) + width("MUST", BOLD) + width(" ", BODY),
            700,
            10,
            BODY,
        ),
        ("service before it connects.", 72, 688, 10, BODY),
        ("An unrelated paragraph stands below.", 72, 640, 10, BODY),
        ("MUST", 72 + width("A client ", BODY), 700, 10, BOLD),
    ]
    document = read(draw_pdf(tmp_path / "a.pdf", [page]))
    assert texts(document, "paragraph") == [
        "A client MUST verify the name of the service before it connects.",
        "An unrelated paragraph stands below.",
    ]


def test_two_columns_are_read_one_after_the_other(tmp_path: Path, draw_pdf: Any) -> None:
    left = [f"The left column has line number {i} here" for i in range(12)]
    right = [f"and the right column goes on with line {i}" for i in range(12)]
    mixed = [item for pair in zip(lines(left, 60), lines(right, 320), strict=True) for item in pair]
    head = [("A headline that runs across both of the two columns of this page", 60, 740, 10, BODY)]
    text = read(draw_pdf(tmp_path / "a.pdf", [head + mixed])).text
    assert text.index("headline") < text.index("line number 11") < text.index("with line 0")


def test_a_table_is_read_row_by_row(tmp_path: Path, draw_pdf: Any) -> None:
    cells = [[("Name", "Torque"), ("M6 bolt", "9 Nm"), ("M8 bolt", "22 Nm")][i] for i in range(3)]
    page = [
        item
        for i, (a, b) in enumerate(cells)
        for item in ((a, 72, 700 - 14 * i, 10, BODY), (b, 200, 700 - 14 * i, 10, BODY))
    ]
    document = read(draw_pdf(tmp_path / "a.pdf", [[*sorted(page, key=lambda item: item[1])]]))  # drawn column by column
    assert texts(document, "table") == [
        "|  |  |\n|---|---|\n| Name | Torque |\n| M6 bolt | 9 Nm |\n| M8 bolt | 22 Nm |"
    ]


def test_cells_of_several_lines_are_one_row(tmp_path: Path, draw_pdf: Any) -> None:
    rows = [
        ("Fault", "Remedy", 700),
        ("Pump turns", "Stop the unit; press the", 680),
        ("backwards", "cooler", 669),
        ("Noise", "Call us", 649),
    ]
    page = [item for a, b, y in rows for item in ((a, 72, y, 10, BODY), (b, 200, y, 10, BODY))]
    below = [("The text below the table begins at the margin.", 72, 629, 10, BODY)]
    document = read(draw_pdf(tmp_path / "a.pdf", [page + below]))
    assert texts(document, "table") == [
        "|  |  |\n|---|---|\n| Fault | Remedy |\n| Pump turns backwards | Stop the unit; press the cooler |\n"
        "| Noise | Call us |"
    ]
    assert texts(document, "paragraph") == ["The text below the table begins at the margin."]


def test_the_wide_gaps_of_justified_lines_make_no_table(tmp_path: Path, draw_pdf: Any) -> None:
    page = [("result", 72, 700, 10, BODY), ("otherwise", 150, 700, 10, BODY), ("an error is", 72, 688, 10, BODY),
            ("raised", 171, 688, 10, BODY), ("by the run time.", 72, 676, 10, BODY)]  # fmt: skip
    document = read(draw_pdf(tmp_path / "a.pdf", [page]))
    assert texts(document, "paragraph") == ["result otherwise an error is raised by the run time."]


def test_running_lines_go_and_pages_are_mapped(tmp_path: Path, draw_pdf: Any) -> None:
    def page(number: int) -> list[Any]:
        middle = [] if number == 3 else lines([f"Only page {number} says this word."], top=600)
        chapter = ("First chapter", 400, 800, 9, BODY) if number < 3 else ("Second chapter", 400, 800, 9, BODY)
        footer = (f"Page {number + 4} of 20", 280, 30, 9, BODY)
        return [("Valve handbook 2030", 72, 800, 9, BODY), chapter, *middle, footer]

    document = read(draw_pdf(tmp_path / "a.pdf", [page(number) for number in range(1, 6)]))
    assert texts(document, "paragraph") == [f"Only page {number} says this word." for number in (1, 2, 4, 5)]
    assert [document.text[page.start : page.end][:11] for page in document.pages] == [
        "Only page 1", "Only page 2", "", "Only page 4", "Only page 5"
    ]  # fmt: skip
    assert "1 pages without text: 3" in document.warnings


def test_words_and_paragraphs_are_joined_over_lines_and_pages(tmp_path: Path, draw_pdf: Any) -> None:
    first = lines(["The mainte-", "nance of a well-", "known valve is"], top=200)
    second = lines(["described here. A well-known fact is", "the maintenance plan."])
    document = read(draw_pdf(tmp_path / "a.pdf", [first, second]))
    joined = "The maintenance of a well-known valve is described here. A well-known fact is the maintenance plan."
    assert texts(document, "paragraph") == [joined]
    assert document.text[document.pages[1].start :].startswith("described")


def test_japanese_lines_are_joined_without_blanks(tmp_path: Path, draw_pdf: Any) -> None:
    page = lines(["弁は使用前に必ず点検し、その結果を記", "録しなければならない。"], font=JAPANESE)
    assert texts(read(draw_pdf(tmp_path / "a.pdf", [page])), "paragraph") == [
        "弁は使用前に必ず点検し、その結果を記録しなければならない。"
    ]


def test_headings_by_number_and_look(tmp_path: Path, draw_pdf: Any) -> None:
    page = [
        ("Pump Standard", 200, 780, 24, BOLD),
        ("1 Scope", 72, 740, 14, BOLD), *lines(["This standard is about pumps of all kinds."], top=720),
        ("1.1 Exceptions", 72, 690, 12, BOLD), *lines(["Not about hand pumps, as used in gardens."], top=670),
        *lines(["1. open the valve slowly", "2. close it"], top=640),
        ("2 Terms", 72, 590, 14, BOLD), *lines(["pump", "machine that moves liquids"], top=570),
        *lines(["if (x) {", "    y;", "}"], top=530, font=MONO),
    ]  # fmt: skip
    document = read(draw_pdf(tmp_path / "a.pdf", [page]))
    assert document.title == "Pump Standard"
    assert [section.path for section in sections(document)] == [
        ("Pump Standard",),
        ("1 Scope",),
        ("1 Scope", "1.1 Exceptions"),
        ("2 Terms",),
    ]
    assert texts(document, "list") == ["1. open the valve slowly", "2. close it"]
    assert texts(document, "code")[0].split() == ["if", "(x)", "{", "y;", "}"]


def test_a_typewritten_document_has_headings_by_number_alone(tmp_path: Path, draw_pdf: Any) -> None:
    page = lines(
        [
            "1. Scope",
            "",
            "This is about pumps of",
            "all kinds.",
            "",
            "1. is how lists",
            "begin.",
            "",
            "2. Terms",
            "",
            "pump",
        ]
    )
    document = read(draw_pdf(tmp_path / "a.pdf", [[(*line[:4], MONO) for line in page if line[0]]]))
    assert texts(document, "heading") == ["1. Scope", "2. Terms"]
    assert texts(document, "paragraph") == ["This is about pumps of all kinds.", "pump"]
    assert texts(document, "list") == ["1. is how lists begin."]


def test_a_document_that_is_nothing_but_a_list_of_contents_is_kept(tmp_path: Path, draw_pdf: Any) -> None:
    entries = [f"Part number {i} ................ {i + 10}" for i in range(9)]
    assert len(read(draw_pdf(tmp_path / "a.pdf", [lines(entries)])).blocks) >= 1


def test_the_outline_gives_the_sections(tmp_path: Path, draw_pdf: Any) -> None:
    page = lines(["Scope", "Words about the scope."], top=700) + lines(["Deep inside", "Words about depth."], top=600)
    writer = pypdf.PdfWriter(draw_pdf(tmp_path / "a.pdf", [page]))
    top = writer.add_outline_item(title="1. Scope", page_number=0)
    writer.add_outline_item(title="Deep inside", page_number=0, parent=top)
    writer.add_outline_item(title="Not in the text", page_number=0)
    writer.add_metadata({"/Title": "Given title"})
    writer.write(tmp_path / "b.pdf")
    document = read(tmp_path / "b.pdf")
    assert document.title == "Given title"
    assert [section.path for section in sections(document)] == [("Scope",), ("Scope", "Deep inside")]
    assert "1 entries of the outline name no line of the text" in document.warnings


def test_contents_are_a_block_of_their_own_kind(tmp_path: Path, draw_pdf: Any) -> None:
    entries = [f"{i}. Chapter of things .................. {i + 10}" for i in range(1, 9)]
    document = read(draw_pdf(tmp_path / "a.pdf", [lines(entries), lines(["The text begins here."])]))
    assert [block.kind for block in document.blocks] == ["contents", "paragraph"]
    assert texts(document, "contents") == ["\n".join(entries)]
    assert [section.body for section in sections(document)] == [document.blocks[1:]]
    assert "table of contents left out of the chunks: pages 1" in document.warnings


@pytest.mark.parametrize(("title", "entry", "font"), [("Index", "valve of kind", BODY), ("索引", "弁の種類", JAPANESE)])
def test_an_index_without_dots_is_contents_on_all_its_pages(
    tmp_path: Path, draw_pdf: Any, title: str, entry: str, font: str
) -> None:
    def index(first: int) -> list[Any]:
        columns = [lines([f"{entry} {n + i}, {n + i + 3}" for i in range(10)], x, 680, font=font)
                   for n, x in ((first, 72), (first + 10, 330))]  # fmt: skip
        return [item for pair in zip(*columns, strict=True) for item in pair]

    pages = [lines(["The text ends here."]), [(title, 72, 720, 18, font), *index(100)], index(120)]
    document = read(draw_pdf(tmp_path / "a.pdf", pages))
    assert [block.kind for block in document.blocks] == ["paragraph", "contents"]
    numbers = [int(line.split()[-2].rstrip(",")) for line in texts(document, "contents")[0].splitlines()[1:]]
    assert numbers == list(range(100, 140))  # the left column before the right one


def test_an_index_of_wrapped_entries_in_close_columns_is_contents(tmp_path: Path, draw_pdf: Any) -> None:
    def index(first: int) -> list[Any]:
        entries = [[f"VALVE {n}, {n}–{n + 3}, {n + 7},", f"{n + 9}, {n + 12}"] for n in range(first, first + 20)]
        left, right = ([line for entry in half for line in entry] for half in (entries[:10], entries[10:]))
        gap = 72 + max(width(line, BODY) for line in left) + 9
        return [*lines(left, 72), *lines(right, gap)]

    header = [("INDEX", 72, 780, 10, BODY), ("9", 300, 780, 10, BODY)]
    pages = [lines(["The text ends here."]), [("Index", 72, 720, 18, BOLD), *index(100)]]
    pages += [[*header[:1], (str(number), 300, 780, 10, BODY), *index(20 * number)] for number in (6, 7, 8)]
    document = read(draw_pdf(tmp_path / "a.pdf", pages))
    assert [block.kind for block in document.blocks] == ["paragraph", "contents"]
    entries = [line.split(",")[0].split() for line in texts(document, "contents")[0].splitlines()[1::2]]
    assert [int(number) for _, number in entries] == list(range(100, 180))


def test_an_index_goes_on_over_pages_whose_entries_take_two_lines(tmp_path: Path, draw_pdf: Any) -> None:
    short = [f"valve of kind {n}, page {n}," for n in range(20)]
    long = [line for n in range(9) for line in (f"valve for work with acids, as the {n}th table has it", f"page {n},")]
    notes = [f"{line} and other fluids" for line in long]  # a third of the lines would be seven
    pages = [lines(["The text ends here."]), [("Index", 72, 720, 18, BOLD), *lines(short)]]
    pages += [lines(["Things of the seventh kind", *long]), lines([*notes[:15], *short[:5]])]
    document = read(draw_pdf(tmp_path / "a.pdf", pages))
    kinds = {block.page: block.kind for block in document.blocks}
    assert kinds[2] == "contents"
    assert texts(document, "contents")[0].splitlines()[21:] == ["Things of the seventh kind", *long]
    assert "and other fluids" not in texts(document, "contents")[0]


def test_two_columns_with_a_heading_over_both_a_footnote_and_a_figure(tmp_path: Path, draw_pdf: Any) -> None:
    def column(x: float, top: float, first: str, count: int) -> list[Any]:
        texts = [f"{first} words that fill line {i:02} of column" for i in range(count)]
        return lines([*texts[:-1], texts[-1] + "."], x, top)

    page = [
        ("2 Pumps and valves of every kind", 150, 780, 16, BOLD),
        *column(60, 740, "Left", 20), *column(320, 740, "Right", 12),
        ("Figure 1: A pump", 360, 560, 10, BODY), *column(320, 530, "Below", 12),
        ("1", 60, 104, 5, BODY), ("Unless it leaks.", 64, 100, 8, BODY),
        ("3 Use over both of the columns of this page", 150, 360, 16, BOLD),
        *column(60, 330, "Then", 12), *column(320, 330, "Last", 12),
    ]  # fmt: skip
    document = read(draw_pdf(tmp_path / "a.pdf", [page]))
    blocks = [(block.kind, document.text[block.start : block.end].split()[0]) for block in document.blocks]
    assert [block for block in blocks if block[0] != "footnote"] == [
        ("heading", "2"), ("paragraph", "Left"), ("paragraph", "Right"), ("caption", "Figure"), ("paragraph", "Below"),
        ("heading", "3"), ("paragraph", "Then"), ("paragraph", "Last"),
    ]  # fmt: skip
    assert [" ".join(text.split()) for text in texts(document, "footnote")] == ["1 Unless it leaks."]


def test_blocks_have_a_box_on_every_page_that_they_stand_on(tmp_path: Path, draw_pdf: Any) -> None:
    first = [("alone", 72, 700, 10, BODY), *lines(["a paragraph that", "goes on over the"], top=100)]
    document = read(draw_pdf(tmp_path / "a.pdf", [first, lines(["end of its page"], top=780)]))
    alone, joined = document.blocks
    (box,) = alone.boxes
    assert (box.page, box.left) == (1, 72)
    assert box.right == pytest.approx(72 + width("alone", BODY), abs=1)
    assert box.bottom < 700 < box.top < 700 + 10
    assert [box.page for box in joined.boxes] == [1, 2]
    assert joined.boxes[0].top - joined.boxes[0].bottom == pytest.approx(12 + box.top - box.bottom, abs=0.2)
    assert joined.boxes[1].right == pytest.approx(72 + width("end of its page", BODY), abs=1)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_boxes_are_those_of_the_page_as_displayed(tmp_path: Path, draw_pdf: Any, rotation: int) -> None:
    writer = pypdf.PdfWriter(draw_pdf(tmp_path / "a.pdf", [[("word", 72, 700, 10, BODY)]]))
    writer.pages[0].cropbox = pypdf.generic.RectangleObject((20, 30, 520, 830))  # 500 wide, 800 high
    writer.pages[0].rotate(rotation)
    writer.write(tmp_path / "b.pdf")
    document = read(tmp_path / "b.pdf")
    x, y = 72 - 20, 700 - 30  # where the word begins, from the corner of the unturned page
    across, up = {0: (x, y), 90: (y, 500 - x), 180: (500 - x, 800 - y), 270: (800 - y, x)}[rotation]
    (box,) = document.blocks[0].boxes
    assert document.pages[0].rotation == rotation
    assert box.left - 3 <= across <= box.right + 3
    assert box.bottom - 3 <= up <= box.top + 3
    upright = box.right - box.left > box.top - box.bottom
    assert upright == (rotation in (0, 180))


def test_pages_keep_their_printed_number_and_what_was_dropped(tmp_path: Path, draw_pdf: Any) -> None:
    def page(footer: str, number: int) -> list[Any]:
        return [("Valve handbook", 72, 800, 9, BODY), *lines([f"Text of page {number}."]), (footer, 280, 30, 9, BODY)]

    footers = ["i", "ii", "iii", "Page 1 of 4", "Page 2 of 4", "Page 3 of 4", "Page 4 of 4"]
    document = read(draw_pdf(tmp_path / "a.pdf", [page(footer, n) for n, footer in enumerate(footers)]))
    assert [page.label for page in document.pages] == ["i", "ii", "iii", "1", "2", "3", "4"]
    assert [page.dropped for page in document.pages] == [("Valve handbook", footer) for footer in footers]


def test_pages_without_a_printed_number_have_the_label_of_the_pdf(tmp_path: Path, draw_pdf: Any) -> None:
    writer = pypdf.PdfWriter(
        draw_pdf(tmp_path / "a.pdf", [lines([f"Words {name}."]) for name in ("one", "two", "three")])
    )
    writer.set_page_label(0, 1, style="/r")
    writer.set_page_label(2, 2, style="/D", prefix="A-")
    writer.write(tmp_path / "b.pdf")
    assert [page.label for page in read(tmp_path / "b.pdf").pages] == ["i", "ii", "A-1"]


def test_footnotes_stand_apart_from_the_paragraph_that_goes_on_over_the_page(tmp_path: Path, draw_pdf: Any) -> None:
    first = [
        *lines(["A valve is closed before the", "pump is stopped and stays so"], top=200),
        ("1", 72, 104, 5, BODY), ("Unless it leaks.", 76, 100, 8, BODY),
        ("2", 72, 94, 5, BODY), ("See the other part of", 76, 90, 8, BODY), ("this standard.", 72, 80, 8, BODY),
    ]  # fmt: skip
    document = read(draw_pdf(tmp_path / "a.pdf", [first, lines(["until the pump is started again."])]))
    assert [block.kind for block in document.blocks][:3] == ["footnote", "footnote", "paragraph"]
    assert [" ".join(text.split()) for text in texts(document, "footnote")] == [
        "1 Unless it leaks.", "2 See the other part of this standard."
    ]  # fmt: skip
    assert texts(document, "paragraph")[0] == (
        "A valve is closed before the pump is stopped and stays so until the pump is started again."
    )


def test_small_type_without_a_mark_is_no_footnote(tmp_path: Path, draw_pdf: Any) -> None:
    page = [*lines(["A valve is closed.", "A pump is stopped."]), ("12 bars are the least.", 72, 100, 8, BODY)]
    assert texts(read(draw_pdf(tmp_path / "a.pdf", [page])), "footnote") == []


def test_captions_are_told_from_sentences_that_begin_alike(tmp_path: Path, draw_pdf: Any) -> None:
    captions = ["Figure 3-1: The valve", "Table 5.2 Limits of pressure", "Table B.1"]
    page = [(text, 72, 700 - 40 * i, 10, BODY) for i, text in enumerate([*captions, "Figure 3 shows a valve."])]
    japanese = [(text, 72, 500 - 40 * i, 10, JAPANESE) for i, text in enumerate(["図 3 弁の構造", "表5: 圧力"])]
    document = read(draw_pdf(tmp_path / "a.pdf", [page + japanese]))
    assert texts(document, "caption") == [*captions, "図 3 弁の構造", "表5: 圧力"]
    assert texts(document, "paragraph") == ["Figure 3 shows a valve."]


def test_code_keeps_its_indents_and_blank_lines(tmp_path: Path, draw_pdf: Any) -> None:
    pitch = stringWidth("x", MONO, 10)
    code = [("if x:", 0, 0), ("for y in z:", 4, 1), ("pass", 8, 2), ("else:", 0, 4)]
    page = [(text, 90 + indent * pitch, 600 - 12 * row, 10, MONO) for text, indent, row in code]
    document = read(draw_pdf(tmp_path / "a.pdf", [lines(["Prose stands above it,", "more than code."] * 4) + page]))
    assert texts(document, "code") == ["if x:\n    for y in z:\n        pass\n\nelse:"]


def test_rules_of_a_grammar_keep_their_lines(tmp_path: Path, draw_pdf: Any) -> None:
    rows = [("sum:", 72), ("term", 90), ("sum PLUS term", 90), ("Prose begins here again.", 72)]
    page = [(text, x, 700 - 12 * i, 10, BODY) for i, (text, x) in enumerate(rows)]
    document = read(draw_pdf(tmp_path / "a.pdf", [page]))
    assert [line.split() for line in texts(document, "code")[0].splitlines()] == [
        ["sum:"],
        ["term"],
        ["sum", "PLUS", "term"],
    ]
    assert texts(document, "paragraph") == ["Prose begins here again."]


def test_a_line_that_ends_before_the_next_word_had_to_ends_its_paragraph(tmp_path: Path, draw_pdf: Any) -> None:
    long = [f"Line number {i} goes as far as all of the lines do, up to here" for i in range(6)]
    document = read(draw_pdf(tmp_path / "a.pdf", [lines([*long, "and ends.", "NOTE", *long[:2]])]))
    assert texts(document, "paragraph") == [" ".join([*long, "and ends."]), "NOTE", " ".join(long[:2])]


def test_an_outline_below_the_title_begins_with_the_chapters(tmp_path: Path, draw_pdf: Any) -> None:
    page = [
        (text, 72, 700 - 40 * i, 10, BODY) for i, text in enumerate(["Valves", "1. Scope", "1.1. Kinds", "2. Terms"])
    ]
    writer = pypdf.PdfWriter(draw_pdf(tmp_path / "a.pdf", [page]))
    top = writer.add_outline_item(title="Valves", page_number=0)
    scope = writer.add_outline_item(title="1. Scope", page_number=0, parent=top)
    writer.add_outline_item(title="1.1. Kinds", page_number=0, parent=scope)
    writer.add_outline_item(title="2. Terms", page_number=0, parent=top)
    writer.write(tmp_path / "b.pdf")
    headings = [block for block in read(tmp_path / "b.pdf").blocks if block.kind == "heading"]
    assert [block.level for block in headings] == [1, 1, 2, 1]


def test_headings_that_the_outline_leaves_out_are_known_by_the_look_of_those_it_names(
    tmp_path: Path, draw_pdf: Any
) -> None:
    def page(*headings: tuple[str, int]) -> list[Any]:
        placed = [(text, 72, 700 - 60 * i, size, BOLD) for i, (text, size) in enumerate(headings)]
        return [
            *placed,
            *(item for i in range(len(headings)) for item in lines(["Words of the text."], top=680 - 60 * i)),
        ]

    pages = [page(("Preface", 20), ("Preface to the first", 14)), page(("Scope", 20), ("Kinds", 14), ("Terms", 14))]
    writer = pypdf.PdfWriter(draw_pdf(tmp_path / "a.pdf", pages))
    writer.add_outline_item(title="Preface", page_number=0)
    scope = writer.add_outline_item(title="Scope", page_number=1)
    for title in ("Kinds", "Terms"):
        writer.add_outline_item(title=title, page_number=1, parent=scope)
    writer.write(tmp_path / "b.pdf")
    document = read(tmp_path / "b.pdf")
    levels = [block.level for block in document.blocks if block.kind == "heading"]
    found = dict(zip(texts(document, "heading"), levels, strict=True))
    assert found == {"Preface": 1, "Preface to the first": 2, "Scope": 1, "Kinds": 2, "Terms": 2}


def test_a_heading_without_number_stands_below_the_larger_one_above_it(tmp_path: Path, draw_pdf: Any) -> None:
    headings = [("1 Scope", 20), ("1.1 Kinds", 17), ("1.1.1 Hand", 15), ("Rationale", 13), ("1.2 Use", 17),
                ("Rationale", 13), ("2 Terms", 20), ("Rationale", 13)]  # fmt: skip
    page = [(text, 72, 780 - 60 * i, size, BOLD) for i, (text, size) in enumerate(headings)]
    page += [item for i in range(len(headings)) for item in lines(["Words of the text."], top=760 - 60 * i)]
    page += [("Rationale", 72, 20, 13, BOLD)]
    document = read(draw_pdf(tmp_path / "a.pdf", [page]))
    levels = [block.level for block in document.blocks if block.kind == "heading"]
    assert levels == [1, 2, 3, 4, 2, 3, 1, 2, 2]


def test_turned_text_is_read_upright(tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    canvas.rotate(90)
    canvas.drawString(100, -200, "A landscape table stands here")
    canvas.drawString(100, -214, "and has a second line.")
    canvas.save()
    assert texts(read(tmp_path / "a.pdf"), "paragraph") == ["A landscape table stands here and has a second line."]


def test_encrypted_files(tmp_path: Path, draw_pdf: Any) -> None:
    plain = draw_pdf(tmp_path / "a.pdf", [lines(["A secret sentence."])])
    for password in ("", "opened"):
        writer = pypdf.PdfWriter(plain)
        writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
        writer.write(tmp_path / f"encrypted{password}.pdf")
    assert "secret" in read(tmp_path / "encrypted.pdf").text  # an empty password opens it
    with pytest.raises(UnreadableError, match="encrypted: it opens only with a password"):
        read(tmp_path / "encryptedopened.pdf")


def test_limits_and_empty_pages(tmp_path: Path, draw_pdf: Any) -> None:
    path = draw_pdf(tmp_path / "a.pdf", [lines(["words " * 5]), lines(["words " * 5]), []])
    with pytest.raises(UnreadableError, match="3 pages, more than the limit of 2"):
        read_pdf(path, "a", ReadLimits(pages=2))
    with pytest.raises(UnreadableError, match="more than 30 characters") as error:
        read_pdf(path, "a", ReadLimits(characters=30))
    assert error.value.page == 2
    blank = draw_pdf(tmp_path / "blank.pdf", [[], []])
    with pytest.raises(UnreadableError, match="none of the 2 pages has text"):
        read_pdf(blank, "a", ReadLimits())


def test_what_pdfium_refuses_is_tried_with_pypdf(
    tmp_path: Path, draw_pdf: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pypdfium2

    def refuse(*arguments: object) -> None:
        raise pypdfium2.PdfiumError("Failed to load document (PDFium: Data format error).", err_code=3)

    path = draw_pdf(tmp_path / "a.pdf", [lines(["Read all the same."]), lines(["Second page."])])
    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    document = read(path)
    assert "Read all the same." in document.text
    assert len(document.pages) == 2
    assert "pypdf" in document.warnings[0]
