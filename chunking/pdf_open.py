"""PDFs opened by pdfium with all their pages: it believes the page tree's /Count, and loses the pages after that.

Where the file holds more page objects, pypdf walks the page tree, and too small a /Count is put right in memory.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pypdfium2

from chunking.document import UnreadableError
from chunking.pdf_streams import count_page_objects

if TYPE_CHECKING:
    import pypdf


def open_pdf(path: Path) -> tuple[pypdfium2.PdfDocument, list[str]]:
    """Open a PDF with all its pages; return it, and warnings. The caller closes it.

    Raises PdfiumError where pdfium cannot open the file, UnreadableError where pages would be lost.
    """
    data = path.read_bytes()  # of a path pdfium would open what that leads to by now
    _forget_last_error()
    document = pypdfium2.PdfDocument(data)
    told, objects = len(document), count_page_objects(data)
    if objects is not None and objects <= told:
        return document, []
    try:
        reader = _reader(data)
        held = len(reader.pages)
    except MemoryError:
        raise
    except Exception as error:  # pypdf raises what comes: KeyError, RecursionError, its own
        if objects is None:  # nothing speaks for more pages than it says
            return document, []
        return document, [f"the page tree is damaged ({type(error).__name__}): pages after page {told} may be missing"]
    if held <= told:  # the other objects are pages as they were before, or that were deleted
        return document, []
    document.close()
    return _with_count(reader, told, held), [
        f"the page tree's /Count is {told}, but it holds {held} pages: all of them are read"
    ]


def _forget_last_error() -> None:
    """Have pdfium's error say "data format", for some files fail without setting it: it is that of the file before."""
    with contextlib.suppress(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(b"no PDF")


def _reader(data: bytes) -> pypdf.PdfReader:
    import pypdf  # here, because few documents need it and workers start the faster without

    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        reader.decrypt("")
    return reader


def _with_count(reader: pypdf.PdfReader, told: int, held: int) -> pypdfium2.PdfDocument:
    """Return the document written anew with the true number of pages. Raises UnreadableError where that fails."""
    import pypdf
    from pypdf.generic import DictionaryObject, NameObject, NumberObject

    refused = UnreadableError(f"the page tree's /Count is {told}, but it holds {held} pages: it cannot be put right")
    try:
        writer = pypdf.PdfWriter(clone_from=reader)
        tree = cast("DictionaryObject", writer.root_object["/Pages"])
        tree[NameObject("/Count")] = NumberObject(held)
        mended = io.BytesIO()
        writer.write(mended)
        document = pypdfium2.PdfDocument(mended.getvalue())
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise refused from error
    if len(document) != held:
        document.close()
        raise refused
    return document
