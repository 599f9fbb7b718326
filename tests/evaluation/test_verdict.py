from collections.abc import Mapping
from typing import get_args, get_type_hints

import numpy as np
import pytest

from evaluation.measures import MEASURES, Measures
from evaluation.verdict import FEWEST_IN_SLICE, Guard, PromotionRule, decide, decide_all, find

RULE = PromotionRule(measure="RR@10", minimum_difference=0.01, level=0.95, guard_tolerance=0.02)


def measures(values: list[float]) -> Measures:
    per_query = {f"q{i:03d}": dict.fromkeys(MEASURES, value) for i, value in enumerate(values)}
    return Measures(per_query, dict.fromkeys(MEASURES, sum(values) / len(values)), ())


def noisy(mean: float, count: int = 100, spread: float = 0.1) -> list[float]:
    noise = np.random.default_rng(0).normal(0, spread, count)
    return list(np.full(count, 0.5) + mean + noise - noise.mean())


BEFORE = measures([0.5] * 100)


def test_a_clear_gain_is_promoted_with_its_numbers() -> None:
    verdict = decide(BEFORE, measures(noisy(0.1)), None, RULE)
    assert verdict.promoted
    assert verdict.before == pytest.approx(0.5)
    assert verdict.after == pytest.approx(0.6)
    assert verdict.difference == pytest.approx(0.1)
    # The standard error is .1/√100 = .01, so the interval is about .1 ± .0196.
    assert verdict.interval == pytest.approx((0.08, 0.12), abs=0.004)
    assert verdict.p_value == pytest.approx(1 / 10_001)
    assert (verdict.queries, verdict.groups, verdict.guards) == (100, 100, {})
    assert verdict.reason.splitlines()[-1] == "promoted"
    assert (verdict.p_holm, verdict.systems) == (verdict.p_value, 1)
    assert "Holm" not in verdict.reason
    assert "0.500 to 0.600 (+0.100" in verdict.reason


def test_too_small_a_gain_is_refused_however_certain() -> None:
    verdict = decide(BEFORE, measures([0.505] * 100), None, RULE)
    assert not verdict.promoted
    assert verdict.p_value < 0.001
    assert "a gain of at least 0.010 is asked for" in verdict.reason
    assert "not promoted" in verdict.reason


def test_a_gain_of_exactly_the_minimum_is_enough() -> None:
    rule = PromotionRule(minimum_difference=0.005)
    assert decide(measures([0.3] * 20), measures([0.305] * 20), None, rule).promoted


def test_an_uncertain_gain_is_refused() -> None:
    verdict = decide(BEFORE, measures(noisy(0.02, spread=0.3)), None, RULE)
    assert not verdict.promoted
    assert "p may be 0.05 at most" in verdict.reason
    assert "the interval reaches 0" in verdict.reason


def test_a_loss_is_refused() -> None:
    assert not decide(BEFORE, measures(noisy(-0.1)), None, RULE).promoted


def test_groups_decide_how_much_the_queries_say() -> None:
    after = measures(noisy(0.1))
    of_four = {f"q{i:03d}": str(i % 4) for i in range(100)}
    verdict = decide(BEFORE, after, of_four, RULE)
    assert (verdict.queries, verdict.groups) == (100, 4)
    assert verdict.p_value == 2 / 2**4  # the least that four groups can give
    assert not verdict.promoted
    alone = decide(BEFORE, after, dict.fromkeys(of_four, "one"), RULE)
    assert not alone.promoted
    assert (alone.interval, alone.p_value) == ((-1.0, 1.0), 1.0)
    assert "one group of queries proves nothing" in alone.reason


def guard(after: Measures, groups: Mapping[str, str] | None = None) -> dict[str, Guard]:
    return {"guard": Guard(BEFORE, after, groups)}


def test_the_guard_must_not_lose_more_than_its_tolerance() -> None:
    after = measures(noisy(0.1))
    held = decide(BEFORE, after, None, RULE, guard(measures(noisy(0.0, spread=0.05))))
    assert held.promoted
    assert held.guards["guard"].interval[0] >= -0.02
    harmed = decide(BEFORE, after, None, RULE, guard(measures(noisy(-0.05))))
    assert not harmed.promoted
    assert "may be worse by more than the tolerance of 0.020" in harmed.reason
    # A guard too small to tell (.3/√100 = .03 of standard error) is no proof that nothing was lost.
    unsure = decide(BEFORE, after, None, RULE, guard(measures(noisy(0.0, spread=0.3))))
    assert not unsure.promoted
    unchanged = decide(BEFORE, after, None, PromotionRule(guard_tolerance=0.0), guard(BEFORE))
    assert unchanged.promoted


def test_the_guard_has_groups_of_its_own() -> None:
    groups = {f"q{i:03d}": str(i // 10) for i in range(100)}
    verdict = decide(BEFORE, measures(noisy(0.1)), None, RULE, guard(BEFORE, groups))
    assert (verdict.groups, verdict.guards["guard"].groups) == (100, 10)


def test_every_guard_must_hold() -> None:
    after = measures(noisy(0.1))
    guards = {"guard:drawings": Guard(BEFORE, BEFORE), "guard:tables": Guard(BEFORE, measures(noisy(-0.05)))}
    verdict = decide(BEFORE, after, None, RULE, guards)
    assert not verdict.promoted
    _, cost, _ = verdict.reason.splitlines()
    assert "guard:drawings RR@10" in cost
    assert "no worse than the tolerance" in cost
    assert cost.index("guard:tables") < cost.index("may be worse by more than the tolerance")
    assert decide(BEFORE, after, None, RULE, {"guard:drawings": guards["guard:drawings"]}).promoted


@pytest.mark.parametrize("gain", [-0.1, 0.0, 0.1])
@pytest.mark.parametrize("guarded", [False, True])
@pytest.mark.parametrize("sliced", [False, True])
def test_the_reason_is_three_lines(gain: float, guarded: bool, sliced: bool) -> None:
    guards = guard(measures(noisy(-0.05))) if guarded else {}
    slices = {"half": {f"q{i:03d}": "even" if i % 2 else "odd" for i in range(100)}} if sliced else None
    lines = decide(BEFORE, measures(noisy(gain)), None, RULE, guards, slices).reason.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("RR@10 0.500 to ")
    assert lines[1].startswith("guard RR@10" if guarded else "no guard was measured")
    assert lines[2] in ("promoted", "not promoted: what was served stays")


def test_candidates_compared_at_once_are_corrected_by_holm() -> None:
    # Seven of eight queries gain alike: of the 2^8 ways to exchange them, those that differ from the observed or its
    # mirror image in none of the signs or in that of the one that loses give as much: p = 2 · (1 + 8) / 256 = .0703.
    # With all eight gaining p = 2 / 256.
    rule = PromotionRule(level=0.95)
    sure, unsure = [0.6] * 8, [0.6] * 7 + [0.4]
    before = measures([0.5] * 8)
    every = [find(before, measures(values), None, rule) for values in (sure, unsure, sure)]
    one, two, three = decide_all(every, rule)
    assert (one.p_value, two.p_value) == (2 / 256, 18 / 256)
    assert one.p_holm == pytest.approx(3 * 2 / 256)  # the smallest of three
    assert three.p_holm == pytest.approx(3 * 2 / 256)  # the next, times two, and never below the one before it
    assert two.p_holm == pytest.approx(18 / 256)
    assert one.promoted and three.promoted and not two.promoted
    assert {verdict.systems for verdict in (one, two, three)} == {3}
    assert "p 0.0078 (0.023 by Holm among 3 systems)" in one.reason
    # One of seven candidates that are equally sure is not proven any more: 7 · 2/256 = .0547.
    assert not any(verdict.promoted for verdict in decide_all([every[0]] * 7, rule))
    assert decide_all([], rule) == []


def sliced(values: dict[str, float], count: int) -> tuple[dict[str, dict[str, str]], list[float]]:
    """Return slices of ``count`` queries each that change by these values, and what is measured after."""
    names = [name for name in values for _ in range(count)]
    after = [0.5 + values[name] for name in names]
    return {"kind": {f"q{i:03d}": name for i, name in enumerate(names)}}, after


def test_a_slice_that_loses_although_the_mean_wins_is_warned_of() -> None:
    slices, after = sliced({"clauses": 0.2, "tables": -0.05, "notes": -0.005}, 40)
    verdict = decide(measures([0.5] * 120), measures(after), None, RULE, slices=slices)
    assert verdict.promoted  # slices warn, they do not decide
    assert [entry.name for entry in verdict.slices] == ["clauses", "notes", "tables"]
    # -.05 is worth a warning where .01 is worth a release, -.005 is not.
    assert [entry.name for entry in verdict.losing] == ["tables"]
    assert verdict.losing[0].test.difference == pytest.approx(-0.05)
    assert (
        "warning: the mean wins and 1 of 3 slices lose: tables -0.050 (-0.050 to -0.050, 40 queries)"
        in (verdict.reason.splitlines()[1])
    )


def test_where_the_mean_loses_no_slice_is_blamed() -> None:
    slices, after = sliced({"clauses": 0.02, "tables": -0.2}, 40)
    verdict = decide(measures([0.5] * 80), measures(after), None, RULE, slices=slices)
    assert verdict.losing == ()
    assert "the mean itself does not win" in verdict.reason


def test_slices_too_small_or_of_all_queries_are_not_looked_at() -> None:
    few, after = sliced({"clauses": 0.1, "tables": -0.1}, FEWEST_IN_SLICE - 1)
    verdict = decide(measures([0.5] * len(after)), measures(after), None, RULE, slices=few)
    assert verdict.slices == ()
    alike, after = sliced({"clauses": 0.1}, 40)
    assert decide(measures([0.5] * 40), measures(after), None, RULE, slices=alike).slices == ()


def test_refuses_what_does_not_belong_together() -> None:
    with pytest.raises(ValueError, match="different queries"):
        decide(BEFORE, measures([0.5] * 99), None, RULE)
    with pytest.raises(ValueError, match="has no group"):
        decide(BEFORE, BEFORE, {"q000": "a"}, RULE)
    with pytest.raises(ValueError, match="different queries"):
        decide(BEFORE, BEFORE, None, RULE, {"guard": Guard(BEFORE, measures([0.5] * 99))})


@pytest.mark.parametrize(
    "wrong", [{"minimum_difference": -0.1}, {"level": 1.0}, {"level": 0.1}, {"guard_tolerance": 2.0}]
)
def test_the_rule_is_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PromotionRule(**wrong)  # type: ignore[arg-type]


def test_the_rule_offers_the_measures_there_are() -> None:
    assert get_args(get_type_hints(PromotionRule)["measure"]) == MEASURES
