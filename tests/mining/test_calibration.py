"""The calibration of logits: the fit, the reliability table, and that no query calibrates itself."""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from mining.calibration import calibrate, fit, reliability
from mining.candidates import Candidate, Case


def case(world: SimpleNamespace, name: str, judged: list[float], unjudged: list[float]) -> Case:
    candidates = [
        Candidate(world.chunk(f"{name}{i}", "d", i, "x"), {}, 0.5, 1 + i, drawn=False, preferred_by=(), cross=logit)
        for i, logit in enumerate(unjudged)
    ]
    return Case(name, "text", "en", (), (), (), (), candidates, judged)


def test_two_logits_have_a_line_in_closed_form() -> None:
    # At logit 1 a share of 30 of 40 is judged of the judged, 10 of 40 of the unjudged; at -1 the rest.
    logit = np.array([1.0] * 30 + [-1.0] * 10 + [1.0] * 10 + [-1.0] * 30)
    judged = np.array([1] * 40 + [0] * 40)
    # Platt's targets are 41/42 and 1/42: at 1 the mean target is (.75 · 41 + .25 · 1) / 42.
    share = (0.75 * 41 + 0.25) / 42
    slope, intercept = fit(logit, judged)
    assert expit(slope + intercept) == pytest.approx(share, abs=1e-4)
    assert expit(-slope + intercept) == pytest.approx(1 - share, abs=1e-4)


def test_both_classes_weigh_alike() -> None:
    rng = np.random.default_rng(3)
    judged, unjudged = rng.normal(1, 1, 3000), rng.normal(-1, 1, 3000)
    slope, intercept = fit(np.concatenate([judged, unjudged]), np.repeat([1, 0], 3000))
    # Two normal distributions of deviation 1 with means 1 and -1: the log odds at x are 2 x.
    assert (slope, intercept) == (pytest.approx(2, abs=0.15), pytest.approx(0, abs=0.1))
    many = np.concatenate([judged, np.repeat(unjudged, 4)])
    more = fit(many, np.repeat([1, 0], [3000, 12000]))
    assert more == (pytest.approx(slope, abs=0.01), pytest.approx(intercept, abs=0.01))


def test_a_cross_encoder_that_is_wrong_is_not_turned_round() -> None:
    slope, intercept = fit(np.array([-1.0, -2.0, 1.0, 2.0]), np.array([1, 1, 0, 0]))
    assert slope == 0
    assert expit(intercept) == pytest.approx(0.5)


def test_reliability_counts_by_tenths() -> None:
    # Classes weigh alike: a judged pair 1/4 of its half, an unjudged one 1/2 of its half.
    probability = np.array([0.95, 0.92, 0.91, 0.15, 1.0, 0.12])
    judged = np.array([1, 1, 1, 1, 0, 0])
    rows, error = reliability(probability, judged)
    low_mass, high_mass = 1 / 8 + 1 / 4, 3 / 8 + 1 / 4
    low_mean = (0.15 / 8 + 0.12 / 4) / low_mass
    high_mean = ((0.95 + 0.92 + 0.91) / 8 + 1.0 / 4) / high_mass
    assert rows == (
        (pytest.approx(low_mean, abs=1e-4), pytest.approx((1 / 8) / low_mass, abs=1e-4), 2),
        (pytest.approx(high_mean, abs=1e-4), pytest.approx((3 / 8) / high_mass, abs=1e-4), 4),
    )
    distance = low_mass * abs(low_mean - (1 / 8) / low_mass) + high_mass * abs(high_mean - (3 / 8) / high_mass)
    assert error == pytest.approx(distance, abs=1e-4)


def test_probabilities_are_reliable_on_queries_that_the_fit_never_saw(world: SimpleNamespace) -> None:
    guess = random.Random(5)
    cases = [
        case(world, f"q{i}", [guess.gauss(-8, 1.5)], [guess.gauss(-10, 1.5) for _ in range(10)]) for i in range(400)
    ]
    calibration = calibrate(cases, seed=1)
    assert calibration is not None
    assert calibration.pairs == 400 * 11
    # Log odds 2 / 1.5² · (x + 9).
    assert calibration.slope == pytest.approx(2 / 1.5**2, abs=0.1)
    assert calibration.intercept == pytest.approx(9 * 2 / 1.5**2, abs=1)
    assert calibration.error < 0.05
    assert sum(pairs for _, _, pairs in calibration.reliability) == 400 * 11
    for one in cases[:20]:
        for candidate in one.candidates:
            expected = expit(2 / 1.5**2 * (candidate.cross + 9))  # type: ignore[operator]
            assert candidate.probability == pytest.approx(expected, abs=0.05)


def test_no_query_calibrates_itself(world: SimpleNamespace) -> None:
    def world_with(extreme: float) -> list[Case]:
        guess = random.Random(5)
        cases = [case(world, f"q{i}", [guess.gauss(1, 1)], [guess.gauss(-1, 1) for _ in range(5)]) for i in range(30)]
        cases[3].positive_cross = [extreme]
        return cases

    usual, changed = world_with(1.0), world_with(-9.0)
    calibrate(usual, seed=1)
    calibrate(changed, seed=1)
    probabilities = [[c.probability for c in of[3].candidates] for of in (usual, changed)]
    assert probabilities[0] == probabilities[1]
    assert any(
        a.probability != b.probability
        for one, other in zip(usual, changed, strict=True)
        for a, b in zip(one.candidates, other.candidates, strict=True)
    )


def test_too_few_queries_are_not_calibrated(world: SimpleNamespace) -> None:
    alone = [case(world, "q", [1.0], [0.0, -1.0])]
    assert calibrate(alone, seed=1) is None
    assert [candidate.probability for candidate in alone[0].candidates] == [None, None]
    assert calibrate([], seed=1) is None
