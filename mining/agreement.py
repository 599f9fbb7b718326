"""Does the cross-encoder agree with the judgements of this corpus? Measured before it is believed.

A cross-encoder trained on web questions can be worse than the retrievers on engineers' sentences about clauses, and is
blind in a language it never saw; then its filter would throw away the best negatives and keep the false ones.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mining.candidates import Case


@dataclass(frozen=True)
class Agreement:
    """How a cross-encoder ranks judged passages against unjudged candidates of the same query.

    ``auc`` is the mean over ``queries`` of the area under the ROC curve, .5 by chance, None when no query could be
    judged; ``pairs`` is how many (judged, unjudged) pairs were compared. ``distrust`` says in a few words why the
    cross-encoder is not used, and is empty when it is.
    """

    auc: float | None
    queries: int
    pairs: int
    distrust: str


def choose_sample(cases: Sequence[Case], size: int, seed: int) -> list[Case]:
    """Return ``size`` of the cases, drawn with a seed and independent of their order."""
    ordered = sorted(cases, key=lambda case: case.query)
    return random.Random(seed).sample(ordered, min(size, len(ordered)))  # noqa: S311 - no secret


def measure_agreement(cases: Sequence[Case], minimum: float) -> Agreement:
    """Measure on cases that carry scores. Unjudged candidates are those that nothing has rejected so far.

    Each of a query's scored positives counts alike. Were the best of them taken, a cross-encoder that guesses would
    look good by the choice alone.
    """
    areas: list[float] = []
    pairs = 0
    for case in cases:
        unjudged = [candidate.cross for candidate in case.open() if candidate.cross is not None]
        if case.positive_cross and unjudged:
            areas.append(roc_area(case.positive_cross, unjudged))
            pairs += len(case.positive_cross) * len(unjudged)
    if not areas:
        return Agreement(None, 0, 0, "its agreement with the judgements could not be measured")
    auc = float(np.mean(areas))
    distrust = "" if auc >= minimum else f"its agreement with the judgements is {auc:.2f}, below {minimum:g}"
    return Agreement(auc, len(areas), pairs, distrust)


def roc_area(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the chance that a positive outscores a negative, ties counting half (Mann-Whitney U / pairs)."""
    ranks = rankdata([*positives, *negatives])[: len(positives)]
    wins = float(ranks.sum()) - len(positives) * (len(positives) + 1) / 2
    return wins / (len(positives) * len(negatives))
