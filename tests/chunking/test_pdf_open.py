"""A page tree that says too few pages loses none of them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import pypdf
import pypdfium2
import pytest
from pypdf.generic import NameObject, NumberObject

from chunking.document import UnreadableError
from chunking.limits import ReadLimits
from chunking.pdf_open import open_pdf
from chunking.pdf_streams import count_page_objects
from chunking.read_pdf import read_pdf
from tests.chunking.hostile import CORPUS
from tests.chunking.hostile.pdfs import pdf, stream

HELD = 12


def telling(data: bytes, told: int, password: str | None = None) -> bytes:
    """Let the root of the page tree say ``told`` pages."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.root_object["/Pages"][NameObject("/Count")] = NumberObject(told)  # type: ignore[index]
    if password is not None:
        writer.encrypt(password, owner_password="owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.fixture(scope="session")
def twelve(draw_pdf: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Twelve pages, each with a word of its own."""
    pages = [[(f"Only page {number} says word{number}.", 72, 700, 12, "Helvetica")] for number in range(1, HELD + 1)]
    return draw_pdf(tmp_path_factory.mktemp("pdf") / "twelve.pdf", pages).read_bytes()


@pytest.mark.parametrize("told", [1, 5, HELD - 1])
@pytest.mark.parametrize("password", [None, ""])
def test_pages_the_tree_does_not_count_are_read(twelve: bytes, told: int, password: str | None, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(telling(twelve, told, password))
    with pypdfium2.PdfDocument(path) as document:
        assert len(document) == told
    read = read_pdf(path, "a.pdf", ReadLimits())
    assert [page.number for page in read.pages] == list(range(1, HELD + 1))
    assert all(f"word{page.number}." in read.text[page.start : page.end] for page in read.pages)
    assert all(block.boxes for block in read.blocks)
    assert f"the page tree's /Count is {told}, but it holds {HELD} pages: all of them are read" in read.warnings


def test_pages_in_an_object_stream_are_counted(tmp_path: Path) -> None:
    # A file as PDF 1.5 has it: the page tree and two pages packed in one stream, and the cross-references in another.
    contents = [
        b"<</Type/Catalog /Pages 2 0 R>>",
        b"<</Type/Pages /Kids[3 0 R 4 0 R] /Count 1 /MediaBox[0 0 595 842]>>",
        *(b"<</Type/Page /Parent 2 0 R /Contents %d 0 R /Resources<</Font<</F 5 0 R>>>> >>" % n for n in (7, 8)),
        b"<</Type/Font /Subtype/Type1 /BaseFont/Helvetica>>",
    ]
    places = [sum(len(content) + 1 for content in contents[:i]) for i in range(len(contents))]
    head = b" ".join(b"%d %d" % (number, place) for number, place in enumerate(places, 1)) + b"\n"
    packed = zlib.compress(head + b"\n".join(contents))
    objects = {
        6: stream(packed, b"/Type/ObjStm /N %d /First %d /Filter/FlateDecode" % (len(contents), len(head))),
        7: stream(b"BT /F 12 Tf 72 700 Td (The first.) Tj ET"),
        8: stream(b"BT /F 12 Tf 72 700 Td (The second.) Tj ET"),
    }
    data = b"%PDF-1.5\n"
    rows = [b"\0\0\0\0\0", *(b"\2\0\0\6" + bytes([i]) for i in range(len(contents)))]
    for number, content in objects.items():
        rows.append(b"\1" + len(data).to_bytes(3, "big") + b"\0")
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    rows.append(b"\1" + len(data).to_bytes(3, "big") + b"\0")
    references = stream(b"".join(rows), b"/Type/XRef /Size 10 /W[1 3 1] /Root 1 0 R")
    data += b"9 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF" % (references, len(data))
    (tmp_path / "a.pdf").write_bytes(data)
    assert count_page_objects(data) == 2
    with pypdfium2.PdfDocument(tmp_path / "a.pdf") as document:
        assert len(document) == 1
    read = read_pdf(tmp_path / "a.pdf", "a.pdf", ReadLimits())
    assert [read.text[page.start : page.end] for page in read.pages] == ["The first.", "The second."]


def test_earlier_versions_of_pages_are_no_pages(twelve: bytes, tmp_path: Path) -> None:
    writer = pypdf.PdfWriter(io.BytesIO(twelve), incremental=True)
    for page in writer.pages[:3]:
        page[NameObject("/Rotate")] = NumberObject(90)
    writer.write(tmp_path / "a.pdf")
    assert count_page_objects((tmp_path / "a.pdf").read_bytes()) == HELD + 3
    document, warnings = open_pdf(tmp_path / "a.pdf")
    with document:
        assert (len(document), warnings) == (HELD, [])


def test_a_tree_that_cannot_be_walked_is_told(tmp_path: Path) -> None:
    # The second kid is the tree itself: pdfium counts what it is told, pypdf refuses the ring.
    page = b"<</Type/Page /Parent 2 0 R /MediaBox[0 0 595 842] /Contents 5 0 R /Resources<</Font<</F 6 0 R>>>> >>"
    tree = b"<</Type/Pages /Kids[3 0 R 2 0 R 4 0 R] /Count 1>>"
    text = stream(b"BT /F 12 Tf 72 700 Td (Some words.) Tj ET")
    font = b"<</Type/Font /Subtype/Type1 /BaseFont/Helvetica>>"
    (tmp_path / "a.pdf").write_bytes(pdf(b"<</Type/Catalog /Pages 2 0 R>>", tree, page, page, text, font))
    read = read_pdf(tmp_path / "a.pdf", "a.pdf", ReadLimits())
    assert read.text.strip() == "Some words."
    assert read.warnings[0] == "the page tree is damaged (PdfReadError): pages after page 1 may be missing"


def test_more_pages_than_the_limit_are_refused_however_few_are_told(twelve: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(telling(twelve, 1))
    with pytest.raises(UnreadableError, match="12 pages, more than the limit of 11"):
        read_pdf(tmp_path / "a.pdf", "a.pdf", ReadLimits(pages=11))


def test_a_file_is_not_called_encrypted_because_the_one_before_was(tmp_path: Path) -> None:
    for name in ("encrypted.pdf", "root_is_no_catalog.pdf"):
        (tmp_path / name).write_bytes(CORPUS[name].make())
    with pytest.raises(UnreadableError, match="encrypted"):
        read_pdf(tmp_path / "encrypted.pdf", "a.pdf", ReadLimits())
    assert read_pdf(tmp_path / "root_is_no_catalog.pdf", "b.pdf", ReadLimits()).text
