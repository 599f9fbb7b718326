"""The promotion verdict: is the new system better on held-out queries, and no worse where it must not be?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evaluation.measures import Measures
from evaluation.significance import bootstrap_interval, paired_randomisation


@dataclass(frozen=True)
class PromotionRule:
    """When a new encoder replaces the served one.

    ``minimum_difference`` is the gain of the mean that is worth a release. ``level`` is the confidence of both
    intervals, and 1 - ``level`` the highest p-value (two-sided). ``guard_tolerance`` is how much of the guard's mean
    could be lost at worst: the low end of the guard's interval must not lie below it.
    """

    measure: Literal["nDCG@10", "RR@10", "R@10", "R@100"] = "nDCG@10"
    minimum_difference: float = 0.005
    level: float = 0.95
    guard_tolerance: float = 0.03

    def __post_init__(self) -> None:
        if not 0.0 <= self.minimum_difference <= 1.0:
            raise ValueError(f"minimum_difference must be 0 to 1, not {self.minimum_difference}")
        if not 0.5 <= self.level < 1.0:
            raise ValueError(f"level must be .5 or more and below 1, not {self.level}")
        if not 0.0 <= self.guard_tolerance <= 1.0:
            raise ValueError(f"guard_tolerance must be 0 to 1, not {self.guard_tolerance}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same queries: means, the difference of the means with its interval, and the p-value.

    ``p_value`` is two-sided; ``queries`` and ``groups`` are counts. With fewer than two groups nothing can be said:
    the interval is (-1, 1), all that a measure in [0, 1] can differ.
    """

    before: float
    after: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    queries: int
    groups: int


@dataclass(frozen=True, slots=True)
class Verdict(Comparison):
    """The verdict on a candidate. ``reason`` is one to three plain lines; ``guard`` is None where none was measured."""

    promoted: bool
    guard: Comparison | None
    reason: str


def compare(
    before: Measures, after: Measures, groups: Mapping[str, str] | None, measure: str, level: float
) -> Comparison:
    """Compare two systems measured on the same queries. ``groups``: query id → group; None makes each query its own.

    Raises ``ValueError`` when the two were measured on different queries, a query has no group, or there is none.
    """
    old, new = before.column(measure), after.column(measure)
    if old.keys() != new.keys():
        differing = sorted(old.keys() ^ new.keys())
        raise ValueError(f"before and after were measured on different queries ({differing[0]!r} is in one only)")
    queries = sorted(old)
    if groups is not None and (without := [query for query in queries if query not in groups]):
        raise ValueError(f"query {without[0]!r} has no group")
    names = queries if groups is None else [groups[query] for query in queries]
    a, b = [old[query] for query in queries], [new[query] for query in queries]
    count = len(set(names))
    mean_before, mean_after = sum(a) / len(a), sum(b) / len(b)
    return Comparison(
        before=mean_before,
        after=mean_after,
        difference=mean_after - mean_before,
        interval=bootstrap_interval(a, b, names, level) if count > 1 else (-1.0, 1.0),
        p_value=paired_randomisation(a, b, names),
        queries=len(queries),
        groups=count,
    )


def decide(
    before: Measures,
    after: Measures,
    groups: Mapping[str, str] | None,
    rule: PromotionRule,
    guard_before: Measures | None = None,
    guard_after: Measures | None = None,
    guard_groups: Mapping[str, str] | None = None,
) -> Verdict:
    """Decide whether ``after`` replaces ``before``.

    It does when all hold: the difference is at least ``minimum_difference``; the two-sided p-value is at most
    1 - ``level``; the whole interval is above 0; and the guard's interval, where a guard is given, does not reach below
    ``-guard_tolerance`` (a test of non-inferiority). Raises ``ValueError`` as ``compare`` does, and for half a guard.
    """
    if (guard_before is None) != (guard_after is None):
        raise ValueError("a guard is measured before and after, or not at all")
    test = compare(before, after, groups, rule.measure, rule.level)
    guard = None
    if guard_before is not None and guard_after is not None:
        guard = compare(guard_before, guard_after, guard_groups, rule.measure, rule.level)
    gained, gain_line = _judge_gain(test, rule)
    guarded, guard_line = _judge_guard(guard, rule)
    last_line = "promoted" if gained and guarded else "not promoted: what was served stays"
    return Verdict(
        before=test.before,
        after=test.after,
        difference=test.difference,
        interval=test.interval,
        p_value=test.p_value,
        queries=test.queries,
        groups=test.groups,
        promoted=gained and guarded,
        guard=guard,
        reason="\n".join(line for line in (gain_line, guard_line, last_line) if line),
    )


def _judge_gain(test: Comparison, rule: PromotionRule) -> tuple[bool, str]:
    failed = []
    if test.difference < rule.minimum_difference - 1e-12:  # .305 - .3 is a little less than .005
        failed.append(f"a gain of at least {rule.minimum_difference:.3f} is asked for")
    if test.p_value > 1.0 - rule.level:
        failed.append(f"p may be {1.0 - rule.level:.3g} at most")
    if test.interval[0] <= 0.0:
        failed.append("the interval reaches 0")
    if test.groups < 2:
        failed.append("one group of queries proves nothing")
    facts = f"{rule.measure} {_facts(test, rule)}, p {test.p_value:.2g}"
    return not failed, "; ".join([facts, *failed])


def _judge_guard(guard: Comparison | None, rule: PromotionRule) -> tuple[bool, str]:
    if guard is None:
        return True, ""
    held = guard.interval[0] >= -rule.guard_tolerance
    outcome = "no worse than" if held else "may be worse by more than"
    return held, f"guard {rule.measure} {_facts(guard, rule)}; {outcome} the tolerance of {rule.guard_tolerance:.3f}"


def _facts(test: Comparison, rule: PromotionRule) -> str:
    low, high = test.interval
    return (
        f"{test.before:.3f} to {test.after:.3f} ({test.difference:+.3f}, {rule.level:.0%} interval {low:+.3f} to "
        f"{high:+.3f}) over {test.queries} queries in {test.groups} groups"
    )
