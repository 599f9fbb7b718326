"""How much of what was judged stands in what was found: characters of judged spans, whatever the chunks."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from chunking.document import Chunk
from evaluation.measures import Run

DEPTH = 10

_SPAN_UNIT = re.compile(r"(?P<document>.*)#(?P<start>\d+)-(?P<end>\d+)", re.S)


def span_coverage(
    run: Run, units: Mapping[str, Collection[str]], chunks: Mapping[str, Chunk], depth: int = DEPTH
) -> dict[str, float]:
    """Return, for each query, the share of its judged spans' characters that its first ``depth`` chunks hold.

    ``units`` are those of a projection: query → unit ids. Units that name no span (a section, pages, a document) have
    no characters to count, and a query that has only such is left out. A character counts once, whoever holds it.
    """
    covered = {}
    for query, of_query in units.items():
        scores = run.get(query, {})
        found: dict[str, list[tuple[int, int]]] = {}
        for chunk_id in sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:depth]:
            chunk = chunks[chunk_id]
            found.setdefault(chunk.document, []).append((chunk.start, chunk.end))
        spans = [match for unit in of_query if (match := _SPAN_UNIT.fullmatch(unit))]
        wanted: dict[str, list[tuple[int, int]]] = {}
        for match in spans:
            wanted.setdefault(match["document"], []).append((int(match["start"]), int(match["end"])))
        total = sum(_length(places) for places in wanted.values())
        if total:
            held = sum(_overlap(places, found.get(document, ())) for document, places in wanted.items())
            covered[query] = held / total
    return covered


def _overlap(wanted: Iterable[tuple[int, int]], found: Iterable[tuple[int, int]]) -> int:
    pairs = [(max(a, c), min(b, d)) for a, b in wanted for c, d in found]
    return _length((start, end) for start, end in pairs if start < end)


def _length(spans: Iterable[tuple[int, int]]) -> int:
    """Count the characters in a union of spans."""
    total = last = 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, last))
        last = max(last, end)
    return total
