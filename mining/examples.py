"""A few mined negatives beside what they are mistaken for: what the newcomer is shown."""

from __future__ import annotations

from typing import Any

from chunking.document import SECTION_SEPARATOR, Chunk
from mining.candidates import Retriever
from mining.ledger import KEPT, Ledger


def examples(ledger: Ledger, searcher: Retriever, n: int) -> list[dict[str, Any]]:
    """Return the ``n`` most instructive kept negatives, each of another query: those the ensemble scores highest.

    Each is {"query", "positive", "negative"}; the passages hold document, title, section, pages and text, the negative
    also score, sources (name to rank and score) and reason. Rows whose chunks this index no longer has are passed over.
    """
    chunks = searcher.chunks
    queries = {query.id: query for query in ledger.queries}
    shown: set[str] = set()
    found: list[dict[str, Any]] = []
    kept = (row for row in ledger.rows if row.verdict == KEPT)
    for row in sorted(kept, key=lambda row: (-(row.ensemble_score or 0.0), row.query, row.chunk)):
        query = queries.get(row.query)
        positive = next((chunks[chunk] for chunk in query.positives if chunk in chunks), None) if query else None
        if len(found) >= n or row.query in shown or query is None or positive is None or row.chunk not in chunks:
            continue
        shown.add(row.query)
        negative = {
            **_passage(chunks[row.chunk]),
            "score": row.ensemble_score,
            "sources": {source.name: {"rank": source.rank, "score": source.score} for source in row.sources},
            "reason": row.reason,
        }
        found.append({"query": query.text, "positive": _passage(positive), "negative": negative})
    return found


def _passage(chunk: Chunk) -> dict[str, Any]:
    return {
        "document": chunk.document,
        "title": chunk.title,
        "section": SECTION_SEPARATOR.join(chunk.section),
        "pages": [chunk.first_page, chunk.last_page],
        "text": chunk.text,
    }
