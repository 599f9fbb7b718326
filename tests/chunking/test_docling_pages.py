"""What the program beside docling makes of a DoclingDocument: a real one, built with docling-core and no model."""

from __future__ import annotations

from typing import Any

import pytest

from chunking.docling_pages import items

pytest.importorskip("docling_core", reason="docling-core is not installed here: pip install 'specmine[docling]'")

from docling_core.types.doc import (
    BoundingBox,
    ContentLayer,
    CoordOrigin,
    DocItemLabel,
    DoclingDocument,
    GroupLabel,
    ProvenanceItem,
    RichTableCell,
    Size,
    TableCell,
    TableData,
)

HEIGHT = 800.0


@pytest.fixture
def document() -> DoclingDocument:
    made = DoclingDocument(name="pump")
    for number in (1, 2):
        made.add_page(page_no=number, size=Size(width=600, height=HEIGHT))
    return made


def place(page: int, top: float = 700, chars: tuple[int, int] = (0, 0)) -> ProvenanceItem:
    """A place 20 points high, given from the page's lower left corner as docling's PDF pipeline does."""
    box = BoundingBox(l=50, t=top, r=550, b=top - 20, coord_origin=CoordOrigin.BOTTOMLEFT)
    return ProvenanceItem(page_no=page, bbox=box, charspan=chars)


def cell(text: str, row: int, column: int, down: int = 1, across: int = 1, header: bool = False) -> TableCell:
    return TableCell(
        text=text,
        row_span=down,
        col_span=across,
        start_row_offset_idx=row,
        end_row_offset_idx=row + down,
        start_col_offset_idx=column,
        end_col_offset_idx=column + across,
        column_header=header,
    )


def kinds(document: DoclingDocument) -> list[tuple[str, str]]:
    return [(item["kind"], item.get("text", "")) for item in items(document)]


def test_labels_become_kinds(document: DoclingDocument) -> None:
    document.add_title("Pump HPU-200", prov=place(1))
    document.add_text(DocItemLabel.PAGE_HEADER, "ACME", prov=place(1), content_layer=ContentLayer.FURNITURE)
    document.add_heading("4.2 Relief valves", level=1, prov=place(1))
    document.add_text(DocItemLabel.TEXT, "The valve opens at 18 bar.", prov=place(1))
    document.add_code("open(18)", prov=place(1))
    document.add_text(DocItemLabel.FOOTNOTE, "1 At sea level.", prov=place(1))
    document.add_text(DocItemLabel.CHECKBOX_SELECTED, "tested", prov=place(1))
    document.add_text(DocItemLabel.FORMULA, "", orig="p = F / A", prov=place(1))
    assert kinds(document) == [
        ("title", "Pump HPU-200"),
        ("running", "ACME"),
        ("heading", "4.2 Relief valves"),
        ("paragraph", "The valve opens at 18 bar."),
        ("code", "open(18)"),
        ("footnote", "1 At sea level."),
        ("list", "☒ tested"),
        ("paragraph", "p = F / A"),
    ]


def test_lists_keep_their_markers_and_nested_ones_their_order(document: DoclingDocument) -> None:
    outer = document.add_list_group()
    first = document.add_list_item("drain the tank", enumerated=True, marker="1.", parent=outer, prov=place(1))
    inner = document.add_list_group(parent=first)
    document.add_list_item("- through the lower valve", marker="-", parent=inner, prov=place(1))
    document.add_list_item("refill", enumerated=True, marker="2.", parent=outer, prov=place(1))
    assert kinds(document) == [
        ("list", "1. drain the tank"),
        ("list", "- through the lower valve"),
        ("list", "2. refill"),
    ]


def test_words_in_a_picture_are_not_lost(document: DoclingDocument) -> None:
    picture = document.add_picture(prov=place(1))
    document.add_text(DocItemLabel.TEXT, "inlet", parent=picture, prov=place(1))
    caption = document.add_text(DocItemLabel.CAPTION, "Figure 1: the pump", parent=picture, prov=place(1))
    picture.captions.append(caption.get_ref())
    assert kinds(document) == [("paragraph", "inlet"), ("caption", "Figure 1: the pump")]


def test_a_table_has_columns_rows_and_its_caption_once(document: DoclingDocument) -> None:
    data = TableData(
        num_rows=4,
        num_cols=3,
        table_cells=[
            cell("Size", 0, 0, down=2, header=True),
            cell("Torque", 0, 1, across=2, header=True),
            cell("min", 1, 1, header=True),
            cell("max", 1, 2, header=True),
            cell("M12", 2, 0, down=2),
            cell("81", 2, 1),
            cell("85", 2, 2),
            cell("not given", 3, 1, across=2),
        ],
    )
    table = document.add_table(data=data, prov=place(1, top=600))
    for label, text, top, references in (
        (DocItemLabel.CAPTION, "Table 1: torques", 630.0, table.captions),
        (DocItemLabel.FOOTNOTE, "* dry", 570.0, table.footnotes),
    ):
        references.append(document.add_text(label, text, parent=table, prov=place(1, top)).get_ref())
    caption, found, note = items(document)
    assert (caption["kind"], caption["text"]) == ("caption", "Table 1: torques")
    assert (note["kind"], note["text"]) == ("footnote", "* dry")
    assert found["kind"] == "table"
    assert found["caption"] == "Table 1: torques"
    assert found["columns"] == ["Size", "Torque min", "Torque max"]
    assert found["rows"] == [["M12", "81", "85"], ["M12", "not given", ""]]


def test_a_caption_below_its_table_comes_after_it(document: DoclingDocument) -> None:
    table = document.add_table(data=TableData(num_rows=1, num_cols=1, table_cells=[cell("a", 0, 0)]), prov=place(1))
    caption = document.add_text(DocItemLabel.CAPTION, "Table 1", parent=table, prov=place(1, top=100))
    table.captions.append(caption.get_ref())
    assert [item["kind"] for item in items(document)] == ["table", "caption"]


def test_what_stands_in_a_cell_is_told_with_the_cell_only(document: DoclingDocument) -> None:
    table = document.add_table(data=TableData(num_rows=1, num_cols=1, table_cells=[]), prov=place(1))
    group = document.add_group(label=GroupLabel.UNSPECIFIED, parent=table)
    document.add_text(DocItemLabel.TEXT, "first", parent=group, prov=place(1))
    document.add_text(DocItemLabel.TEXT, "second", parent=group, prov=place(1))
    table.data.table_cells.append(RichTableCell(**cell("", 0, 0).model_dump(), ref=group.get_ref()))
    (found,) = items(document)
    assert found["rows"] == [["first second"]]


def test_an_index_is_a_table_of_contents(document: DoclingDocument) -> None:
    data = TableData(num_rows=1, num_cols=2, table_cells=[cell("1 Scope", 0, 0), cell("3", 0, 1)])
    document.add_table(data=data, label=DocItemLabel.DOCUMENT_INDEX, prov=place(1))
    (found,) = items(document)
    assert (found["kind"], found["rows"]) == ("contents", [["1 Scope", "3"]])


def test_boxes_count_from_the_lower_left_corner(document: DoclingDocument) -> None:
    box = BoundingBox(l=50, t=100, r=550, b=120, coord_origin=CoordOrigin.TOPLEFT)
    document.add_text(DocItemLabel.TEXT, "a", prov=ProvenanceItem(page_no=1, bbox=box, charspan=(0, 1)))
    (found,) = items(document)
    assert found["parts"] == [[1, 1, [50, HEIGHT - 120, 550, HEIGHT - 100]]]


def test_a_text_over_the_end_of_a_page_tells_how_much_of_it_stands_on_each(document: DoclingDocument) -> None:
    # docling takes the hyphen of "vol-" away, but counts its spans as if it had joined with a blank
    first, second = "the vol-", "ume is 5 l"
    found: Any = document.add_text(DocItemLabel.TEXT, "the volume is 5 l", prov=place(1, chars=(0, len(first))))
    found.prov.append(place(2, chars=(len(first) + 1, len(first) + 1 + len(second))))
    (item,) = items(document)
    assert [(page, rest) for page, rest, _ in item["parts"]] == [(1, len(first) + len(second)), (2, len(second))]
