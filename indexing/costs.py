"""What a stage's time depends on: the units that it is measured in, and what is counted in them.

A rate is seconds for a unit; where more than one thing takes time, a unit is made of them, in the proportion that was
measured. So one measurement tells what the same stage takes of another size, with other encoders or other passages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

READING = "reading"
"""The stage that other processes do."""
CUTTING = "cutting"
LOADING = "loading"
EMBEDDING = "embedding"
VECTORS = "vectors"
WRITING = "writing"
CHECKING = "checking"
JUDGING = "judging"

UNITS = {
    READING: "bytes of text",
    CUTTING: "bytes of text",
    LOADING: "times",
    EMBEDDING: "tokens",
    VECTORS: "passages read",
    WRITING: "characters",
    CHECKING: "values compared",
    JUDGING: "queries by encoder",
}
"""By stage, what its units are. A measurement in others, as older versions made, is not comparable."""

COMPARABLE = frozenset({CUTTING, JUDGING})
"""Stages whose rate by another splitter, or by other encoders, tells something where none of the same was measured."""

# Measured on 9,172 passages of RFCs, 6.0 million characters, one to six vectors of 384 values, in the embedded store:
# .21 µs for a character (most of it its words for BM25), 80 µs for a passage beside that, .04 µs for a value.
_PASSAGE_IN_CHARACTERS = 400
_VALUE_IN_CHARACTERS = 0.2
# To open a release and load an encoder took as long as to search some 60 queries with it.
_OPENING_IN_QUERIES = 60


def writing_units(passages: float, characters: float, values: float) -> float:
    """Return the units of writing passages whose texts have so many characters, with vectors of ``values`` in all."""
    return characters + _PASSAGE_IN_CHARACTERS * passages + _VALUE_IN_CHARACTERS * passages * values


def checking_units(passages: float, dimensions: Iterable[int]) -> float:
    """Return the units of comparing a sample with all passages, by encoders of these dimensions."""
    return passages * sum(dimensions)


def judging_units(queries: int, encoders: int) -> float:
    """Return the units of answering judged queries with one release; 0 where there are none."""
    return (queries + _OPENING_IN_QUERIES) * encoders if queries else 0.0


def judged_by(fingerprints: Collection[str], reranker: object) -> str:
    """Return what names the encoders and the re-ranker that answer judged queries."""
    return " ".join([*sorted(one[:12] for one in fingerprints), *([f"re-ranked {reranker}"] if reranker else [])])
