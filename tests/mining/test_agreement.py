"""The area under the ROC curve, and whether a cross-encoder is believed."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.agreement import area_at_equal_rank, choose_sample, measure_agreement, measure_reviewed, roc_area
from mining.candidates import Candidate, Case


def scored(world: SimpleNamespace, name: str, positives: list[float], unjudged: list[float | None]) -> Case:
    candidates = [
        Candidate(world.chunk(f"{name}{i}", "d", i, "x"), {}, 0.5, 1 + i, drawn=False, preferred_by=(), cross=logit)
        for i, logit in enumerate(unjudged)
    ]
    return Case(name, "text", "en", (), (), (), (), candidates, positives, [1 for _ in positives])


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


def ranked(world: SimpleNamespace, name: str, positive: tuple[int | None, float], unjudged: dict[int, float]) -> Case:
    candidates = [
        Candidate(
            world.chunk(f"{name}{rank}", "d", rank, "x"), {}, 0.5, rank, drawn=False, preferred_by=(), cross=logit
        )
        for rank, logit in unjudged.items()
    ]
    return Case(name, "text", "en", (), (), (), (), candidates, [positive[1]], [positive[0]])


def test_at_equal_rank_only_ranks_of_one_band_meet(world: SimpleNamespace) -> None:
    cases = [
        # Level 2; the judged passage at rank 1 lies 3 above it.
        ranked(world, "a", (1, 5.0), {2: 3.0, 3: 1.0}),
        # Level -8; rank 1 lies 2 above it, rank 5 2 below. The judged passage at rank 3 lies .5 above.
        ranked(world, "b", (3, -7.5), {1: -6.0, 5: -10.0}),
        # Not in the ensemble's list: nothing to compare with.
        ranked(world, "c", (None, 50.0), {40: 0.0}),
    ]
    # a: 3 > 2, of b. b at ranks 2 to 3: .5 against 1 and -1, of a.
    assert area_at_equal_rank(cases) == pytest.approx((1 + 1 / 2) / 2)
    assert area_at_equal_rank(cases[:1]) is None
    assert area_at_equal_rank([]) is None


def test_a_judge_that_knows_the_rank_alone_is_at_chance(world: SimpleNamespace) -> None:
    """Its plain area is high, for judged passages rank high; at equal rank nothing is left of it."""
    guess = random.Random(7)
    cases = []
    for i in range(600):
        ranks = list(range(1, 13))
        judged = guess.choice([1, 1, 1, 2, 2, 4])
        ranks.remove(judged)
        # Ranks of one band score alike, and each query at a level of its own.
        level = guess.gauss(0, 5)
        logits = {rank: level - rank.bit_length() + guess.gauss(0, 1) for rank in ranks}
        cases.append(ranked(world, f"q{i}", (judged, level - judged.bit_length() + guess.gauss(0, 1)), logits))
    assert measure_agreement(cases, 0.0).auc > 0.8  # type: ignore[operator]
    adjusted = measure_agreement(cases, 0.0).at_equal_rank
    # 600 areas with a standard deviation of at most .5: .02; what is left of the query's level is small beside it.
    assert adjusted == pytest.approx(0.5, abs=0.08)


def test_people_are_asked_too(world: SimpleNamespace) -> None:
    cases = [scored(world, "a", [1.0], [3.0, -2.0, 0.0, 9.0]), scored(world, "b", [10.0], [9.0])]
    assert measure_reviewed(cases) is None
    for case, place, verdict in [
        (cases[0], 0, "relevant"),  # 2 above the judged passage
        (cases[0], 1, "kept"),  # 3 below
        (cases[0], 2, "borderline"),  # undecided
        (cases[1], 0, "false_negative"),  # 1 below
    ]:
        case.candidates[place].verdict, case.candidates[place].reviewer = verdict, "mk"
    cases[0].candidates[3].verdict = "kept"  # by a rule: not a person's word
    reviewed = measure_reviewed(cases)
    assert reviewed is not None
    assert (reviewed.relevant, reviewed.irrelevant, reviewed.auc) == (2, 1, 1.0)
    cases[1].candidates[0].verdict = "kept"
    cases[0].candidates[1].verdict = "false_negative"
    reviewed = measure_reviewed(cases)
    assert reviewed is not None
    assert reviewed.auc == 0.5  # relevant at 2 and -3, irrelevant at -1
