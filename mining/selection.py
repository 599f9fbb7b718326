"""What is kept of what passes: the hardest, not too many from one document, and an exact share drawn at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mining.candidates import Candidate, Case
from mining.filters import relative_probability
from mining.ledger import KEPT, RANDOM, UNSELECTED

if TYPE_CHECKING:
    from mining.settings import MineSettings


def select_hard(case: Case, settings: MineSettings) -> None:
    """Keep the open candidates that the ensemble scores highest, within the bounds per query and per document.

    What a person confirmed is kept already and counts towards both bounds.
    """
    confirmed = [candidate.chunk.document for candidate in case.candidates if candidate.verdict == KEPT]
    of_document = Counter(confirmed)
    kept = len(confirmed)
    for candidate in sorted((c for c in case.open() if not c.drawn), key=_hardest_first):
        document = candidate.chunk.document
        if kept >= settings.per_query:
            candidate.verdict = UNSELECTED
            candidate.reason = f"{settings.per_query} harder negatives are kept for this query"
        elif of_document[document] >= settings.per_document:
            candidate.verdict = UNSELECTED
            candidate.reason = f"{settings.per_document} harder negatives of this document are kept"
        else:
            candidate.verdict, candidate.reason = KEPT, _why_kept(case, candidate)
            of_document[document] += 1
            kept += 1


def select_random(cases: Sequence[Case], settings: MineSettings) -> int:
    """Take random negatives so that they are ``random_share`` of all negatives, to the nearest whole row.

    Counted along the queries, so that each gets random negatives in proportion to its hard ones, and what one query
    cannot supply the next ones do. Returns how many are missing in the end.
    """
    hard = taken = 0
    for case in cases:
        hard += sum(candidate.verdict == KEPT for candidate in case.candidates)
        wanted = random_wanted(hard, settings.random_share)
        for candidate in sorted((c for c in case.open() if c.drawn), key=lambda c: c.found["random"][0]):
            if taken < wanted:
                candidate.verdict, candidate.reason = RANDOM, "drawn at random"
                taken += 1
            else:
                candidate.verdict, candidate.reason = UNSELECTED, "drawn at random; the share is full"
    return random_wanted(hard, settings.random_share) - taken


def random_wanted(hard: int, share: float) -> int:
    """Return r such that r / (hard + r) is ``share``, rounded to a whole number."""
    return round(hard * share / (1 - share))


def _hardest_first(candidate: Candidate) -> tuple[float, str]:
    return -(candidate.ensemble or 0.0), candidate.chunk.id


def _why_kept(case: Case, candidate: Candidate) -> str:
    if candidate.without_cross:
        return f"passed; {candidate.without_cross}"
    if candidate.cross is not None:
        ratio = relative_probability(candidate.cross, max(case.positive_cross))
        return f"passed: cross-encoder gives it {ratio:.3g} of the judged passage's probability"
    return "passed"
