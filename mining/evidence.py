"""What speaks for a candidate being an answer nobody judged: three signals together, none of which is believed alone.

The cross-encoder's logit, where it may be believed; how near the candidate lies to a judged passage (what answers a
query is like what else answers it); and its words, by BM25. Each counts as its percentile among the candidates of the
same language, so that nothing has to be fitted, and no scale of a model has to be known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from indexing.stores.store import BM25
from mining.candidates import Candidate, Case

if TYPE_CHECKING:
    from mining.settings import MineSettings


def weigh(cases: Sequence[Case], settings: MineSettings) -> None:
    """Give the ``cross_budget`` open candidates of each query that the ensemble ranks highest their ``evidence``.

    That is the percentile, among those of the query's language, of the mean of the signals' percentiles.
    """
    for language in sorted({case.language for case in cases}):
        weighed = [
            candidate for case in cases if case.language == language for candidate in hardest(case.open(), settings)
        ]
        if not weighed:
            continue
        signals = np.asarray([_signals(candidate) for candidate in weighed])
        known = ~np.isnan(signals)
        shares = np.zeros_like(signals)
        for column in range(signals.shape[1]):
            rows = known[:, column]
            shares[rows, column] = _percentiles(signals[rows, column])
        for candidate, evidence in zip(weighed, _percentiles(shares.sum(1) / known.sum(1)).tolist(), strict=True):
            candidate.evidence = evidence


def hardest(candidates: Iterable[Candidate], settings: MineSettings) -> list[Candidate]:
    """Return the ``cross_budget`` candidates that the ensemble ranks highest, without what chance alone proposed."""
    hard = [candidate for candidate in candidates if not candidate.drawn and not candidate.over_budget]
    return sorted(hard, key=lambda c: (-(c.ensemble or 0.0), c.chunk.id))[: settings.cross_budget]


def _signals(candidate: Candidate) -> tuple[float, float, float]:
    """Return logit, likeness and BM25 score; not a number where there is none, but 0 for what BM25 did not return."""
    logit = candidate.cross if candidate.cross is not None and not candidate.without_cross else np.nan
    likeness = candidate.to_judged if candidate.to_judged is not None else np.nan
    return logit, likeness, candidate.found[BM25][1] if BM25 in candidate.found else 0.0


def _percentiles(values: np.ndarray) -> np.ndarray:
    """Return the share of values that each exceeds, half of those equal to it (and itself) included; (n,) to (n,)."""
    return (np.asarray(rankdata(values)) - 0.5) / max(len(values), 1)
