"""Does the cross-encoder agree with the judgements of this corpus? Measured in every language before it is believed.

A cross-encoder trained on web questions can be worse than the retrievers on engineers' sentences about clauses, and is
blind in a language it never saw; then its filter would throw away the best negatives and keep the false ones.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mining.calibration import Calibration
from mining.candidates import Case
from mining.ledger import FALSE_NEGATIVE, KEPT, RELEVANT, TOO_EASY


@dataclass(frozen=True)
class Reviewed:
    """How the cross-encoder ranks what people found relevant above what they found to be none.

    ``auc`` is over all pairs of the two, by how far each logit lies from that of the query's best judged passage.
    """

    relevant: int
    irrelevant: int
    auc: float


@dataclass(frozen=True)
class Agreement:
    """How a cross-encoder ranks judged passages against unjudged candidates, in one language.

    ``auc`` is the mean over ``queries`` of the area under the ROC curve, .5 by chance, None when no query could be
    judged; ``pairs`` is how many (judged, unjudged) pairs were compared. ``at_equal_rank`` is that area where the
    ensemble's rank explains nothing (see ``area_at_equal_rank``). ``distrust`` says in a few words why the
    cross-encoder is not used, and is empty when it is. ``calibration`` and ``reviewed`` (None where nobody decided
    about both kinds) are measured on all queries of the language, once it is believed.
    """

    auc: float | None
    queries: int
    pairs: int
    distrust: str
    at_equal_rank: float | None = None
    calibration: Calibration | None = None
    reviewed: Reviewed | None = None


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
    return Agreement(auc, len(areas), pairs, distrust, area_at_equal_rank(cases))


def area_at_equal_rank(cases: Sequence[Case]) -> float | None:
    """Return the chance that a judged passage outscores an unjudged candidate of the same rank of the ensemble.

    In one query no two passages share a rank, so the pairs are of different queries; each logit counts by its distance
    from the mean logit of its query's unjudged candidates, for some queries are scored high altogether. Ranks are the
    same from one power of two to the next: 1, 2 to 3, 4 to 7 … (the area adjusted for a covariate: Janes & Pepe,
    Biometrika 2009). Every judged passage weighs alike; None when none can be compared.
    """
    judged: dict[int, list[tuple[str, float]]] = defaultdict(list)
    unjudged: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for case in cases:
        scored = [(c.rank, c.cross) for c in case.open() if c.cross is not None]
        if not scored:
            continue
        level = float(np.mean([logit for _, logit in scored]))
        for of, ranked in (
            (unjudged, scored),
            (judged, list(zip(case.positive_cross_ranks, case.positive_cross, strict=True))),
        ):
            for rank, logit in ranked:
                if rank is not None:
                    of[rank.bit_length()].append((case.query, logit - level))
    areas: list[float] = []
    for band, passages in judged.items():
        for query, logit in passages:
            others = [other for asked, other in unjudged[band] if asked != query]
            if others:
                areas.append(roc_area([logit], others))
    return float(np.mean(areas)) if areas else None


def measure_reviewed(cases: Sequence[Case]) -> Reviewed | None:
    """Compare the logits of what people found relevant and of what they found to be none; None without both."""
    relevant: list[float] = []
    irrelevant: list[float] = []
    for case in cases:
        for candidate in case.candidates:
            if candidate.reviewer is None or candidate.cross is None or not case.positive_cross:
                continue
            distance = candidate.cross - max(case.positive_cross)
            if candidate.verdict in (RELEVANT, FALSE_NEGATIVE):
                relevant.append(distance)
            elif candidate.verdict in (KEPT, TOO_EASY):
                irrelevant.append(distance)
    if not relevant or not irrelevant:
        return None
    return Reviewed(len(relevant), len(irrelevant), roc_area(relevant, irrelevant))


def roc_area(positives: Sequence[float], negatives: Sequence[float]) -> float:
    """Return the chance that a positive outscores a negative, ties counting half (Mann-Whitney U / pairs)."""
    ranks = rankdata([*positives, *negatives])[: len(positives)]
    wins = float(ranks.sum()) - len(positives) * (len(positives) + 1) / 2
    return wins / (len(positives) * len(negatives))
