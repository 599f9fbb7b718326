"""Pages of a PDF as pictures: for people who look at what was read, and to tell scanned pages from blank ones."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from chunking.pdf_open import open_pdf

SIZES = "sizes.json"
_PIXELS_PER_POINT = 1.5
_LONGEST_SIDE = 1600  # pixels of a drawn page
_THUMBNAIL = 400
_INK = 24  # of 255: a page whose grey values lie closer together shows nothing
_LARGE_IMAGE = 0.25  # of the page: a smaller one beside running lines is a logo


def draw_pages(path: Path, numbers: Collection[int], directory: Path) -> None:
    """Write the pages ``numbers`` as ``page-<number>.jpg``, and the sizes of all pages in points as ``SIZES``.

    The size of a damaged page is null. Pages that do not exist or cannot be drawn are left out; a file that pdfium
    cannot open leaves nothing.
    """
    try:
        document, _ = open_pdf(path)
    except pypdfium2.PdfiumError:
        return
    with document:
        sizes = [_size(document, number) for number in range(1, len(document) + 1)]
        (directory / SIZES).write_text(json.dumps(sizes), encoding="utf-8")
        for number in sorted(numbers):
            if not 1 <= number <= len(document):
                continue
            try:
                with _page(document, number) as page:
                    picture = rendered(page, _PIXELS_PER_POINT, _LONGEST_SIDE).to_pil()
            except pypdfium2.PdfiumError:
                continue
            picture.convert("RGB").save(directory / f"page-{number}.jpg", quality=72)


def _size(document: pypdfium2.PdfDocument, number: int) -> tuple[float, float] | None:
    try:
        width, height = document.get_page_size(number - 1)
    except pypdfium2.PdfiumError:
        return None
    return width, height


def showing_pages(path: Path, numbers: Sequence[int], with_running_lines: Collection[int]) -> set[int]:
    """Return which of the pages ``numbers``, which have no text of their own, show something all the same.

    For those of ``with_running_lines``, that is an image of a quarter of the page or more; for the others anything
    that can be seen.
    """
    if not numbers:
        return set()
    try:
        document, _ = open_pdf(path)
    except pypdfium2.PdfiumError:
        return set()
    found = set()
    with document:
        for number in numbers:
            try:
                with _page(document, number) as page:
                    if _has_large_image(page) if number in with_running_lines else _shows_ink(page):
                        found.add(number)
            except pypdfium2.PdfiumError:  # damaged: that is told when its words are read
                continue
    return found


def rendered(page: pypdfium2.PdfPage, scale: float, longest: int, grey: bool = False) -> Any:
    """Return the page as pdfium draws it, ``scale`` pixels to a point but no side longer than ``longest`` pixels."""
    side = max(*page.get_size(), 1.0)
    return page.render(scale=min(scale, longest / side), grayscale=grey)


@contextmanager
def _page(document: pypdfium2.PdfDocument, number: int) -> Iterator[pypdfium2.PdfPage]:
    page = document[number - 1]
    try:
        yield page
    finally:
        page.close()


def _shows_ink(page: pypdfium2.PdfPage) -> bool:
    pixels = rendered(page, 1.0, _THUMBNAIL, grey=True).to_numpy()
    return bool(int(pixels.max()) - int(pixels.min()) > _INK)


def _has_large_image(page: pypdfium2.PdfPage) -> bool:
    width, height = page.get_size()
    for image in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = image.get_bounds()
        if (right - left) * (top - bottom) >= _LARGE_IMAGE * width * height:
            return True
    return False
