"""Judgements projected onto the chunks of an index: which chunk answers which query.

A *unit* is one judged place (a span, a section, pages, a document) of one query. Its id is made of the place alone, so
the same place has the same id in every query, split and chunking: ``document#start-end`` (quotes too, by their first
occurrence), ``document#section:…``, ``document#pages:a-b`` or ``document``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby

from chunking.document import Chunk
from evaluation.judgements import Judgement
from evaluation.locate import SquashedText, in_section

NOT_INDEXED = "document not indexed"
NO_CHUNK = "span covers no chunk"
NO_QUOTE = "quote not found"
NO_SECTION = "section not found"
NO_PAGE = "no chunk on these pages"


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A relevant judgement that no chunk of this index answers, and why."""

    judgement: Judgement
    reason: str


@dataclass(frozen=True, slots=True)
class Projection:
    """What is relevant, in terms of the chunks of one index.

    ``units``: query → unit id → grade (1 or more). ``hits``: query → chunk id → ids of the units it hits, sorted.
    Only units that some chunk hits are listed, and only queries with such a unit; ``excluded`` names the judged
    queries that have none (nothing relevant, or nothing that maps), ``unmapped`` the judgements that were lost.
    """

    units: dict[str, dict[str, int]]
    hits: dict[str, dict[str, tuple[str, ...]]]
    excluded: tuple[str, ...]
    unmapped: list[Unmapped]

    def positives(self, query: str) -> list[str]:
        """Return the ids of the chunks that answer ``query``, best grade first, then by id; empty if it has none."""
        grades = self.units.get(query, {})
        hits = self.hits.get(query, {})
        return sorted(hits, key=lambda chunk: (-max(grades[unit] for unit in hits[chunk]), chunk))


def project(
    judgements: Iterable[Judgement], chunks: Iterable[Chunk], text_of: Callable[[str], str | None]
) -> Projection:
    """Project judgements onto chunks. ``text_of(document id)`` returns a document's text; it is asked for quotes only.

    A chunk hits a span when both overlap in at least half of the shorter one: the chunk that holds a small span, and
    every chunk that lies mostly inside a long one. A quote counts at each of its occurrences. Judgements of grade 0
    make no unit. The same place judged twice for a query is one unit of the higher grade.

    ``chunks`` are gone through once, and a document's are only held until the next begins: they follow one another.
    """
    judgements = list(judgements)
    places = _locate(judgements, chunks, text_of)
    units: dict[str, dict[str, int]] = {}
    hits: dict[str, dict[str, set[str]]] = {}
    judged: dict[str, None] = {}
    unmapped = []
    for judgement in judgements:
        judged[judgement.query] = None
        if judgement.grade == 0:
            continue
        place = places.get(_place_of(judgement), NOT_INDEXED)
        if isinstance(place, str):
            unmapped.append(Unmapped(judgement, place))
            continue
        grades = units.setdefault(judgement.query, {})
        grades[place.unit] = max(judgement.grade, grades.get(place.unit, 0))
        for chunk in place.chunks:
            hits.setdefault(judgement.query, {}).setdefault(chunk, set()).add(place.unit)
    return Projection(
        units,
        {query: {chunk: tuple(sorted(ids)) for chunk, ids in found.items()} for query, found in hits.items()},
        tuple(query for query in judged if query not in units),
        unmapped,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A judged place found: its unit and the ids of the chunks that hit it (at least one)."""

    unit: str
    chunks: Sequence[str]


class _Document:
    """The chunks of one document, in the order of their spans."""

    def __init__(self, chunks: list[Chunk], text_of: Callable[[str], str | None]) -> None:
        self._chunks = sorted(chunks, key=lambda chunk: (chunk.start, chunk.end))
        self._starts = [chunk.start for chunk in self._chunks]
        # Chunks may overlap, so ends need not ascend; the highest end so far does.
        self._highest_ends = list(accumulate((chunk.end for chunk in self._chunks), max))
        self._text_of = text_of
        self._squashed: SquashedText | None = None

    def locate(self, judgement: Judgement) -> _Place | str:
        """Return the place of a judgement by its most exact locator, or the reason why it has none."""
        document = judgement.document
        if judgement.start is not None and judgement.end is not None:
            return self._spans(document, [(judgement.start, judgement.end)])
        if judgement.quote is not None:
            return self._quote(document, judgement.quote, judgement.section)
        if judgement.section is not None:
            found = self._section(judgement.section)
            return _place(f"{document}#section:{judgement.section}", found, NO_SECTION)
        if judgement.first_page is not None and judgement.last_page is not None:
            first, last = judgement.first_page, judgement.last_page
            on_pages = [chunk for chunk in self._chunks if chunk.first_page <= last and chunk.last_page >= first]
            return _place(f"{document}#pages:{first}-{last}", on_pages, NO_PAGE)
        return _place(document, self._chunks, NOT_INDEXED)

    def _spans(self, document: str, spans: list[tuple[int, int]]) -> _Place | str:
        found = {chunk.id: chunk for start, end in spans for chunk in self._covering(start, end)}
        first = spans[0]
        return _place(f"{document}#{first[0]}-{first[1]}", list(found.values()), NO_CHUNK)

    def _covering(self, start: int, end: int) -> list[Chunk]:
        first = bisect_right(self._highest_ends, start)
        last = bisect_left(self._starts, end)
        found = []
        for chunk in self._chunks[first:last]:
            overlap = min(end, chunk.end) - max(start, chunk.start)
            if overlap > 0 and 2 * overlap >= min(end - start, chunk.end - chunk.start):
                found.append(chunk)
        return found

    def _section(self, section: str) -> list[Chunk]:
        return [chunk for chunk in self._chunks if in_section(chunk.section, section)]

    def _quote(self, document: str, quote: str, section: str | None) -> _Place | str:
        if self._squashed is None:
            self._squashed = SquashedText(self._text_of(document) or "")
        spans = self._squashed.find_all(quote)
        # A section only tells occurrences apart: where the reader found no such heading, the quote alone decides.
        inside = self._section(section) if section is not None else []
        if inside:
            spans = [(a, b) for a, b in spans if any(chunk.start < b and a < chunk.end for chunk in inside)]
        return self._spans(document, spans) if spans else NO_QUOTE


def _place(unit: str, chunks: Sequence[Chunk], reason: str) -> _Place | str:
    return _Place(unit, [chunk.id for chunk in chunks]) if chunks else reason


def _place_of(judgement: Judgement) -> Judgement:
    """Return what a judgement has in common with every other of the same place: many queries are judged on one."""
    return replace(judgement, query="*", grade=1)


def _locate(
    judgements: Iterable[Judgement], chunks: Iterable[Chunk], text_of: Callable[[str], str | None]
) -> dict[Judgement, _Place | str]:
    """Return where the judged places of indexed documents are, or the reason why one has none."""
    wanted: dict[str, dict[Judgement, None]] = {}
    for judgement in judgements:
        if judgement.grade > 0:
            wanted.setdefault(judgement.document, {})[_place_of(judgement)] = None
    places: dict[Judgement, _Place | str] = {}
    for name, of_document in groupby(chunks, key=lambda chunk: chunk.document):
        if name in wanted:
            document = _Document(list(of_document), text_of)
            places.update((judgement, document.locate(judgement)) for judgement in wanted[name])
    return places
