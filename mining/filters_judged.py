"""Filters that compare a candidate with the judged passages themselves: the same place, or the same text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mining.candidates import Case
from mining.findings import Finding
from mining.ledger import DUPLICATE
from mining.shingles import Shingles, jaccard, shingles

if TYPE_CHECKING:
    from chunking.document import Chunk
    from mining.settings import MineSettings


def judged_passages(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Reject the chunks that hold a judged span. Always first: nothing can make them negatives."""
    positives = {chunk.id for chunk in case.positives}
    return {
        candidate.chunk.id: Finding(DUPLICATE, "judged passage of this query")
        for candidate in case.open()
        if candidate.chunk.id in positives
    }


def siblings(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Reject what overlaps a judged span, or lies in the same section as a judged passage.

    In a document without sections the neighbours of a judged passage are its siblings. Always second.
    """
    findings: dict[str, Finding] = {}
    for candidate in case.open():
        chunk = candidate.chunk
        if any(chunk.document == d and chunk.start < end and start < chunk.end for d, start, end in case.spans):
            findings[chunk.id] = Finding(DUPLICATE, "overlaps a judged passage of this query")
        elif any(are_siblings(chunk, positive) for positive in case.positives):
            where = "in the same section as" if chunk.section else "next to"
            findings[chunk.id] = Finding(DUPLICATE, f"{where} a judged passage of this query")
    return findings


def near_duplicates(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Reject what repeats a judged passage: exact Jaccard index of the sets of three-word shingles."""
    findings: dict[str, Finding] = {}
    judged = [shingles(positive.text) for positive in case.positives]
    for candidate in case.open():
        own = shingles(candidate.chunk.text)
        # Sets of very different sizes cannot have that much in common.
        alike = [other for other in judged if _size_ratio(own, other) >= settings.duplicate_jaccard]
        likeness = max((jaccard(own, other) for other in alike), default=0.0)
        if likeness >= settings.duplicate_jaccard:
            findings[candidate.chunk.id] = Finding(
                DUPLICATE, f"repeats a judged passage: Jaccard {likeness:.2f} of shingles"
            )
    return findings


def _size_ratio(one: Shingles, other: Shingles) -> float:
    """Return the smaller size as a share of the larger: no Jaccard index of sets of these sizes is greater."""
    return min(len(one), len(other)) / max(len(one), len(other))


def are_siblings(chunk: Chunk, positive: Chunk) -> bool:
    """Tell whether two passages lie in one section, or in a document without sections next to each other."""
    if chunk.document != positive.document or chunk.section != positive.section:
        return False
    return bool(chunk.section) or abs(chunk.ordinal - positive.ordinal) <= 1
