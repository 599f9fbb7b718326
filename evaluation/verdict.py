"""The promotion verdict: is the new system better on held-out queries, and no worse where it must not be?

Several candidates that are compared at once are several chances to be lucky: their p-values are Holm's. Slices are
parts of the queries, looked at so that a mean that wins does not hide who loses; they warn and do not decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from evaluation.measures import Measures
from evaluation.significance import bootstrap_interval, holm, paired_randomisation

Slices = Mapping[str, Mapping[str, str]]
"""Family → query id → the slice of that family it belongs to: ``{"language": {"q1": "ja", "q2": "en"}}``."""

FEWEST_IN_SLICE = 10
"""With fewer queries a slice is not looked at."""


@dataclass(frozen=True)
class PromotionRule:
    """When a new encoder replaces the served one.

    ``minimum_difference`` is the gain of the mean that is worth a release, and the loss that is worth a warning in a
    slice. ``level`` is the confidence of the intervals, and 1 - ``level`` the highest p-value (two-sided, Holm's).
    ``guard_tolerance`` is how much of a guard's mean could be lost at worst: the low end of each guard's interval must
    not lie below it.
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
class Slice:
    """What became of the queries of one slice. Its interval is not corrected for the number of slices."""

    family: str
    name: str
    test: Comparison


@dataclass(frozen=True, slots=True)
class Findings:
    """What was measured of one candidate; ``guards`` by name."""

    gain: Comparison
    guards: Mapping[str, Comparison]
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Verdict(Comparison):
    """The verdict on a candidate.

    ``guards`` holds the comparison on each guard by its name. ``p_holm`` is the p-value corrected for ``systems``, the
    number of candidates compared at once. ``losing`` are the slices whose mean falls by the minimum difference or more
    although the mean of all rises. ``reason`` is three plain lines: what was gained, what it cost, what follows.
    """

    p_holm: float
    systems: int
    promoted: bool
    guards: Mapping[str, Comparison]
    slices: tuple[Slice, ...]
    losing: tuple[Slice, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Guard:
    """A set of queries that must not lose: the measures of both systems, and query id → group as in ``compare``."""

    before: Measures
    after: Measures
    groups: Mapping[str, str] | None = None


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


def find(
    before: Measures,
    after: Measures,
    groups: Mapping[str, str] | None,
    rule: PromotionRule,
    guards: Mapping[str, Guard] | None = None,
    slices: Slices | None = None,
) -> Findings:
    """Compare a candidate with what is served, on the queries that decide and on every guard by its name.

    Raises ``ValueError`` as ``compare`` does.
    """
    guarded = {
        name: compare(guard.before, guard.after, guard.groups, rule.measure, rule.level)
        for name, guard in (guards or {}).items()
    }
    gain = compare(before, after, groups, rule.measure, rule.level)
    return Findings(gain, guarded, _compare_slices(before, after, groups, rule, slices or {}))


def decide_all(candidates: Sequence[Findings], rule: PromotionRule) -> list[Verdict]:
    """Decide which candidates replace what is served; all of them were compared at once.

    One does when all hold: the difference is at least ``minimum_difference``; the two-sided p-value, corrected by Holm
    for the number of candidates, is at most 1 - ``level``; the whole interval is above 0; and no guard's interval
    reaches below ``-guard_tolerance`` (a test of non-inferiority; each guard must pass it, so that nothing is to be
    corrected for their number).
    """
    corrected = holm([candidate.gain.p_value for candidate in candidates])
    return [_verdict(found, p, len(candidates), rule) for found, p in zip(candidates, corrected, strict=True)]


def decide(
    before: Measures,
    after: Measures,
    groups: Mapping[str, str] | None,
    rule: PromotionRule,
    guards: Mapping[str, Guard] | None = None,
    slices: Slices | None = None,
) -> Verdict:
    """Decide whether ``after``, the only candidate, replaces ``before``; see ``find`` and ``decide_all``."""
    return decide_all([find(before, after, groups, rule, guards, slices)], rule)[0]


def guards_hold(guards: Mapping[str, Comparison], rule: PromotionRule) -> bool:
    """Tell whether every guard surely loses no more than the rule tolerates."""
    return all(_holds(test, rule) for test in guards.values())


def _compare_slices(
    before: Measures, after: Measures, groups: Mapping[str, str] | None, rule: PromotionRule, slices: Slices
) -> tuple[Slice, ...]:
    found = []
    for family, of_query in slices.items():
        members = Counter(of_query[query] for query in before.per_query if query in of_query)
        for name in sorted(members):
            if FEWEST_IN_SLICE <= members[name] < len(before.per_query):
                inside = {query for query in before.per_query if of_query.get(query) == name}
                test = compare(_only(before, inside), _only(after, inside), groups, rule.measure, rule.level)
                found.append(Slice(family, name, test))
    return tuple(found)


def _only(measures: Measures, queries: set[str]) -> Measures:
    # The means of these are taken by ``compare``.
    return Measures({query: values for query, values in measures.per_query.items() if query in queries}, {}, ())


def _verdict(found: Findings, p_holm: float, systems: int, rule: PromotionRule) -> Verdict:
    gain = found.gain
    gained, gain_line = _judge_gain(gain, p_holm, systems, rule)
    guarded = guards_hold(found.guards, rule)
    falls = [entry for entry in found.slices if _falls(entry.test, rule)]
    losing = tuple(falls) if gain.difference > 0 else ()
    promoted = gained and guarded
    lines = (
        gain_line,
        f"{_judge_guards(found.guards, rule)}; {_judge_slices(found.slices, losing, gain)}",
        "promoted" if promoted else "not promoted: what was served stays",
    )
    return Verdict(
        **{entry.name: getattr(gain, entry.name) for entry in fields(gain)},
        p_holm=p_holm,
        systems=systems,
        promoted=promoted,
        guards=found.guards,
        slices=found.slices,
        losing=losing,
        reason="\n".join(lines),
    )


def _falls(test: Comparison, rule: PromotionRule) -> bool:
    return test.difference < 0 and test.difference <= -rule.minimum_difference + 1e-12


def _judge_gain(test: Comparison, p_holm: float, systems: int, rule: PromotionRule) -> tuple[bool, str]:
    failed = []
    if test.difference < rule.minimum_difference - 1e-12:  # .305 - .3 is a little less than .005
        failed.append(f"a gain of at least {rule.minimum_difference:.3f} is asked for")
    if p_holm > 1.0 - rule.level:
        failed.append(f"p may be {1.0 - rule.level:.3g} at most")
    if test.interval[0] <= 0.0:
        failed.append("the interval reaches 0")
    if test.groups < 2:
        failed.append("one group of queries proves nothing")
    corrected = f" ({p_holm:.2g} by Holm among {systems} systems)" if systems > 1 else ""
    return not failed, "; ".join([f"{rule.measure} {_facts(test, rule)}, p {test.p_value:.2g}{corrected}", *failed])


def _holds(guard: Comparison, rule: PromotionRule) -> bool:
    return guard.interval[0] >= -rule.guard_tolerance


def _judge_guards(guards: Mapping[str, Comparison], rule: PromotionRule) -> str:
    if not guards:
        return "no guard was measured"
    told = []
    for name, test in guards.items():
        outcome = "no worse than" if _holds(test, rule) else "may be worse by more than"
        told.append(
            f"{name} {rule.measure} {_facts(test, rule)}; {outcome} the tolerance of {rule.guard_tolerance:.3f}"
        )
    return "; ".join(told)


def _judge_slices(slices: Sequence[Slice], losing: Sequence[Slice], gain: Comparison) -> str:
    if not slices:
        return "no slice has enough queries to be looked at"
    if gain.difference <= 0:
        return f"{len(slices)} slices, and the mean itself does not win"
    if not losing:
        return f"none of {len(slices)} slices loses"
    told = [
        f"{entry.name} {entry.test.difference:+.3f} ({entry.test.interval[0]:+.3f} to {entry.test.interval[1]:+.3f}, "
        f"{entry.test.queries} queries)"
        for entry in losing
    ]
    return f"warning: the mean wins and {len(losing)} of {len(slices)} slices lose: {', '.join(told)}"


def _facts(test: Comparison, rule: PromotionRule) -> str:
    low, high = test.interval
    return (
        f"{test.before:.3f} to {test.after:.3f} ({test.difference:+.3f}, {rule.level:.0%} interval {low:+.3f} to "
        f"{high:+.3f}) over {test.queries} queries in {test.groups} groups"
    )
