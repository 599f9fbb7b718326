"""Candidates that are probably positives are proposed as such rather than dropped: arXiv 2505.16967 (RLHN)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mining.candidates import Case
from mining.ledger import BORDERLINE, FALSE_NEGATIVE, PROPOSED_POSITIVE, RELEVANT

if TYPE_CHECKING:
    from mining.settings import MineSettings


def propose_positives(case: Case, settings: MineSettings) -> int:
    """Relabel what was set aside as perhaps relevant, where two agree that it beats the judged passage.

    One is the cross-encoder, where it is believed; the other BM25 or any of the encoders, which are independent of each
    other as their vote is not. Returns how many were relabelled.
    """
    if not case.positive_cross:
        return 0
    proposed = 0
    for candidate in case.candidates:
        if candidate.verdict not in (FALSE_NEGATIVE, BORDERLINE) or candidate.reviewer is not None:
            continue
        if candidate.cross is None or candidate.without_cross or candidate.cross <= max(case.positive_cross):
            continue
        if not candidate.preferred_by:
            continue
        candidate.verdict = RELEVANT if settings.relabel == "accept" else PROPOSED_POSITIVE
        accepted = "; accepted, as [mine] relabel says" if settings.relabel == "accept" else ""
        candidate.reason += f"; {', '.join(candidate.preferred_by)} also put it above the judged passage{accepted}"
        proposed += 1
    return proposed
