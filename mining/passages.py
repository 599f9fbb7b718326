"""The passages a ledger speaks of, as they were when it was mined: without a model, a store or a served release."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from chunking.document import SECTION_SEPARATOR, Chunk
from indexing.generations import document_folder, read_documents
from indexing.home import Home, SpecmineError
from indexing.passages import Passages
from mining.ledger import Ledger, LedgerError


def ledger_passages(home: Home, ledger: Ledger, documents: Collection[str] | None = None) -> Passages:
    """Return the chunks of the content that a ledger was mined on by id, or those of ``documents`` alone.

    Raises LedgerError in one line when that content is no longer there.
    """
    generation, content = ledger.manifest.get("generation"), ledger.manifest.get("content")
    try:
        entries = read_documents(home, str(generation), int(str(content)))
        wanted = entries if documents is None else [name for name in sorted(documents) if name in entries]
        return Passages({name: document_folder(home, entries[name].key) for name in wanted})
    except (OSError, ValueError, SpecmineError):
        raise LedgerError(
            f"ledger {ledger.id} was mined on content {content} of generation {generation}, which is no longer in "
            f"{home.root}: mine again"
        ) from None


def passage_json(chunk: Chunk) -> dict[str, Any]:
    """Return where a passage stands and what it says, with the keys other programs rely on."""
    return {
        "chunk": chunk.id,
        "document": chunk.document,
        "title": chunk.title,
        "section": SECTION_SEPARATOR.join(chunk.section),
        "pages": [chunk.first_page, chunk.last_page],
        "span": [chunk.start, chunk.end],
        "lead": chunk.lead,
        "text": chunk.text,
    }
