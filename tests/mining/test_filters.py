"""The filters' rules, on candidates written by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.candidates import Candidate, Case
from mining.filters import ALWAYS, FILTERS
from mining.filters_cross import relative_probability
from mining.ledger import VERDICTS
from mining.settings import MineSettings
from mining.shingles import jaccard, shingles

SETTINGS = MineSettings()


ENCODERS = ("bge", "e5", "minilm")


def candidate(chunk: Any, **fields: Any) -> Candidate:
    plain = {"found": {"bm25": (1, 1.0)}, "ensemble": 0.5, "rank": 1, "drawn": False, "preferred_by": ()}
    return Candidate(chunk=chunk, **{**plain, **fields})


def case(
    positives: list[Any],
    candidates: list[Candidate],
    positive_cross: tuple[float, ...] = (),
    votes: tuple[tuple[int, float] | None, ...] = (),
) -> Case:
    spans = tuple((p.document, p.start, p.end) for p in positives)
    votes = votes or (None,) * len(positives)
    return Case("q", "text", "en", tuple(positives), votes, spans, ENCODERS, candidates, list(positive_cross))


def verdicts(rule: Callable[..., Any], of: Case, settings: MineSettings = SETTINGS) -> dict[str, str]:
    return {name: finding.verdict for name, finding in rule(of, settings).items()}


def test_judged_passages(world: SimpleNamespace) -> None:
    judged, other = world.chunk("p", "d", 0, "x"), world.chunk("n", "d", 5, "y")
    found = ALWAYS["judged_passages"](case([judged], [candidate(judged), candidate(other)]), SETTINGS)
    assert found == {"p": ("duplicate", "judged passage of this query")}


def test_siblings_share_the_section(world: SimpleNamespace) -> None:
    judged = world.chunk("p", "d", 3, "x", section=("4", "4.2 Torque"))
    of = case(
        [judged],
        [
            candidate(world.chunk("same section", "d", 9, "y", section=("4", "4.2 Torque"))),
            candidate(world.chunk("next section", "d", 4, "y", section=("4", "4.3 Oil"))),
            candidate(world.chunk("above", "d", 2, "y", section=("4",))),
            candidate(world.chunk("other edition", "e", 3, "y", section=("4", "4.2 Torque"))),
        ],
    )
    found = ALWAYS["siblings"](of, SETTINGS)
    assert found == {"same section": ("duplicate", "in the same section as a judged passage of this query")}


def test_without_sections_the_neighbours_are_siblings(world: SimpleNamespace) -> None:
    judged = world.chunk("p", "d", 3, "x", section=())
    of = case([judged], [candidate(world.chunk(f"n{i}", "d", i, "y", section=())) for i in (0, 1, 2, 4, 5)])
    assert set(ALWAYS["siblings"](of, SETTINGS)) == {"n2", "n4"}


@pytest.mark.parametrize(
    ("span", "overlaps"),
    [((299, 301), True), ((300, 301), True), ((399, 450), True), ((400, 450), False), ((250, 300), False)],
)
def test_one_character_of_overlap_is_enough(world: SimpleNamespace, span: tuple[int, int], overlaps: bool) -> None:
    beside = world.chunk("n", "d", 3, "y")  # characters 300 to 399
    of = Case("q", "text", "en", (), (), (("d", *span),), ENCODERS, [candidate(beside)])
    assert bool(ALWAYS["siblings"](of, SETTINGS)) is overlaps
    of = Case("q", "text", "en", (), (), (("another", *span),), ENCODERS, [candidate(beside)])
    assert not ALWAYS["siblings"](of, SETTINGS)


def test_shingles_are_three_words_folded() -> None:
    parts = ["tighten the bolt", "the bolt then", "bolt then stop"]
    assert shingles("Tighten THE bolt, then stop.").tolist() == sorted(int(shingles(part)[0]) for part in parts)
    assert shingles("ボルト").tolist() == shingles("ボ ル ト").tolist()
    assert shingles("Ｍ８ bolt").tolist() == shingles("m8 BOLT").tolist()
    assert len({int(shingles(text)[0]) for text in ("a b c", "c b a", "a b", "b a", "a", "", "b c a")}) == 7


@given(st.lists(st.sampled_from("abcd"), min_size=3, max_size=20), st.lists(st.sampled_from("abcd"), min_size=3))
def test_jaccard_is_that_of_the_sets(one: list[str], other: list[str]) -> None:
    sets = [set(zip(words, words[1:], words[2:], strict=False)) for words in (one, other)]
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert jaccard(shingles(" ".join(one)), shingles(" ".join(other))) == expected


def test_jaccard() -> None:
    # Four shared shingles of 5 and 5: 4 / 6.
    one = shingles("tighten the bolt to nine newton metres")
    two = shingles("tighten the bolt to nine newton centimetres")
    assert jaccard(one, two) == pytest.approx(4 / 6)
    assert jaccard(one, one) == 1
    assert jaccard(shingles("締付トルク"), shingles("締付トルク値")) == pytest.approx(3 / 4)


def test_near_duplicates_of_any_positive(world: SimpleNamespace) -> None:
    text = " ".join(f"w{i}" for i in range(42))  # 40 shingles
    judged = [world.chunk("p0", "d", 0, world.words("other")), world.chunk("p1", "d", 1, text)]
    nearly = text.replace("w41", "changed")  # 39 shared of 41
    edited = text.replace("w20", "changed")  # three shingles changed: 37 shared of 43
    half = text.replace("w10", "x").replace("w20", "x").replace("w30", "x")  # nine changed: 31 of 49
    of = case(
        judged,
        [
            candidate(world.chunk(name, "e", i, t))
            for i, (name, t) in enumerate([("a", nearly), ("b", edited), ("c", half)])
        ],
    )
    found = FILTERS["near_duplicates"](of, SETTINGS)
    assert {name: finding.reason for name, finding in found.items()} == {
        "a": f"repeats a judged passage: Jaccard {39 / 41:.2f} of shingles",
        "b": f"repeats a judged passage: Jaccard {37 / 43:.2f} of shingles",
    }
    assert set(FILTERS["near_duplicates"](of, MineSettings(duplicate_jaccard=0.6))) == {"a", "b", "c"}


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (1.2, "false_negative"),
        (0.96, "false_negative"),
        (0.94, "borderline"),
        (0.81, "borderline"),
        (0.79, None),
        (0.02, None),
        (0.009, "too_easy"),
    ],
)
@pytest.mark.parametrize("positive", [0.8, 1e-4])
def test_cross_encoder_compares_with_the_positive(
    world: SimpleNamespace, share: float, verdict: str | None, positive: float
) -> None:
    # The same on confident and on unsure scores: only the ratio of probabilities counts.
    one = candidate(world.chunk("n", "d", 0, "x"), cross=logit(share * positive))
    of = case([world.chunk("p", "d", 5, "y")], [one], (logit(positive / 2), logit(positive)))
    assert verdicts(FILTERS["cross_encoder"], of) == ({"n": verdict} if verdict else {})


def test_cross_encoder_on_terse_text(world: SimpleNamespace) -> None:
    # The figures seen on specifications: a good pair at -8.6, a bad one at -11. e^-2.4 = .09 passes.
    of = case([world.chunk("p", "d", 5, "y")], [candidate(world.chunk("n", "d", 0, "x"), cross=-11.0)], (-8.6,))
    assert verdicts(FILTERS["cross_encoder"], of) == {}
    assert verdicts(FILTERS["cross_encoder"], of, MineSettings(floor=0.1)) == {"n": "too_easy"}


@pytest.mark.parametrize(
    ("probability", "verdict"), [(0.71, "false_negative"), (0.7, "borderline"), (0.5, None), (0.0, None)]
)
def test_calibrated_probability(world: SimpleNamespace, probability: float, verdict: str | None) -> None:
    one = candidate(world.chunk("n", "d", 0, "x"), cross=-50.0, probability=probability)
    of = case([world.chunk("p", "d", 5, "y")], [one], (0.0,))
    assert verdicts(FILTERS["calibrated"], of) == ({"n": verdict} if verdict else {})
    found = FILTERS["calibrated"](of, MineSettings(calibrated_range=(0.0, 0.0)))
    if probability:
        assert found["n"].reason == (
            f"calibrated on this corpus, the cross-encoder gives it a probability of {probability:.2f}, above 0"
        )


def test_what_could_not_be_calibrated_is_left_to_the_encoders(world: SimpleNamespace) -> None:
    of = case(
        [world.chunk("p", "d", 5, "y")],
        [candidate(world.chunk(str(n), "d", n, "x"), cross=9.0, preferred_by=ENCODERS[:n]) for n in range(4)],
        (0.0,),
    )
    assert verdicts(FILTERS["calibrated"], of) == {"3": "borderline"}


def test_where_the_cross_encoder_does_not_count_the_encoders_decide(world: SimpleNamespace) -> None:
    why = "cross-encoder not used: it cannot judge the language of this query"
    # A score that is not believed must not decide, however clear it is.
    of = case(
        [world.chunk("p", "d", 5, "y")],
        [
            candidate(world.chunk("above", "d", 0, "x"), preferred_by=ENCODERS, without_cross=why, cross=-20.0),
            candidate(world.chunk("below", "d", 1, "x"), without_cross=why, cross=20.0),
            candidate(world.chunk("by chance", "d", 2, "x"), preferred_by=ENCODERS, without_cross=why, drawn=True),
            candidate(world.chunk("no time", "d", 3, "x"), preferred_by=ENCODERS, over_budget=True),
        ],
        (0.0,),
    )
    found = FILTERS["cross_encoder"](of, SETTINGS)
    assert found == {
        "above": ("borderline", f"3 of 3 encoders rank it above the judged passage; {why}"),
        "no time": ("unselected", "the cross-encoder reads only the 12 that the ensemble ranks highest"),
    }


@pytest.mark.parametrize(
    ("agreeing", "doubted"), [(1.0, {3}), (0.67, {3}), (0.66, {2, 3}), (0.3, {1, 2, 3}), (0.0, {1, 2, 3})]
)
def test_encoders_agree_by_degrees(world: SimpleNamespace, agreeing: float, doubted: set[int]) -> None:
    # Shares of three encoders: 0, .333, .667, 1. What no encoder prefers is never doubted.
    of = case(
        [world.chunk("p", "d", 5, "y")],
        [candidate(world.chunk(str(n), "d", n, "x"), preferred_by=ENCODERS[:n]) for n in range(4)],
    )
    found = FILTERS["encoder_agreement"](of, MineSettings(agreeing=agreeing))
    assert found == {
        str(n): ("borderline", f"{n} of 3 encoders rank it above the judged passage") for n in sorted(doubted)
    }


def test_too_easy_without_a_cross_encoder(world: SimpleNamespace) -> None:
    of = case(
        [world.chunk("p", "d", 5, "y"), world.chunk("r", "d", 6, "y")],
        [candidate(world.chunk(str(n), "d", n, "x"), ensemble=n / 100 or None) for n in (0, 7, 9, 90)],
        votes=((4, 0.8), None),
    )
    # A tenth of the best judged passage's .8 is .08.
    found = FILTERS["too_easy"](of, SETTINGS)
    assert found["7"] == ("too_easy", "the ensemble gives it 0.0875 of the judged passage's score, below 0.1")
    assert set(found) == {"0", "7"}
    assert FILTERS["too_easy"](case([of.positives[0]], of.candidates), SETTINGS) == {}


@pytest.mark.parametrize(
    ("to_query", "to_judged", "verdict"),
    [
        (0.7, 0.6, None),  # nearer to the query than the judged passage at .5, and than to the judged passage
        (0.5, 0.1, "too_easy"),  # not nearer: equal
        (0.4, 0.9, "too_easy"),  # fails both: it is easy
        (0.7, 0.7, "borderline"),
        (0.7, 0.8, "borderline"),
        (None, None, None),
    ],
)
def test_two_inequalities(
    world: SimpleNamespace, to_query: float | None, to_judged: float | None, verdict: str | None
) -> None:
    of = case(
        [world.chunk("p", "d", 5, "y")],
        [candidate(world.chunk("n", "d", 0, "x"), to_query=to_query, to_judged=to_judged)],
    )
    of.query_to_judged = 0.5
    assert verdicts(FILTERS["nearer_than_judged"], of) == ({"n": verdict} if verdict else {})


@pytest.mark.parametrize(
    ("evidence", "verdict"),
    [(0.61, "borderline"), (0.6, None), (0.8, "borderline"), (0.81, "false_negative"), (None, "unselected")],
)
def test_evidence(world: SimpleNamespace, evidence: float | None, verdict: str | None) -> None:
    why = "cross-encoder not used: none is configured"
    for without in ("", why):
        one = candidate(world.chunk("n", "d", 0, "x"), evidence=evidence, without_cross=without)
        found = FILTERS["evidence"](case([world.chunk("p", "d", 5, "y")], [one]), SETTINGS)
        assert {name: finding.verdict for name, finding in found.items()} == ({"n": verdict} if verdict else {})
        if verdict == "borderline":
            said = f"more speaks for it than for {100 * (evidence or 0):.0f} % of the candidates"
            assert found["n"].reason == (f"{said}; {why}" if without else said)


@pytest.mark.parametrize(
    ("cross", "verdict"), [(0.1, "false_negative"), (0.0, None), (-11.0, None), (-11.1, "too_easy")]
)
def test_bounds_of_the_logit(world: SimpleNamespace, cross: float, verdict: str | None) -> None:
    # Absolute: what the cross-encoder says of the judged passage plays no part.
    for positive in (-20.0, 20.0):
        of = case([world.chunk("p", "d", 5, "y")], [candidate(world.chunk("n", "d", 0, "x"), cross=cross)], (positive,))
        assert verdicts(FILTERS["cross_bounds"], of) == ({"n": verdict} if verdict else {})


@given(st.floats(-700, 700), st.floats(-700, 700))
def test_relative_probability_is_the_ratio_of_sigmoids(a: float, b: float) -> None:
    expected = np.exp(-np.logaddexp(0, -np.longdouble(a)) + np.logaddexp(0, -np.longdouble(b)))
    got = relative_probability(a, b)
    if expected < 1e300:
        assert got == pytest.approx(float(expected), rel=1e-9, abs=1e-300)
    assert math.isfinite(got)
    assert relative_probability(a, a) == 1


@pytest.mark.parametrize("name", [*ALWAYS, *FILTERS])
def test_filters_only_speak_of_open_candidates(world: SimpleNamespace, name: str) -> None:
    """The contract of the family: known verdicts, a reason, nothing about what is decided, and nothing changed."""
    judged = world.chunk("p", "d", 0, "x")
    bad: dict[str, Any] = {"preferred_by": ENCODERS, "cross": 9.0, "probability": 0.99, "ensemble": 0.01}
    bad |= {"evidence": 0.99, "to_query": 0.1, "to_judged": 0.9}
    decided = candidate(judged, **bad, verdict="kept", reason="decided by mk")
    loose = candidate(judged, **bad)
    for one in (decided, loose):
        of = case([judged], [one], (0.0,), ((1, 1.0),))
        of.query_to_judged = 0.5
        found = {**ALWAYS, **FILTERS}[name](of, SETTINGS)
        assert set(found) == (set() if one is decided else {"p"})
        assert all(finding.verdict in VERDICTS and finding.reason for finding in found.values())
        assert one.verdict == ("kept" if one is decided else None)
