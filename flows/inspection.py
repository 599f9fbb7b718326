"""What the reader makes of one file, without an index or a home."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chunking.accounting import DocumentAccount, account
from chunking.document import UnreadableError
from chunking.inspect_blocks import seen_blocks
from chunking.inspect_html import MOST_PICTURES, draw_html
from chunking.stored import load
from chunking.tokens import write_estimate
from chunking.worker import Job, Unread, read_and_chunk_all
from flows.settings import Settings
from indexing.home import Home, SpecmineError
from indexing.models.fetching import tokenizer_in
from indexing.models.status import status


def inspect_file(
    settings: Settings, file: Path, page: int | None, html: Path | None
) -> tuple[dict[str, Any], DocumentAccount]:
    """Read one file as an ingest would, in a guarded process; return what came of it, and the account behind it.

    ``page``, from 1, adds that page's blocks; ``html`` is where the blocks are drawn. Raises UnreadableError for a file
    that cannot be read, SpecmineError for a page that it does not have or a place that cannot be written.
    """
    index = settings.index()
    tokenizers, notes = _fetched_tokenizers(settings), []
    if html and html.resolve() == file.resolve():
        raise SpecmineError(f"{html} is the document itself: give --html another name")
    wanted = (tuple(range(1, MOST_PICTURES + 1)) if page is None else (page,)) if html else ()
    chunking = replace(index.chunking, max_tokens=index.tokens_per_chunk)
    with TemporaryDirectory(prefix="specmine-inspect-") as folder:
        if not tokenizers:
            notes.append(
                "passages and tokens are estimated: `specmine models fetch` fetches the encoders, whose tokens count"
            )
            tokenizers = [Path(folder) / "estimate.json"]
            write_estimate(tokenizers[0])
        job = Job(file.absolute(), file.name, Path(folder), pictures=wanted)
        outcome = next(
            read_and_chunk_all(
                [job], index.limits, chunking, tokenizers, workers=1, ocr=index.ocr, reading=index.reading
            )
        )
        if isinstance(outcome, Unread):
            where = f" (page {outcome.page})" if outcome.page else ""
            raise UnreadableError(f"{file}: {outcome.reason}{where}")
        document, chunks = load(job.directory)
        if page is not None and not 1 <= page <= len(document.pages):
            raise SpecmineError(f"{file} has the pages 1 to {len(document.pages)}, there is no page {page}")
        books = account(document, chunks)
        result: dict[str, Any] = {"title": document.title, "warnings": [*notes, *document.warnings], **books.as_json()}
        if page is not None:
            seen = seen_blocks(document, chunks)[page]
            result["pages"] = [entry for entry in result["pages"] if entry["page"] == page]
            result["blocks"] = [block.as_json() for block in seen]
            result["dropped"] = list(document.pages[page - 1].dropped)
        if html:
            _write_text(html, draw_html(document, chunks, books, () if page is None else (page,), job.directory, notes))
            result["html"] = str(html)
    return result, books


def _fetched_tokenizers(settings: Settings) -> list[Path]:
    """Return the tokenizers of the configured encoders, or none unless all are there; makes no home."""
    with TemporaryDirectory() as nowhere:
        home = settings.open_home() if settings.home.expanduser().exists() else Home(Path(nowhere))
        states = status(settings.index().encoders, home)
    found = [tokenizer_in(state.path) for state in states if state.path and not state.problem]
    return found if len(found) == len(states) else []


def _write_text(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecmineError(f"{file} cannot be written: {error.strerror}") from None
