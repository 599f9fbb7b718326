"""What is known of the documents of an installation: those that are served, and those that could not be read."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from datetime import UTC, datetime
from typing import Any

from chunking.accounting import account
from chunking.document import SECTION_SEPARATOR, Chunk, Document
from chunking.sections import sections
from chunking.stored import load
from indexing.generations import IndexedDocument, document_folder, read_documents
from indexing.home import MANIFEST, Home, SpecmineError
from indexing.quarantine import Quarantined, read_quarantine
from indexing.releases import served

INDEXED, QUARANTINED = "indexed", "quarantined"


def list_documents(home: Home) -> dict[str, Any]:
    """Return the served documents and those in quarantine, by name.

    A served document whose file was changed into one that cannot be read is in both lists: what was read before is
    served. Raises SpecmineError when nothing is indexed.
    """
    release = served(home)
    indexed = read_documents(home, release.generation, release.content)
    quarantine = read_quarantine(home)
    return {
        "release": release.id,
        "documents": [_indexed(home, name, indexed[name], quarantine.get(name)) for name in sorted(indexed)],
        "quarantine": [_quarantined(quarantine[name]) for name in sorted(quarantine)],
    }


def show_document(home: Home, document_id: str) -> dict[str, Any]:
    """Return everything that is known of one document: its pages' account, its sections, its warnings.

    Raises SpecmineError when no document of this name was ever met.
    """
    release = served(home)
    indexed = read_documents(home, release.generation, release.content)
    quarantine = read_quarantine(home)
    entry = indexed.get(document_id)
    if entry is None:
        if document_id in quarantine:
            return _quarantined(quarantine[document_id])
        close = difflib.get_close_matches(document_id, [*indexed, *quarantine], n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else "`specmine documents` lists them"
        raise SpecmineError(f"there is no document {document_id!r}: {hint}")
    document, chunks = load(document_folder(home, entry.key))
    books = account(document, chunks).as_json()
    return {
        **_indexed(home, document_id, entry, quarantine.get(document_id)),
        "content_hash": entry.content_hash,
        "formerly": entry.formerly,
        "metadata": document.metadata,
        "totals": books["totals"],
        "page_accounts": books["pages"],
        "sections": _sections(document, chunks),
    }


def _indexed(home: Home, name: str, entry: IndexedDocument, refused: Quarantined | None) -> dict[str, Any]:
    shown = {
        "document": name,
        "state": INDEXED,
        "title": entry.title,
        "pages": entry.pages,
        "pages_without_text": entry.pages_without_text,
        "chunks": entry.chunks,
        "chunks_shortened": entry.totals.get("chunks_shortened", 0),
        "when": _when(home, entry),
        "source": entry.source,
        "warnings": entry.warnings,
    }
    return {**shown, "refused": _quarantined(refused)} if refused else shown


def _quarantined(entry: Quarantined) -> dict[str, Any]:
    return {
        "document": entry.document,
        "state": QUARANTINED,
        "reason": entry.reason,
        "page": entry.page,
        "when": entry.when,
        "source": entry.source,
    }


def _when(home: Home, entry: IndexedDocument) -> str:
    """Return when a document was read and cut as it is served, in UTC."""
    try:
        seconds = (document_folder(home, entry.key) / MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _sections(document: Document, chunks: list[Chunk]) -> list[dict[str, Any]]:
    """Return the sections in reading order, with the passages that begin in each."""
    starts = sorted(chunk.start for chunk in chunks)
    found = []
    for section in sections(document):
        blocks = (*section.headings, *section.body)
        first, last = min(block.start for block in blocks), max(block.end for block in blocks)
        found.append(
            {
                "section": SECTION_SEPARATOR.join(section.path),
                "page": blocks[0].page,
                "span": [first, last],
                "chunks": bisect_left(starts, last) - bisect_left(starts, first),
            }
        )
    return found
