"""One document in any known format, read within limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from chunking.document import LONGEST_TITLE, Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.ocr import OFF, OcrSettings
from chunking.reading_settings import OWN, ReadingSettings

__all__ = ["READERS", "ReadLimits", "Reader", "read"]

Reader = Callable[[Path, str, ReadLimits, OcrSettings, ReadingSettings], Document]


def read(
    path: Path,
    document_id: str,
    limits: ReadLimits,
    root: Path | None = None,
    ocr: OcrSettings = OFF,
    reading: ReadingSettings = OWN,
) -> Document:
    """Read a document by its suffix; ``reading`` and ``ocr`` are by what PDFs are read and scanned pages recognised.

    Raises UnreadableError where the file is missing, special, too large, of no known format, damaged or without text,
    or does not truly lie in ``root``. It does not guard against hanging or exhausting memory: that is
    ``chunking.worker``'s part.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UnreadableError(f"no reader for {path.suffix or 'files without a suffix'}; known: {', '.join(READERS)}")
    try:
        # Opened once, so that nothing can be put in its place after the checks; a pipe must not keep us waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            opened = Path(f"/dev/fd/{descriptor}")
            _check(os.fstat(descriptor), limits)
            if root is not None and not opened.resolve().is_relative_to(root.resolve()):
                raise UnreadableError("the file leads out of the folder given")
            document = reader(opened, document_id, limits, ocr, reading)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UnreadableError(f"cannot be opened: {error.strerror or error}") from error
    return replace(document, title=" ".join(document.title.split())[:LONGEST_TITLE])


def _read_pdf(path: Path, document_id: str, limits: ReadLimits, ocr: OcrSettings, reading: ReadingSettings) -> Document:
    # Imported when first needed, as all readers are.
    if reading.pdf == "docling":
        from chunking.read_docling import read_docling

        return read_docling(path, document_id, limits, reading, ocr)
    from chunking.read_pdf import read_pdf

    return read_pdf(path, document_id, limits, ocr)


def _check(status: os.stat_result, limits: ReadLimits) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableError("not a regular file")
    if status.st_size > limits.megabytes * 1_000_000:
        size = f"{status.st_size / 1e6:.0f} MB"
        raise UnreadableError(f"the file has {size}, more than the limit of {limits.megabytes} MB")
    if not status.st_size:
        raise UnreadableError("the file is empty (0 bytes)")


def _lazily(module: str, function: str) -> Reader:
    """Return a reader of a format without choices, imported when first needed, so that a process starts fast."""

    def reader(
        path: Path, document_id: str, limits: ReadLimits, ocr: OcrSettings, reading: ReadingSettings
    ) -> Document:
        found: Callable[[Path, str, ReadLimits], Document] = getattr(import_module(f"chunking.{module}"), function)
        return found(path, document_id, limits)

    return reader


_TEXT = _lazily("read_text", "read_text")
_MARKDOWN = _lazily("read_markdown", "read_markdown")
_HTML = _lazily("read_html", "read_html")
_XLSX = _lazily("read_xlsx", "read_xlsx")

READERS: dict[str, Reader] = {
    ".pdf": _read_pdf,
    ".txt": _TEXT,
    ".text": _TEXT,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".docx": _lazily("read_docx", "read_docx"),
    ".xlsx": _XLSX,
    ".xlsm": _XLSX,
    ".reqif": _lazily("read_reqif", "read_reqif"),
    ".reqifz": _lazily("read_reqif", "read_reqifz"),
}
