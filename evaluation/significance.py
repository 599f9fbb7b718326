"""Paired tests over queries that come in groups.

Queries of one source document are not independent, so the group is what is flipped and resampled. Both functions take
two aligned vectors of shape (n,), one value per query, and judge the mean of ``b - a``. All randomness is seeded.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

EXACT_GROUPS = 12  # up to 2^12 = 4096 sign patterns are enumerated
_BLOCK = 4_000_000  # random numbers drawn at once

Floats = npt.NDArray[np.float64]


def paired_randomisation(
    a: Sequence[float] | Floats,
    b: Sequence[float] | Floats,
    groups: Sequence[str] | None = None,
    rounds: int = 10_000,
    seed: int = 0,
) -> float:
    """Return the two-sided p-value of the mean difference under random exchange of a and b per group (Fisher 1935).

    Under the null hypothesis the two systems may be exchanged within a group, which flips the sign of the group's
    summed differences. Up to ``EXACT_GROUPS`` groups with a difference, all sign patterns are enumerated; above, p is
    (1 + patterns at least as extreme) / (1 + rounds), never 0 (Phipson & Smyth 2010). Without ``groups`` each query is
    its own. Raises ``ValueError`` for vectors that do not match or are not finite.
    """
    sums, _ = _group_sums(a, b, groups)
    # Flipping a zero changes nothing: without those groups the distribution is the same and more often enumerable.
    sums = sums[sums != 0.0]
    observed = abs(float(sums.sum()))
    if len(sums) == 0:
        return 1.0
    # The same sum added in another order must count as equal.
    extreme = observed - 1e-9 * float(np.abs(sums).sum())
    if len(sums) <= EXACT_GROUPS:
        patterns = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs((1.0 - 2.0 * patterns) @ sums) >= extreme))
    random = np.random.default_rng(seed)
    count = 0
    for size in _blocks(rounds, len(sums)):
        signs = 1.0 - 2.0 * random.integers(0, 2, (size, len(sums)), dtype=np.int8)
        count += int(np.count_nonzero(np.abs(signs @ sums) >= extreme))
    return (1 + count) / (1 + rounds)


def bootstrap_interval(
    a: Sequence[float] | Floats,
    b: Sequence[float] | Floats,
    groups: Sequence[str] | None = None,
    level: float = 0.95,
    rounds: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean difference (Efron & Tibshirani 1993).

    Groups are resampled whole. The mean is over queries, so a resample's mean is its summed differences over its number
    of queries. With few groups (under about 20) percentile intervals are too narrow; the randomisation test is not.
    Raises ``ValueError`` for fewer than two groups, a level outside (0, 1), and vectors that do not match or are not
    finite.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    sums, sizes = _group_sums(a, b, groups)
    if len(sums) < 2:
        raise ValueError("an interval needs at least two groups of queries")
    random = np.random.default_rng(seed)
    means = []
    for size in _blocks(rounds, len(sums)):
        drawn = random.integers(0, len(sums), (size, len(sums)))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for testing several hypotheses at once (Holm 1979), in the order given."""
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if not 0.0 <= p_values[index] <= 1.0:
            raise ValueError(f"{p_values[index]} is not a p-value")
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _group_sums(
    a: Sequence[float] | Floats, b: Sequence[float] | Floats, groups: Sequence[str] | None
) -> tuple[Floats, Floats]:
    """Return per group (in the order of their names) the summed differences b - a and the number of queries."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.ndim != 1 or first.shape != second.shape or len(first) == 0:
        raise ValueError(f"two vectors of one length are compared, not shapes {first.shape} and {second.shape}")
    differences = second - first
    if not np.isfinite(differences).all():
        raise ValueError("the compared values must be finite")
    if groups is None:
        return differences, np.ones(len(differences))
    if len(groups) != len(differences):
        raise ValueError(f"{len(groups)} groups are given for {len(differences)} queries")
    names, index = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    return (
        np.bincount(index, weights=differences, minlength=len(names)).astype(np.float64),
        np.bincount(index, minlength=len(names)).astype(np.float64),
    )


def _blocks(rounds: int, groups: int) -> list[int]:
    """Return how many rounds to draw at a time, so that memory is bounded."""
    block = max(1, _BLOCK // groups)
    return [min(block, rounds - done) for done in range(0, rounds, block)]
