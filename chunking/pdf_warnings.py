"""What a user should know of the pages of a PDF, whichever reader read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from chunking.document import Page
from chunking.ocr import OcrSettings

_MOST_RANGES = 20


def page_warnings(pages: Sequence[Page], contents: Iterable[int]) -> list[str]:
    """Return warnings on pages without text, recognised ones, and those of a table of contents."""
    warnings = []
    if empty := [page.number for page in pages if page.start == page.end]:
        warnings.append(f"{len(empty)} pages without text: {ranges(empty)}")
    if scanned := [page.number for page in pages if page.scanned and not page.ocr]:
        warnings.append(f"{len(scanned)} scanned pages were not recognised (see [ocr]): {ranges(scanned)}")
    if recognised := [page.number for page in pages if page.ocr]:
        warnings.append(
            f"{len(recognised)} scanned pages were recognised, with errors to be expected: {ranges(recognised)}"
        )
    if left_out := sorted(set(contents)):
        warnings.append(f"table of contents left out of the chunks: pages {ranges(left_out)}")
    return warnings


def why_without_text(problems: Sequence[str], scanned: Collection[int], ocr: OcrSettings) -> str:
    """Tell why no page of a PDF has text: ``problems`` met while reading, ``scanned`` pages, or nothing to see."""
    if problems:
        return problems[0]
    if not scanned:
        return "they are blank"
    return "nothing was recognised in them" if ocr.enabled else "scanned pages need character recognition: see [ocr]"


def ranges(numbers: Sequence[int]) -> str:
    """Write page numbers shortly: 1, 4-7."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    shown = [f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts]
    return ", ".join(shown[:_MOST_RANGES]) + (" ..." if len(shown) > _MOST_RANGES else "")
