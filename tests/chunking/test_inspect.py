"""What is shown of a document is what was read: every character of every block, in its passage, on its page."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.accounting import account
from chunking.document import Block, Chunk, Document, Page, Row, Table
from chunking.inspect_blocks import Stretch, seen_blocks
from chunking.inspect_html import draw_html
from chunking.limits import ReadLimits
from chunking.pdf_pictures import SIZES, draw_pages, showing_pages
from chunking.readers import read
from chunking.splitters import ChunkSettings, chunk
from chunking.tokens import TokenCounter
from chunking.worker import Job, Read, read_and_chunk_all
from tests.chunking.hostile.pdfs import PDFS

HOSTILE = '<script>alert("read")</script><img src=x onerror=alert(1)> & \x00"'


def a_chunk(ordinal: int, start: int, end: int) -> Chunk:
    return Chunk(str(ordinal), "d", "T", ordinal, (), 1, 1, start, end, "", f"encoder reads {ordinal}", 5)


def a_document(text: str, blocks: list[Block], *page_ends: int) -> Document:
    starts = (0, *page_ends[:-1])
    pages = tuple(Page(i, a, b) for i, (a, b) in enumerate(zip(starts, page_ends, strict=True), 1))
    return Document("d", "00", "T", text, pages, tuple(blocks))


def test_a_block_is_shown_on_each_of_its_pages_divided_among_its_passages() -> None:
    document = a_document("0123456789abcdefghij", [Block("heading", 1, 0, 4, 1), Block("paragraph", 1, 5, 20)], 12, 20)
    pages = seen_blocks(document, [a_chunk(0, 0, 8), a_chunk(1, 8, 15), a_chunk(2, 13, 18)])
    heading, paragraph = pages[1]
    assert heading.stretches == (Stretch("0123", 0, True),)
    assert paragraph.stretches == (Stretch("567", 0, False), Stretch("89ab", 1, True))
    assert (paragraph.number, paragraph.section, paragraph.chunks) == (2, ("0123",), [0, 1])
    (rest,) = pages[2]  # 13 and 14 are in two passages, and shown with the later one; 18 and 19 in none
    assert rest.stretches == (Stretch("c", 1, False), Stretch("defgh", 2, True), Stretch("ij", None, False))


@given(st.data(), st.integers(10, 60))
def test_no_character_of_a_block_is_lost(data: st.DataObject, length: int) -> None:
    def cuts() -> list[int]:
        return sorted({0, length, *data.draw(st.lists(st.integers(0, length), max_size=6))})

    text = "".join(chr(97 + i % 26) for i in range(length))
    edges, page_edges, chunk_edges = cuts(), cuts(), cuts()
    blocks = [Block("paragraph", 1, a, b) for a, b in itertools.pairwise(edges)]
    document = a_document(text, blocks, *page_edges[1:])
    chunks = [a_chunk(i, a, b) for i, (a, b) in enumerate(itertools.pairwise(chunk_edges))]
    pages = seen_blocks(document, chunks)
    assert "".join(seen.text for page in pages.values() for seen in page) == text
    for page in document.pages:
        assert "".join(seen.text for seen in pages[page.number]) == text[page.start : page.end]
    owners = [(stretch.chunk, len(stretch.text)) for page in pages.values() for s in page for stretch in s.stretches]
    for part in chunks:
        assert sum(size for owner, size in owners if owner == part.ordinal) == part.end - part.start
    begun = [stretch.chunk for page in pages.values() for seen in page for stretch in seen.stretches if stretch.begins]
    assert begun == [part.ordinal for part in chunks]


def test_what_documents_say_is_text_never_markup(tmp_path: Path, counter: TokenCounter) -> None:
    table = Table(HOSTILE, (HOSTILE,), (Row(0, 5, (HOSTILE,)),))
    pages = (Page(1, 0, len(HOSTILE), HOSTILE, (HOSTILE,)),)
    document = Document(HOSTILE, "00", HOSTILE, HOSTILE, pages, (Block("table", 1, 0, len(HOSTILE), table=table),))
    chunks = [Chunk("1", "d", HOSTILE, 0, (HOSTILE,), 1, 1, 0, len(HOSTILE), HOSTILE, HOSTILE, 3)]
    html = draw_html(document, chunks, account(document, chunks), (), tmp_path, [HOSTILE])
    assert "<script" not in html and "<img" not in html
    assert html.count("&lt;script&gt;") >= 8  # title twice, file, note, label, dropped, text, encoder text, cells
    assert "default-src &#39;none&#39;" in html
    assert "http://" not in html and "https://" not in html


def test_pages_are_drawn_and_scanned_ones_are_told_from_blank_ones(tmp_path: Path, draw_pdf: Any) -> None:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    words = [("Words that can be read.", 72, 700, 10, "Times-Roman")]
    draw_pages(draw_pdf(tmp_path / "text.pdf", [words]), [1, 7], tmp_path)
    assert json.loads((tmp_path / SIZES).read_text()) == [[595, 842]]
    assert sorted(path.name for path in tmp_path.glob("*.jpg")) == ["page-1.jpg"]  # there is no page 7
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=(595, 842))
    canvas.drawImage(ImageReader(str(tmp_path / "page-1.jpg")), 0, 0, 595, 842)
    canvas.showPage()
    canvas.showPage()  # nothing at all
    canvas.drawImage(ImageReader(str(tmp_path / "page-1.jpg")), 0, 0, 300, 300)  # a logo
    canvas.showPage()
    canvas.save()
    assert showing_pages(tmp_path / "scan.pdf", [1, 2, 3], []) == {1, 3}
    assert showing_pages(tmp_path / "scan.pdf", [1, 2, 3], [1, 2, 3]) == {1}


def test_a_damaged_page_costs_no_other_its_picture(tmp_path: Path) -> None:
    case = PDFS["count_a_little_too_large.pdf"]  # there is one page of the three that are told
    (tmp_path / "a.pdf").write_bytes(case.make())
    draw_pages(tmp_path / "a.pdf", [1, 2, 3], tmp_path)
    assert json.loads((tmp_path / SIZES).read_text()) == [[595, 842], None, None]
    assert [path.name for path in tmp_path.glob("*.jpg")] == ["page-1.jpg"]
    document = read(tmp_path / "a.pdf", "a.pdf", ReadLimits())
    assert draw_html(document, [], account(document, []), (), tmp_path).count("<svg") == 1


def a_page() -> list[Any]:
    head = [("1 Scope", 72, 720, 16, "Times-Bold")]
    body = [
        (f"Line {i} says that valves <b>open</b> at 18 bar.", 72, 690 - 12 * i, 10, "Times-Roman") for i in range(4)
    ]
    return head + body


def test_lines_left_out_are_drawn_struck_where_they_stand(tmp_path: Path, draw_pdf: Any) -> None:
    pages = [
        [("Handbook of pumps", 72, 800, 9, "Times-Roman"), *a_page(), (f"{i}", 300, 30, 9, "Times-Roman")]
        for i in (1, 2, 3, 4)
    ]
    document = read(draw_pdf(tmp_path / "a.pdf", pages), "a.pdf", ReadLimits())
    for number, page in enumerate(document.pages, 1):
        assert page.dropped == ("Handbook of pumps", str(number))
        head, foot = page.dropped_boxes
        assert (head.page, head.left, foot.left) == (number, 72, 300)
        assert head.bottom < 800 < head.top < 820
        assert foot.bottom < 30 < foot.top < 50
    html = draw_html(document, [], account(document, []), (2,), tmp_path)
    assert html.count('<g class="out"><title>left out of the text: ') == 2
    assert f'<rect x="72.0" y="{round(842 - document.pages[1].dropped_boxes[0].top, 1)}"' in html


def test_without_tokenizers_documents_are_read_but_not_cut(tmp_path: Path, draw_pdf: Any) -> None:
    job = Job(draw_pdf(tmp_path / "a.pdf", [a_page()]), "a.pdf", tmp_path / "out", pictures=(1,))
    outcome = next(read_and_chunk_all([job], ReadLimits(), ChunkSettings(), [], workers=1))
    assert isinstance(outcome, Read)
    assert (outcome.pages, outcome.chunks) == (1, 0)
    assert (tmp_path / "out" / "page-1.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.slow
def test_a_browser_shows_the_boxes_where_the_words_are(tmp_path: Path, draw_pdf: Any, counter: TokenCounter) -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser_path:
        pytest.skip("no chromium on this machine: the browser test needs one")
    from playwright.sync_api import sync_playwright

    path = draw_pdf(tmp_path / "a.pdf", [a_page()])
    document = read(path, "a.pdf", ReadLimits())
    chunks = chunk(document, ChunkSettings(), counter)
    draw_pages(path, [1], tmp_path)
    (tmp_path / "a.html").write_text(draw_html(document, chunks, account(document, chunks), (), tmp_path))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-quic"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on(
            "request", lambda request: None if request.url.startswith(("file:", "data:")) else problems.append("net")
        )
        page.goto((tmp_path / "a.html").as_uri())
        picture, box = page.locator("svg").bounding_box(), page.locator("svg .box").first.bounding_box()
        assert picture and box
        scale = picture["width"] / 595
        assert box["x"] - picture["x"] == pytest.approx(72 * scale, abs=3)
        assert box["y"] - picture["y"] == pytest.approx((842 - 720 - 16) * scale, abs=6 * scale)
        assert page.locator("svg .box").count() == len(document.blocks) == 2
        assert not page.locator(".encoder").first.is_visible()
        page.locator(".words .chunk").first.hover()
        assert "1 Scope\nLine 0 says that valves <b>open</b>" in page.locator(".encoder").first.inner_text()
        page.locator("svg a").nth(1).click()
        assert page.url.endswith("#b1-2")
        browser.close()
    assert problems == []
