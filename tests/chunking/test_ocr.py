"""Scanned pages, recognised by the real tesseract: words found again where they stand, blank pages left alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pypdf
import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from chunking import ocr as ocr_module
from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.ocr import OcrSettings, RecognitionError, installed_languages, recognise, version
from chunking.pdf_pictures import draw_pages
from chunking.readers import read
from chunking.splitters import ChunkSettings
from chunking.stored import load
from chunking.worker import Job, Read, read_and_chunk_all

needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="tesseract is not installed here")
ENGLISH = OcrSettings(enabled=True, languages=("eng",))
PAGE = [
    ("4.2 Relief valves", 72, 720, 20, "Helvetica-Bold"),
    ("The relief valve shall open at 18 bar and close again", 72, 680, 12, "Helvetica"),
    ("at 15 bar at any ambient temperature of the plant.", 72, 664, 12, "Helvetica"),
]


@pytest.fixture
def scan(tmp_path: Path, draw_pdf: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PDF of four pages: text, a picture of text, nothing, and a picture of text on a page that is turned."""
    monkeypatch.setattr("chunking.pdf_pictures._PIXELS_PER_POINT", 3.0)
    monkeypatch.setattr("chunking.pdf_pictures._LONGEST_SIDE", 3000)
    draw_pages(draw_pdf(tmp_path / "text.pdf", [PAGE]), [1], tmp_path)
    picture = ImageReader(str(tmp_path / "page-1.jpg"))
    canvas = Canvas(str(tmp_path / "drawn.pdf"), pagesize=(595, 842))
    canvas.setFont("Times-Roman", 11)
    canvas.drawString(72, 700, "This page has words of its own, and more of them.")
    canvas.showPage()
    canvas.drawImage(picture, 0, 0, 595, 842)
    canvas.showPage()
    canvas.showPage()
    canvas.saveState()
    canvas.translate(595, 0)  # the picture lies on its left side, so that /Rotate 90 puts it upright
    canvas.rotate(90)
    canvas.drawImage(picture, 0, 0, 842, 595)
    canvas.restoreState()
    canvas.showPage()
    canvas.save()
    writer = pypdf.PdfWriter(tmp_path / "drawn.pdf")
    writer.pages[3].rotate(90)
    writer.write(tmp_path / "scan.pdf")
    return tmp_path / "scan.pdf"


def text_of(document: Document, number: int) -> str:
    page = document.pages[number - 1]
    return document.text[page.start : page.end]


@needs_tesseract
def test_words_of_scanned_pages_are_found_again_where_they_stand(scan: Path) -> None:
    document = read(scan, "scan.pdf", ReadLimits(), ocr=ENGLISH)
    assert [(page.scanned, page.ocr) for page in document.pages] == [
        (False,) * 2,
        (True,) * 2,
        (False,) * 2,
        (True,) * 2,
    ]
    for number in (2, 4):
        words = " ".join(text_of(document, number).split())
        assert "4.2 Relief valves" in words
        assert "shall open at 18 bar and close again at 15 bar at any ambient temperature" in words
    assert text_of(document, 3) == ""
    assert "1 pages without text: 3" in document.warnings
    assert "2 scanned pages were recognised, with errors to be expected: 2, 4" in document.warnings
    heading = next(block for block in document.blocks if block.page == 2)
    (box,) = heading.boxes
    assert document.text[heading.start : heading.end] == "4.2 Relief valves"
    assert box.left == pytest.approx(72, abs=3)
    assert 715 <= box.bottom <= 722 and 733 <= box.top <= 745  # set at 720 in 20 points
    turned = next(block for block in document.blocks if block.page == 4)
    assert document.pages[3].rotation == 90
    assert turned.boxes[0].left == pytest.approx(72 * 842 / 595, abs=4)  # the page as displayed is 842 points wide
    assert turned.boxes[0].bottom == pytest.approx(720 * 595 / 842, abs=6)


def test_without_recognition_scanned_pages_are_told_from_blank_ones(scan: Path) -> None:
    document = read(scan, "scan.pdf", ReadLimits())
    assert [page.scanned for page in document.pages] == [False, True, False, True]
    assert not any(page.ocr for page in document.pages)
    assert "3 pages without text: 2-4" in document.warnings
    assert "2 scanned pages were not recognised (see [ocr]): 2, 4" in document.warnings


def test_where_tesseract_is_missing_the_reason_is_told(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_module, "PROGRAM", "tesseract-that-is-not-there")
    assert version() == "" and installed_languages() == set()
    document = read(scan, "scan.pdf", ReadLimits(), ocr=ENGLISH)
    assert [page.ocr for page in document.pages] == [False] * 4
    assert any("not installed, or not on the PATH" in warning for warning in document.warnings)


def test_a_blank_page_is_never_recognised(tmp_path: Path, draw_pdf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr_module, "_hocr", lambda *_: pytest.fail("tesseract was run"))
    monkeypatch.setattr(ocr_module, "PROGRAM", "sh")
    document = read(draw_pdf(tmp_path / "a.pdf", [PAGE, []]), "a.pdf", ReadLimits(), ocr=ENGLISH)
    assert [page.scanned for page in document.pages] == [False, False]
    with pytest.raises(UnreadableError, match="none of the 2 pages has text: they are blank"):
        read(draw_pdf(tmp_path / "b.pdf", [[], []]), "b.pdf", ReadLimits(), ocr=ENGLISH)


@needs_tesseract
def test_the_program_tells_its_version_and_languages() -> None:
    assert version().startswith("tesseract ")
    assert "eng" in installed_languages()


@needs_tesseract
def test_a_language_that_is_not_installed_is_told(scan: Path) -> None:
    words, problems = recognise(scan, [2], OcrSettings(True, ("tlh",)), 60)
    assert words == {}
    assert problems[0].startswith("page 2 is not recognised: tesseract ended with 1")


def test_what_fails_on_one_page_leaves_the_others(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise RecognitionError("took longer")

    monkeypatch.setattr(ocr_module, "_hocr", fail)
    monkeypatch.setattr(ocr_module, "PROGRAM", "sh")
    assert recognise(scan, [2, 4], ENGLISH, 60)[1] == [
        "page 2 is not recognised: took longer",
        "page 4 is not recognised: took longer",
    ]
    assert recognise(scan, [2, 4], ENGLISH, -1)[1] == [
        "scanned pages from 2 on are not recognised: it took over -1 seconds"
    ]


def test_languages_are_names_and_never_options() -> None:
    for wrong in ((), ("--psm",), ("eng+jpn",), ("../x",), ("",)):
        with pytest.raises(ValueError, match="languages must be tesseract's names"):
            OcrSettings(True, wrong)


@needs_tesseract
def test_the_guarded_process_recognises_within_its_limits(
    scan: Path, tmp_path: Path, tokenizer_files: list[Path]
) -> None:
    job = Job(scan, "scan.pdf", tmp_path / "out")
    outcome = next(
        read_and_chunk_all([job], ReadLimits(), ChunkSettings(), tokenizer_files[:1], workers=1, ocr=ENGLISH)
    )
    assert isinstance(outcome, Read)
    assert (outcome.totals["pages_ocr"], outcome.totals["pages_blank"], outcome.totals["pages_scanned"]) == (2, 1, 0)
    document, chunks = load(job.directory)
    assert any("18 bar" in chunk.text for chunk in chunks)
    assert document.pages[1].ocr
