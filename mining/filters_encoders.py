"""Filters that need the retrievers alone: ranks, scores and vectors. They judge every language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mining.candidates import Candidate, Case
from mining.findings import Finding
from mining.ledger import BORDERLINE, TOO_EASY

if TYPE_CHECKING:
    from mining.settings import MineSettings


def encoder_agreement(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Call borderline what enough of the encoders rank above every judged passage: it may well be relevant."""
    findings: dict[str, Finding] = {}
    for candidate in case.open():
        finding = agreed(case, candidate, settings)
        if finding is not None:
            findings[candidate.chunk.id] = finding
    return findings


def agreed(case: Case, candidate: Candidate, settings: MineSettings) -> Finding | None:
    """Return the finding on a candidate that the share ``agreeing`` of the encoders prefers, else None.

    What chance proposed is left alone: where no encoder finds a judged passage, they prefer whatever they found.
    """
    above, encoders = len(set(case.encoders).intersection(candidate.preferred_by)), len(case.encoders)
    if candidate.drawn or not above or above < settings.agreeing * encoders:
        return None
    reason = f"{above} of {encoders} encoders rank it above the judged passage"
    return Finding(BORDERLINE, f"{reason}; {candidate.without_cross}" if candidate.without_cross else reason)


def nearer_than_judged(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Keep what is nearer to the query than the judged passage is, and nearer to the query than to the judged passage.

    The two inequalities of arXiv 2505.18366, dist(Q, D) < dist(Q, P) and dist(Q, D) < dist(P, D), on unit vectors,
    where the nearer has the greater cosine. What fails the first is easier than the paper wants; what fails the second
    may be another passage that answers. Few pass both.
    """
    findings: dict[str, Finding] = {}
    for candidate in case.open():
        if candidate.drawn or candidate.to_query is None or candidate.to_judged is None or case.query_to_judged is None:
            continue
        to_query = candidate.to_query
        if to_query <= case.query_to_judged:
            reason = f"cosine {to_query:.3f} with the query, the judged passage has {case.query_to_judged:.3f}"
            findings[candidate.chunk.id] = Finding(TOO_EASY, reason)
        elif to_query <= candidate.to_judged:
            reason = f"cosine {candidate.to_judged:.3f} with a judged passage, {to_query:.3f} with the query"
            findings[candidate.chunk.id] = Finding(BORDERLINE, reason)
    return findings


def too_easy(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Reject what the ensemble scores below the share ``easy_share`` of its score for the best judged passage.

    Where no list holds a judged passage nothing is too easy.
    """
    judged = max((vote[1] for vote in case.positive_votes if vote is not None), default=0.0)
    findings: dict[str, Finding] = {}
    for candidate in case.open():
        score = candidate.ensemble or 0.0
        if not candidate.drawn and score < settings.easy_share * judged:
            findings[candidate.chunk.id] = Finding(
                TOO_EASY,
                f"the ensemble gives it {score / judged:.3g} of the judged passage's score, "
                f"below {settings.easy_share:g}",
            )
    return findings
