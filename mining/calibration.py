"""What a cross-encoder's logit is worth on this corpus: the probability that a passage so scored was judged to answer.

Platt's scaling (1999): sigmoid(slope * logit + intercept), fitted on judged against unjudged pairs, where judged and
unjudged count alike. .5 is a logit that is as frequent among the one as among the other, whatever the number of
candidates. It is fitted crosswise: no query takes part in the fit that its own pairs are read by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from mining.candidates import Case

FOLDS = 5
_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """The fit over all queries, and how reliable the probabilities were that the crosswise fits gave.

    ``reliability`` has a row for each tenth of the probability that occurs: the mean probability, the share that was
    judged (judged and unjudged counting alike), and the number of pairs; ``error`` is the mean distance of the two.
    """

    slope: float
    intercept: float
    pairs: int
    error: float
    reliability: tuple[tuple[float, float, int], ...]


def calibrate(cases: Sequence[Case], seed: int) -> Calibration | None:
    """Give every candidate with a logit its ``probability``; None, and no probabilities, with less than two folds.

    ``cases`` are those of one language. Candidates that something has rejected take no part in the fit.
    """
    folds = [fold_of(case.query, seed) for case in cases]
    pairs = [
        (logit, judged, fold)
        for case, fold in zip(cases, folds, strict=True)
        for logits, judged in ((case.positive_cross, 1), (_unjudged(case), 0))
        for logit in logits
    ]
    if not pairs:
        return None
    logit, judged, fold = (np.asarray(column) for column in zip(*pairs, strict=True))
    fits: dict[int, tuple[float, float]] = {}
    for left_out in range(FOLDS):
        rest = fold != left_out
        if 0 < judged[rest].sum() < rest.sum():
            fits[left_out] = fit(logit[rest], judged[rest])
    known = np.isin(fold, list(fits))
    if len(fits) < 2 or not 0 < judged[known].sum() < known.sum():
        return None
    for case, own in zip(cases, folds, strict=True):
        for candidate in case.candidates:
            if own in fits and candidate.cross is not None and not candidate.without_cross:
                slope, intercept = fits[own]
                candidate.probability = float(expit(slope * candidate.cross + intercept))
    lines = np.asarray([fits[one] for one in fold[known].tolist()])
    probability = expit(lines[:, 0] * logit[known] + lines[:, 1])
    rows, error = reliability(probability, judged[known])
    slope, intercept = fit(logit, judged)
    return Calibration(slope, intercept, int(known.sum()), error, rows)


def fit(logit: np.ndarray, judged: np.ndarray) -> tuple[float, float]:
    """Return slope (0 or more) and intercept of the logistic line; ``logit`` (n,), ``judged`` (n,) of 0 and 1.

    Both classes weigh alike and must occur. Platt's targets, (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2), keep the slope
    finite where the classes do not overlap.
    """
    positives = int(judged.sum())
    negatives = len(judged) - positives
    target = np.where(judged == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weight = np.where(judged == 1, 0.5 / positives, 0.5 / negatives)
    centre, spread = float(logit.mean()), float(logit.std()) or 1.0
    x = (logit - centre) / spread

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        z = line[0] * x + line[1]
        error = weight * (expit(z) - target)
        return float(weight @ (np.logaddexp(0, z) - target * z)), np.asarray([error @ x, error.sum()])

    found = minimize(loss, np.asarray([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    slope = float(found.x[0]) / spread
    return slope, float(found.x[1]) - slope * centre


def reliability(probability: np.ndarray, judged: np.ndarray) -> tuple[tuple[tuple[float, float, int], ...], float]:
    """Return the rows of a reliability table over tenths, and the mean distance of probability and share.

    Judged and unjudged pairs weigh alike, in the shares and in the mean.
    """
    weight = np.where(judged == 1, 0.5 / judged.sum(), 0.5 / (len(judged) - judged.sum()))
    tenth = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    rows: list[tuple[float, float, int]] = []
    error = 0.0
    for one in np.unique(tenth):
        inside = tenth == one
        mass = weight[inside].sum()
        mean = float(weight[inside] @ probability[inside] / mass)
        share = float(weight[inside] @ judged[inside] / mass)
        rows.append((round(mean, 4), round(share, 4), int(inside.sum())))
        error += float(mass) * abs(mean - share)
    return tuple(rows), round(error, 4)


def _unjudged(case: Case) -> list[float]:
    return [candidate.cross for candidate in case.open() if candidate.cross is not None]


def fold_of(query: str, seed: int) -> int:
    """Return which of the FOLDS a query is of: where something is fitted crosswise, it is left out with these."""
    digest = hashlib.sha256(f"{seed}\0{query}".encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], "big") % FOLDS
