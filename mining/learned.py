"""How likely a candidate is an answer that nobody judged, learned from the judgements themselves.

Of a query with several judged places one is taken for the only one. What else is judged, and was found among the
hardest, is then an answer that nobody judged: it is planted. The unjudged ones beside it are mostly none. A logistic
regression tells the two apart by their signals, and what it makes of a candidate is told as a percentile of what it
makes of those unjudged ones that would be kept: above .7, three negatives in ten are lost, whatever the corpus. It is
fitted crosswise: no query takes part in the fit that its own candidates are read by.

Where a language has too few such queries ``mining.evidence`` weighs instead, for which nothing has to be fitted.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from chunking.document import Chunk
from mining.calibration import FOLDS, fold_of
from mining.candidates import Candidate, Case
from mining.evidence import hardest, weigh
from mining.filters_judged import are_siblings
from mining.signals import Signals

if TYPE_CHECKING:
    from mining.settings import MineSettings

_GIVEN = 3  # judged places of a query that are taken for the only one, each by itself
_FEWEST = 20  # planted answers that each fit needs: two for each signal
_RIDGE = 1.0  # on the weights of signals of unit variance; hundreds of examples hardly feel it


@dataclass(frozen=True)
class Line:
    """A fitted logistic regression. ``centre`` and ``spread`` (s,) standardise the signals, ``weights`` are (s,)."""

    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray

    def likely(self, signals: np.ndarray) -> np.ndarray:
        """Return (n,): the higher the likelier to be planted; a signal (n, s) that is not a number counts as average.

        The constant is left out: only the order counts.
        """
        standard = (signals - self.centre) / self.spread
        return np.asarray(np.where(np.isnan(standard), 0.0, standard) @ self.weights)


def learn(cases: Sequence[Case], settings: MineSettings) -> None:
    """Give the ``cross_budget`` hardest open candidates of each query their ``evidence``, learned where it can be.

    ``Case.learned_from`` then says from how many planted answers; where it is 0 the evidence is that of ``weigh``.
    """
    weigh(cases, settings)
    signals = Signals(cases)
    for language in sorted({case.language for case in cases}):
        _learn_language([case for case in cases if case.language == language], signals, settings)


def plant(case: Case, settings: MineSettings) -> Iterator[tuple[list[int], list[Candidate], list[bool]]]:
    """Yield for each place given: its passages, the hardest beside them, and which of these are planted.

    Passages are given by their places in ``case.positives``. Nothing is yielded without both planted and unjudged ones.
    """
    judged = {chunk.id for chunk in case.positives}
    found = [candidate for candidate in case.candidates if candidate.chunk.id in judged]
    for given in _places(case, settings):
        passages = [case.positives[place] for place in given]
        free = [one for one in found if not any(_adjoin(one.chunk, passage) for passage in passages)]
        beside = hardest([*free, *case.open()], settings)
        planted = [candidate.chunk.id in judged for candidate in beside]
        if any(planted) and not all(planted):
            yield given, beside, planted


def _places(case: Case, settings: MineSettings) -> list[list[int]]:
    """Return a few judged places of a query, drawn by lot, each as the positives that adjoin the one drawn."""
    lot = random.Random(f"{settings.seed}\0{case.query}")  # noqa: S311 - no secret
    drawn = lot.sample(case.positives, min(_GIVEN, len(case.positives)))
    return [[place for place, chunk in enumerate(case.positives) if _adjoin(chunk, first)] for first in drawn]


def _adjoin(one: Chunk, other: Chunk) -> bool:
    return one.id == other.id or are_siblings(one, other)


def _learn_language(cases: Sequence[Case], signals: Signals, settings: MineSettings) -> None:
    learned = [(case, *part) for case in cases for part in plant(case, settings)]
    if not learned:
        return
    seen = np.concatenate([signals.of(case, beside, given) for case, given, beside, _ in learned])
    planted = np.concatenate([labels for *_, labels in learned])
    fold = np.concatenate([[fold_of(case.query, settings.seed)] * len(labels) for case, *_, labels in learned])
    if min(planted[fold != left_out].sum() for left_out in range(FOLDS)) < _FEWEST:
        return
    fits = [fit(seen[fold != left_out], planted[fold != left_out]) for left_out in range(FOLDS)]
    # The negatives that would be kept were nothing rejected: they are harder than all that are weighed.
    first = np.concatenate([np.arange(len(labels)) < settings.per_query for *_, labels in learned])
    hard = first & ~planted
    unjudged = np.sort(np.concatenate([line.likely(seen[hard & (fold == own)]) for own, line in enumerate(fits)]))
    for case in cases:
        case.learned_from = int(planted.sum())
        candidates = [candidate for candidate in case.open() if candidate.evidence is not None]
        if candidates:
            line = fits[fold_of(case.query, settings.seed)]
            places = _places(case, settings)
            # The mean over the places given, each of them alone as it was learned: all at once would look likelier.
            likely = np.stack([line.likely(signals.of(case, candidates, given)) for given in places]).mean(axis=0)
            below = np.searchsorted(unjudged, likely, "left") + np.searchsorted(unjudged, likely, "right")
            for candidate, count in zip(candidates, below, strict=True):
                candidate.evidence = float(count) / (2 * len(unjudged))


def fit(signals: np.ndarray, planted: np.ndarray) -> Line:
    """Return the regression of ``planted`` (n,) of bool on ``signals`` (n, s), which may be not a number in places."""
    known = ~np.isnan(signals)
    count = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, signals, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, signals - centre, 0.0) ** 2).sum(axis=0) / count)
    spread = np.where(spread > 0, spread, 1.0)
    x = np.where(known, (signals - centre) / spread, 0.0)

    def loss(line: np.ndarray) -> tuple[float, np.ndarray]:
        z = x @ line[:-1] + line[-1]
        error = expit(z) - planted
        value = float((np.logaddexp(0, z) - planted * z).sum() + _RIDGE / 2 * line[:-1] @ line[:-1])
        return value, np.append(error @ x + _RIDGE * line[:-1], error.sum())

    found = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B")
    return Line(centre, spread, np.asarray(found.x[:-1]))
