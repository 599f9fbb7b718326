"""The area under the ROC curve, and whether a cross-encoder is believed."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.agreement import choose_sample, measure_agreement, roc_area
from mining.candidates import Candidate, Case


def scored(world: SimpleNamespace, name: str, positives: list[float], unjudged: list[float | None]) -> Case:
    candidates = [
        Candidate(world.chunk(f"{name}{i}", "d", i, "x"), {}, 0.5, 1 + i, drawn=False, preferred_by=(), cross=logit)
        for i, logit in enumerate(unjudged)
    ]
    return Case(name, "text", "en", (), (), (), (), candidates, positives)


def test_known_areas() -> None:
    assert roc_area([3.0], [1.0, 2.0]) == 1
    assert roc_area([0.0], [1.0, 2.0]) == 0
    assert roc_area([2.0], [1.0, 2.0, 3.0]) == pytest.approx((1 + 0.5 + 0) / 3)
    assert roc_area([4.0, 1.0], [2.0, 3.0]) == pytest.approx((2 + 0) / 4)


scores = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=8)


@given(scores, scores)
def test_area_counts_the_pairs(positives: list[float], negatives: list[float]) -> None:
    wins = sum((p > n) + (p == n) / 2 for p in positives for n in negatives)
    assert roc_area(positives, negatives) == pytest.approx(wins / (len(positives) * len(negatives)))


def test_mean_over_queries(world: SimpleNamespace) -> None:
    cases = [
        scored(world, "a", [3.0], [1.0, 2.0]),  # 1
        scored(world, "b", [3.0, 0.0], [1.0, None]),  # .5: every scored positive counts, not the best
        scored(world, "c", [], [1.0]),  # nothing to compare
        scored(world, "d", [1.0], [None]),
    ]
    agreement = measure_agreement(cases, minimum=0.6)
    assert agreement.auc == pytest.approx((1 + 0.5) / 2)
    assert (agreement.queries, agreement.pairs, agreement.distrust) == (2, 2 + 2, "")


def test_rejected_candidates_are_no_evidence(world: SimpleNamespace) -> None:
    case = scored(world, "a", [3.0], [1.0, 9.0])
    case.candidates[1].verdict = "duplicate"  # repeats the judged passage: it should score high
    assert measure_agreement([case], minimum=0.6).auc == 1


def test_distrust_below_the_minimum(world: SimpleNamespace) -> None:
    cases = [scored(world, "a", [2.0], [1.0, 3.0])]
    assert measure_agreement(cases, minimum=0.5).distrust == ""
    assert measure_agreement(cases, minimum=0.6).distrust == "its agreement with the judgements is 0.50, below 0.6"


def test_nothing_to_measure_is_no_reason_to_believe(world: SimpleNamespace) -> None:
    agreement = measure_agreement([scored(world, "a", [1.0], [])], minimum=0.0)
    assert agreement.auc is None
    assert agreement.distrust


def test_a_guessing_cross_encoder_is_not_believed(world: SimpleNamespace) -> None:
    guess = random.Random(1)
    cases = [
        scored(world, f"q{i}", [guess.gauss(0, 1) for _ in range(3)], [guess.gauss(0, 1) for _ in range(12)])
        for i in range(400)
    ]
    agreement = measure_agreement(cases, minimum=0.6)
    assert agreement.auc is not None
    # Standard deviation of one query's area: sqrt((3 + 12 + 1) / (12 * 3 * 12)) = .19; of 400: .01.
    assert abs(agreement.auc - 0.5) < 0.05
    assert agreement.distrust


def test_sample_does_not_depend_on_order(world: SimpleNamespace) -> None:
    cases = [scored(world, f"q{i}", [], []) for i in range(50)]
    chosen = choose_sample(cases, 10, seed=3)
    assert chosen == choose_sample(cases[::-1], 10, seed=3)
    assert len({case.query for case in chosen}) == 10
    assert chosen != choose_sample(cases, 10, seed=4)
    assert len(choose_sample(cases[:4], 10, seed=3)) == 4
