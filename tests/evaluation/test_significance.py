import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from evaluation.significance import bootstrap_interval, holm, paired_randomisation


def test_exact_p_values_by_hand() -> None:
    # Differences 1, 2, 3: of the 8 sign patterns only +++ and --- reach a sum of 6.
    assert paired_randomisation([0, 0, 0], [1, 2, 3]) == 2 / 8
    # Differences 1, 1, -1 sum to 1; |sum| is 1 or 3 in every pattern.
    assert paired_randomisation([0, 0, 1], [1, 1, 0]) == 1.0
    # Five equal gains and one equal loss: sums ±4 (6 patterns each) and ±6 (1 each) of 64.
    assert paired_randomisation([0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 0]) == 14 / 64
    assert paired_randomisation([0.5, 0.5], [0.5, 0.5]) == 1.0


def test_groups_are_flipped_whole() -> None:
    # Six gains in two groups are two observations: ++, --, +-, -+ with sums 6, -6, 0, 0.
    assert paired_randomisation([0] * 6, [1] * 6, list("aaabbb")) == 2 / 4
    assert paired_randomisation([0] * 6, [1] * 6) == 2 / 64


def test_equal_sums_in_another_order_of_addition_count_as_equal() -> None:
    assert paired_randomisation([0, 0, 0], [0.1, 0.2, 0.3]) == 2 / 8
    # Differences -.3, .1 + .2 and .4: of ±.3 ±.3 ±.4, six of eight reach .4, two of them only but for rounding.
    assert paired_randomisation([0.3, 0, 0], [0, 0.1 + 0.2, 0.4]) == 6 / 8


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_exact_p_is_the_enumerated_share_and_symmetric(differences: list[int]) -> None:
    zeros = [0] * len(differences)
    patterns = list(product((-1, 1), repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in patterns]
    expected = sum(value >= abs(sum(differences)) for value in sums) / len(patterns)
    assert paired_randomisation(zeros, differences) == pytest.approx(expected)
    assert paired_randomisation(differences, zeros) == pytest.approx(expected)


@pytest.mark.parametrize("count", [11, 60])
def test_agrees_with_scipy(count: int) -> None:
    random = np.random.default_rng(5)
    a = random.random(count)
    b = a + random.normal(0.05, 0.15, count)

    def mean_difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(y - x, axis=axis)

    theirs = permutation_test(
        (a, b), mean_difference, permutation_type="samples", vectorized=True, n_resamples=9999, rng=random
    ).pvalue
    ours = paired_randomisation(a, b)
    # Exact for 11; for 60 both are drawn, with a standard error of √(p(1-p)/10000) each.
    tolerance = 1e-12 if count == 11 else 5 * math.sqrt(2 * theirs * (1 - theirs) / 9999)
    assert ours == pytest.approx(theirs, abs=tolerance)


def null_p_values(groups: int, size: int, clustered: bool) -> list[float]:
    """p-values of systems that do not differ, where queries of a group share half of their noise."""
    random = np.random.default_rng(11)
    names = np.repeat(np.arange(groups), size).astype(str)
    p_values = []
    for _ in range(400):
        noise = random.normal(0, 1, groups * size) + np.repeat(random.normal(0, 1, groups), size)
        zeros = np.zeros(groups * size)
        p_values.append(paired_randomisation(zeros, noise, list(names) if clustered else None, rounds=500))
    return p_values


def test_false_positives_come_at_the_level_when_groups_are_known() -> None:
    false_positives = sum(p <= 0.05 for p in null_p_values(30, 5, clustered=True))
    assert binomtest(false_positives, 400, 0.05).pvalue > 0.001


def test_ignoring_groups_would_be_wrong() -> None:
    """The variance of a sum of 5 that share half their noise is (5 + 25)/10 = 3 times that of independent ones."""
    assert sum(p <= 0.05 for p in null_p_values(30, 5, clustered=False)) > 0.15 * 400


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    names = [str(i // 4) for i in range(240)]
    covered = 0
    for _ in range(300):
        b = 0.1 + random.normal(0, 1, 240) + np.repeat(random.normal(0, 1, 60), 4)
        low, high = bootstrap_interval(np.zeros(240), b, names, rounds=600)
        covered += low <= 0.1 <= high
    assert 0.90 <= covered / 300 <= 0.985


def test_interval_of_a_constant_gain_is_that_gain_and_widens_with_the_level() -> None:
    assert bootstrap_interval([0, 0, 0], [0.25, 0.25, 0.25]) == (0.25, 0.25)
    a, b = np.zeros(40), np.random.default_rng(1).random(40)
    narrow, wide = bootstrap_interval(a, b, level=0.8), bootstrap_interval(a, b, level=0.99)
    assert wide[0] < narrow[0] < b.mean() < narrow[1] < wide[1]


def test_interval_weighs_queries_not_groups() -> None:
    # One group of 9 without gain, 9 groups of 1 with gain 1: the mean is .5, not .9.
    low, high = bootstrap_interval([0] * 18, [0] * 9 + [1] * 9, ["a"] * 9 + list("bcdefghij"))
    assert low < 0.5 < high


def test_results_do_not_depend_on_order_and_are_repeatable() -> None:
    random = np.random.default_rng(2)
    a, b = random.random(90), random.random(90)
    names = [str(i % 30) for i in range(90)]
    order = random.permutation(90)
    shuffled = [names[i] for i in order]
    assert paired_randomisation(a, b, names) == paired_randomisation(a[order], b[order], shuffled)
    assert bootstrap_interval(a, b, names) == pytest.approx(bootstrap_interval(a[order], b[order], shuffled))


def test_holm_by_hand() -> None:
    # Sorted: .01·3 = .03, .02·2 = .04, .03·1 = .03 but never below the one before.
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
    with pytest.raises(ValueError, match="not a p-value"):
        holm([1.5])


@pytest.mark.parametrize(
    ("a", "b", "groups", "message"),
    [
        ([1, 2], [1], None, "of one length"),
        ([], [], None, "of one length"),
        ([1.0], [math.nan], None, "finite"),
        ([1, 2], [2, 3], ["a"], "1 groups are given for 2"),
    ],
)
def test_refuses_what_cannot_be_compared(
    a: list[float], b: list[float], groups: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired_randomisation(a, b, groups)
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(a, b, groups)


def test_refuses_an_interval_from_one_group_or_of_no_level() -> None:
    with pytest.raises(ValueError, match="two groups"):
        bootstrap_interval([0, 0], [1, 1], ["a", "a"])
    with pytest.raises(ValueError, match="level"):
        bootstrap_interval([0, 0], [1, 1], level=1.0)
