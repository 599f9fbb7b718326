"""What a search answers: the passages found, with every source's rank and score, and the query they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chunking.document import SECTION_SEPARATOR, Chunk


@dataclass(frozen=True)
class SearchResult:
    """A passage found: ``sources`` maps each source that returned it to its rank (from 1) and score.

    ``chunk`` is as a reader sees it. Where small passages stand for their clause, it has the clause's text, span and
    pages; ``passage`` is the span of what was found, within it.
    """

    chunk: Chunk
    score: float
    sources: dict[str, tuple[int, float]]
    passage: tuple[int, int]

    @property
    def passage_text(self) -> str:
        """The text of what was found."""
        start, end = self.passage
        return self.chunk.text[start - self.chunk.start : end - self.chunk.start]

    def as_json(self) -> dict[str, Any]:
        """Return the result with the keys other programs rely on."""
        chunk = self.chunk
        return {
            "document": chunk.document,
            "title": chunk.title,
            "section": SECTION_SEPARATOR.join(chunk.section),
            "pages": [chunk.first_page, chunk.last_page],
            "span": [chunk.start, chunk.end],
            "score": round(self.score, 6),
            "text": chunk.text,
            "lead": chunk.lead,
            "passage": list(self.passage),
            "sources": {name: {"rank": rank, "score": round(s, 6)} for name, (rank, s) in self.sources.items()},
        }


@dataclass(frozen=True)
class SearchResponse:
    """The answer to one query, best first."""

    query: str
    release: str
    milliseconds: float
    results: tuple[SearchResult, ...]

    def by_document(self) -> dict[str, list[SearchResult]]:
        """Return the results grouped by document, documents in the order of their best result."""
        groups: dict[str, list[SearchResult]] = {}
        for result in self.results:
            groups.setdefault(result.chunk.document, []).append(result)
        return groups

    def as_json(self) -> dict[str, Any]:
        """Return the answer with the keys other programs rely on."""
        return {
            "query": self.query,
            "release": self.release,
            "milliseconds": round(self.milliseconds, 1),
            "results": [result.as_json() for result in self.results],
            "documents": list(self.by_document()),
        }
