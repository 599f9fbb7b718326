"""Why a candidate is not used: filters that give a verdict and a reason, and remove nothing silently.

A filter looks at the candidates of one query that nobody has decided about, and returns a verdict and a reason for
each one it rejects. What it does not name, it lets pass.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from mining.candidates import Candidate, Case
from mining.ledger import BORDERLINE, DUPLICATE, FALSE_NEGATIVE, TOO_EASY, UNSELECTED

if TYPE_CHECKING:
    from chunking.document import Chunk
    from mining.settings import MineSettings

_SHINGLE = 3
# A word of other scripts, or one character of Japanese script, which has no spaces.
_WORD = re.compile(r"[぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆]|[^\W぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆]+")


class Finding(NamedTuple):
    """A filter's verdict on one candidate, and why."""

    verdict: str
    reason: str


Filter = Callable[[Case, "MineSettings"], dict[str, Finding]]


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
        elif any(_are_siblings(chunk, positive) for positive in case.positives):
            where = "in the same section as" if chunk.section else "next to"
            findings[chunk.id] = Finding(DUPLICATE, f"{where} a judged passage of this query")
    return findings


def _are_siblings(chunk: Chunk, positive: Chunk) -> bool:
    if chunk.document != positive.document or chunk.section != positive.section:
        return False
    return bool(chunk.section) or abs(chunk.ordinal - positive.ordinal) <= 1


def _near_duplicates(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Reject what repeats a judged passage: exact Jaccard index of the sets of three-word shingles."""
    findings: dict[str, Finding] = {}
    judged = [shingles(positive.text) for positive in case.positives]
    for candidate in case.open():
        own = shingles(candidate.chunk.text)
        likeness = max((jaccard(own, other) for other in judged), default=0.0)
        if likeness >= settings.duplicate_jaccard:
            findings[candidate.chunk.id] = Finding(
                DUPLICATE, f"repeats a judged passage: Jaccard {likeness:.2f} of shingles"
            )
    return findings


def _cross_encoder(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Compare the cross-encoder's probability with that of the best judged passage (NV-Retriever, TopK-PercPos).

    Only the ratio counts: on terse specification text good pairs sit near a logit of -8.6 and bad ones near -11. Where
    the cross-encoder could not be asked, or is not believed, the encoders' agreement decides instead.
    """
    findings: dict[str, Finding] = {}
    for candidate in case.open():
        if candidate.drawn:
            continue
        finding = None
        if candidate.over_budget:
            reason = f"the cross-encoder reads only the {settings.cross_budget} that the ensemble ranks highest"
            finding = Finding(UNSELECTED, reason)
        elif candidate.without_cross:
            finding = _agreed(candidate) if candidate.preferred else None
        elif candidate.cross is not None:
            finding = _compare(relative_probability(candidate.cross, max(case.positive_cross)), settings)
        if finding is not None:
            findings[candidate.chunk.id] = finding
    return findings


def _compare(ratio: float, settings: MineSettings) -> Finding | None:
    said = f"cross-encoder gives it {ratio:.3g} of the judged passage's probability"
    if ratio > settings.rho:
        return Finding(FALSE_NEGATIVE, f"{said}, above {settings.rho:g}")
    if ratio > settings.borderline:
        return Finding(BORDERLINE, f"{said}, between {settings.borderline:g} and {settings.rho:g}")
    if ratio < settings.floor:
        return Finding(TOO_EASY, f"{said}, below {settings.floor:g}")
    return None


def _encoder_agreement(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Call borderline what every encoder ranks above every judged passage: it may well be relevant."""
    return {
        candidate.chunk.id: _agreed(candidate)
        for candidate in case.open()
        if candidate.preferred and not candidate.drawn
    }


def _agreed(candidate: Candidate) -> Finding:
    reason = "every encoder ranks it above the judged passage"
    return Finding(BORDERLINE, f"{reason}; {candidate.without_cross}" if candidate.without_cross else reason)


def relative_probability(logit: float, positive_logit: float) -> float:
    """Return sigmoid(logit) / sigmoid(positive_logit), exact also where both underflow."""
    return math.exp(min(_log_sigmoid(logit) - _log_sigmoid(positive_logit), 700.0))


def _log_sigmoid(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))


@lru_cache(maxsize=8192)
def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the set of three-word sequences of a text, folded by NFKC and case; a shorter text is one shingle."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if len(words) <= _SHINGLE:
        return frozenset([tuple(words)])
    return frozenset(zip(*(words[i:] for i in range(_SHINGLE)), strict=False))


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Return |a ∩ b| / |a ∪ b| of two non-empty sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


ALWAYS: dict[str, Filter] = {"judged_passages": judged_passages, "siblings": siblings}
FILTERS: dict[str, Filter] = {
    "near_duplicates": _near_duplicates,
    "cross_encoder": _cross_encoder,
    "encoder_agreement": _encoder_agreement,
}
