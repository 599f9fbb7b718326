"""Candidates that are probably positives are proposed as such rather than dropped: arXiv 2505.16967 (RLHN)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mining.candidates import Candidate, Case
from mining.ledger import BORDERLINE, FALSE_NEGATIVE, PROPOSED_POSITIVE, RELEVANT

if TYPE_CHECKING:
    from mining.settings import MineSettings


def propose_positives(case: Case, sources: Collection[str], settings: MineSettings) -> int:
    """Relabel what was set aside as perhaps relevant, where two agree that it beats the judged passage.

    One is the cross-encoder, where it is believed; the other any of ``sources``, which are to be independent of each
    other: BM25 and the encoders, not their vote. Returns how many were relabelled.
    """
    if not case.positive_cross:
        return 0
    proposed = 0
    for candidate in case.candidates:
        if candidate.verdict not in (FALSE_NEGATIVE, BORDERLINE) or candidate.reviewer is not None:
            continue
        if candidate.cross is None or candidate.without_cross or candidate.cross <= max(case.positive_cross):
            continue
        agreeing = [name for name in sorted(sources) if _ranks_above_the_judged(name, candidate, case, settings)]
        if not agreeing:
            continue
        candidate.verdict = RELEVANT if settings.relabel == "accept" else PROPOSED_POSITIVE
        accepted = "; accepted, as [mine] relabel says" if settings.relabel == "accept" else ""
        candidate.reason += f"; {', '.join(agreeing)} also put it above the judged passage{accepted}"
        proposed += 1
    return proposed


def _ranks_above_the_judged(source: str, candidate: Candidate, case: Case, settings: MineSettings) -> bool:
    """Whether a source is known to give the candidate a better rank than every judged passage."""
    if source not in candidate.found:
        return False
    positives = {chunk.id for chunk in case.positives}
    judged = [other for other in case.candidates if other.chunk.id in positives]
    ranks = [other.found[source][0] for other in judged if source in other.found]
    if len(judged) < len(positives):
        ranks.append(settings.depth + 1)  # no candidate: this source has it behind its best ``depth`` at least
    return all(candidate.found[source][0] < rank for rank in ranks)
