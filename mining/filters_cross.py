"""Filters that believe the cross-encoder, where it may be believed.

Where it could not be asked, or is not believed (``Candidate.without_cross`` says why), the encoders' agreement decides
instead, and the row says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from mining.candidates import Case
from mining.filters_encoders import agreed
from mining.findings import Finding
from mining.ledger import BORDERLINE, FALSE_NEGATIVE, TOO_EASY, UNSELECTED

if TYPE_CHECKING:
    from mining.settings import MineSettings


def cross_encoder(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Compare the cross-encoder's probability with that of the best judged passage (NV-Retriever, TopK-PercPos).

    Only the ratio counts: on terse specification text good pairs sit near a logit of -8.6 and bad ones near -11.
    """
    best = max(case.positive_cross, default=math.nan)
    return _by_logit(case, settings, lambda logit: _compare(relative_probability(logit, best), settings))


def cross_bounds(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Compare the cross-encoder's logit with fixed bounds, whatever it says of the judged passage.

    For a cross-encoder that was trained on texts like these: bounds found on one model or collection mean nothing on
    another.
    """
    return _by_logit(case, settings, lambda logit: _bound(logit, settings))


def calibrated(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Compare the probability that a passage with this logit answers, calibrated on this corpus, with fixed bounds.

    Where there were too few queries to calibrate by, the encoders' agreement decides.
    """
    findings = _by_logit(case, settings, lambda _: None)
    for candidate in case.open():
        if candidate.drawn or candidate.cross is None or candidate.without_cross:
            continue
        if candidate.probability is None:
            finding = agreed(case, candidate, settings)
        else:
            finding = _bound_probability(candidate.probability, settings)
        if finding is not None:
            findings[candidate.chunk.id] = finding
    return findings


def evidence(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Reject what most speaks for: cross-encoder, likeness to a judged passage and words together (mining.evidence).

    The bounds are percentiles of all candidates weighed in this language. Where the cross-encoder does not count the
    other two decide.
    """
    return _weighed(case, settings, "more speaks for it than for", "the candidates", settings.evidence_range)


def learned(case: Case, settings: MineSettings) -> dict[str, Finding]:
    """Reject what looks like the answers that were planted among the candidates of other queries (mining.learned).

    Where there was too little to learn from, what ``evidence`` rejects.
    """
    if not case.learned_from:
        return evidence(case, settings)
    whom = f"the unjudged passages, as learned from {case.learned_from} judged ones"
    return _weighed(case, settings, "likelier to answer than", whom, settings.learned_range)


def _weighed(case: Case, settings: MineSettings, said: str, of: str, bounds: tuple[float, float]) -> dict[str, Finding]:
    doubtful, relevant = bounds
    findings: dict[str, Finding] = {}
    for candidate in case.open():
        if candidate.drawn:
            continue
        if candidate.evidence is None:
            reason = f"only the {settings.cross_budget} that the ensemble ranks highest are weighed"
            findings[candidate.chunk.id] = Finding(UNSELECTED, reason)
        elif candidate.evidence > doubtful:
            verdict = FALSE_NEGATIVE if candidate.evidence > relevant else BORDERLINE
            reason = f"{said} {100 * candidate.evidence:.0f} % of {of}"
            if candidate.without_cross:
                reason = f"{reason}; {candidate.without_cross}"
            findings[candidate.chunk.id] = Finding(verdict, reason)
    return findings


def relative_probability(logit: float, positive_logit: float) -> float:
    """Return sigmoid(logit) / sigmoid(positive_logit), exact also where both underflow."""
    return math.exp(min(_log_sigmoid(logit) - _log_sigmoid(positive_logit), 700.0))


def _by_logit(case: Case, settings: MineSettings, judge: Callable[[float], Finding | None]) -> dict[str, Finding]:
    findings: dict[str, Finding] = {}
    for candidate in case.open():
        if candidate.drawn:
            continue
        finding = None
        if candidate.over_budget:
            reason = f"the cross-encoder reads only the {settings.cross_budget} that the ensemble ranks highest"
            finding = Finding(UNSELECTED, reason)
        elif candidate.without_cross:
            finding = agreed(case, candidate, settings)
        elif candidate.cross is not None:
            finding = judge(candidate.cross)
        if finding is not None:
            findings[candidate.chunk.id] = finding
    return findings


def _bounded(value: float, said: str, easy: float, doubtful: float, relevant: float) -> Finding | None:
    """Return what the bounds make of a value, the higher the likelier to answer; None in between."""
    if value > relevant:
        return Finding(FALSE_NEGATIVE, f"{said}, above {relevant:g}")
    if value > doubtful:
        return Finding(BORDERLINE, f"{said}, between {doubtful:g} and {relevant:g}")
    if value < easy:
        return Finding(TOO_EASY, f"{said}, below {easy:g}")
    return None


def _compare(ratio: float, settings: MineSettings) -> Finding | None:
    said = f"cross-encoder gives it {ratio:.3g} of the judged passage's probability"
    return _bounded(ratio, said, settings.floor, settings.borderline, settings.rho)


def _bound(logit: float, settings: MineSettings) -> Finding | None:
    low, high = settings.cross_range
    return _bounded(logit, f"cross-encoder gives it a logit of {logit:.2f}", low, high, high)


def _bound_probability(probability: float, settings: MineSettings) -> Finding | None:
    said = f"calibrated on this corpus, the cross-encoder gives it a probability of {probability:.2f}"
    return _bounded(probability, said, 0.0, *settings.calibrated_range)


def _log_sigmoid(x: float) -> float:
    return min(x, 0.0) - math.log1p(math.exp(-abs(x)))
