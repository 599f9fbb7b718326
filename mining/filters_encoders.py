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
    above, encoders = len(candidate.preferred_by), len(case.encoders)
    if candidate.drawn or not above or above < settings.agreeing * encoders:
        return None
    reason = f"{above} of {encoders} encoders rank it above the judged passage"
    return Finding(BORDERLINE, f"{reason}; {candidate.without_cross}" if candidate.without_cross else reason)


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
