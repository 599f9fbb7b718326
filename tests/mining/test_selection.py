"""Which of the hard negatives that pass are kept: difficulty, diversity, and lots that depend on the seed alone."""

from __future__ import annotations

import math
import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mining.candidates import Candidate, Case
from mining.selection import DIFFICULTIES, DIVERSITIES, select_hard
from mining.settings import MineSettings


def case(
    world: SimpleNamespace,
    scores: dict[str, float],
    judged: float | None = None,
    documents: dict[str, str] | None = None,
    texts: dict[str, str] | None = None,
    query: str = "q",
) -> Case:
    """A query whose candidates the ensemble scores so, and its judged passage, the best of the list, so."""
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    candidates = [
        Candidate(
            world.chunk(name, (documents or {}).get(name, name), 0, (texts or {}).get(name, world.words(name))),
            {"ensemble": (rank, scores[name])},
            scores[name],
            rank,
            drawn=False,
            preferred_by=(),
        )
        for rank, name in enumerate(ranked, start=1)
    ]
    positive = world.chunk("p", "p", 0, "x")
    votes = ((1, judged) if judged is not None else None,)
    return Case(query, "text", "en", (positive,), votes, (("p", 0, 100),), ("minilm",), candidates)


def kept(of: Case, setting: MineSettings) -> set[str]:
    select_hard(of, setting)
    return {candidate.chunk.id for candidate in of.candidates if candidate.verdict == "kept"}


def reasons(of: Case) -> dict[str, str]:
    return {candidate.chunk.id: candidate.reason for candidate in of.candidates}


def test_range_of_ranks(world: SimpleNamespace) -> None:
    of = case(world, {f"c{i}": 1 - i / 10 for i in range(8)})  # c0 ranks first
    assert kept(of, MineSettings(difficulty="range", rank_range=(3, 6), per_query=3)) == {"c2", "c3", "c4"}
    assert reasons(of)["c1"] == "outside the ranks 3 to 6 of the ensemble"
    assert reasons(of)["c5"] == "3 others are kept for this query"
    assert reasons(of)["c6"] == "outside the ranks 3 to 6 of the ensemble"


def shares(
    world: SimpleNamespace, scores: dict[str, float], judged: float | None, setting: dict[str, Any]
) -> Counter[str]:
    """How often each is the one that is kept, over 4,000 queries."""
    first: Counter[str] = Counter()
    of = case(world, scores, judged)
    chosen = MineSettings(per_query=1, **setting)
    for i in range(4000):
        of.query = f"q{i}"
        first[DIFFICULTIES[chosen.difficulty](of, of.candidates, chosen)[0].chunk.id] += 1
    return Counter({name: count / 4000 for name, count in first.items()})


def test_sampled_is_the_softmax(world: SimpleNamespace) -> None:
    scores = {"a": 0.9, "b": 0.8, "c": 0.5}
    found = shares(world, scores, None, {"difficulty": "sampled", "temperature": 0.2})
    total = sum(math.exp(score / 0.2) for score in scores.values())
    for name, score in scores.items():
        # Standard deviation of a share of 4,000 draws: at most .5 / sqrt(4000) = .008.
        assert found[name] == pytest.approx(math.exp(score / 0.2) / total, abs=0.03)


def test_simans_prefers_what_is_near_the_judged_passage(world: SimpleNamespace) -> None:
    scores = {"above": 0.9, "near": 0.65, "below": 0.2}
    found = shares(world, scores, 0.6, {"difficulty": "simans", "simans_a": 20.0, "simans_b": -0.1})
    weights = {name: math.exp(-20 * (score - 0.6 + 0.1) ** 2) for name, score in scores.items()}
    for name, weight in weights.items():
        assert found[name] == pytest.approx(weight / sum(weights.values()), abs=0.03)
    assert found["near"] > found["below"] > found["above"]


def test_simans_where_no_list_holds_the_judged_passage(world: SimpleNamespace) -> None:
    of = case(world, {"high": 0.9, "low": 0.05}, None)
    assert kept(of, MineSettings(difficulty="simans", simans_a=1e6, per_query=1)) == {"low"}


def test_mmr_passes_over_the_same_clause_of_a_sister(world: SimpleNamespace) -> None:
    clause = " ".join(f"w{i}" for i in range(22))  # 20 shingles
    sister = clause.replace("w21", "other")  # 19 shared of 21: .905
    scores = {"clause": 0.9, "sister": 0.8, "else1": 0.7, "else2": 0.6}
    texts = {"clause": clause, "sister": sister}
    # λ .7: the sister .7 · 3/4 - .3 · 19/21 = .254, else1 .7 · 2/4 = .35, else2 .7 · 1/4 = .175.
    of = case(world, scores, texts=texts)
    assert kept(of, MineSettings(diversity="mmr", per_query=2)) == {"clause", "else1"}
    of = case(world, scores, texts=texts)
    assert kept(of, MineSettings(diversity="mmr", per_query=3)) == {"clause", "else1", "sister"}
    # λ .6: the sister .6 · 3/4 - .4 · 19/21 = .088, else2 .6 · 1/4 = .15.
    of = case(world, scores, texts=texts)
    assert kept(of, MineSettings(diversity="mmr", per_query=3, mmr_lambda=0.6)) == {"clause", "else1", "else2"}
    of = case(world, scores, texts=texts)
    assert kept(of, MineSettings(diversity="mmr", per_query=2, mmr_lambda=1.0)) == {"clause", "sister"}


def test_mmr_knows_what_a_person_confirmed(world: SimpleNamespace) -> None:
    clause = " ".join(f"w{i}" for i in range(22))
    of = case(world, {"clause": 0.5, "copy": 0.9, "else": 0.8}, texts={"clause": clause, "copy": clause})
    confirmed = next(candidate for candidate in of.candidates if candidate.chunk.id == "clause")
    confirmed.verdict, confirmed.reason = "kept", "decided by mk"
    # λ .6: the copy .6 · 2/2 - .4 · 1 = .2, else .6 · 1/2 = .3.
    assert kept(of, MineSettings(diversity="mmr", per_query=2, mmr_lambda=0.6)) == {"clause", "else"}
    assert reasons(of)["clause"] == "decided by mk"


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    names = [f"c{i:02}" for i in range(draw(st.integers(0, 14)))]
    return {
        "scores": {name: draw(st.integers(0, 20)) / 20 for name in names},
        "documents": {name: f"d{draw(st.integers(0, 3))}" for name in names},
        "texts": {name: f"same words in a row {draw(st.integers(0, 4))} and the same again" for name in names},
        "judged": draw(st.one_of(st.none(), st.integers(0, 20).map(lambda i: i / 20))),
        "settings": MineSettings(
            per_query=draw(st.integers(1, 6)),
            per_document=draw(st.integers(1, 3)),
            difficulty=draw(st.sampled_from(list(DIFFICULTIES))),
            diversity=draw(st.sampled_from(list(DIVERSITIES))),
            rank_range=(draw(st.integers(1, 4)), draw(st.integers(4, 12))),
            mmr_lambda=draw(st.sampled_from([0.0, 0.5, 1.0])),
            simans_a=draw(st.sampled_from([0.0, 50.0, 1e6])),
            temperature=draw(st.sampled_from([0.001, 0.1, 1000.0])),
            seed=draw(st.integers(0, 3)),
        ),
    }


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.randoms(use_true_random=False))
def test_invariants(world: SimpleNamespace, drawn: dict[str, Any], shuffler: random.Random) -> None:
    setting: MineSettings = drawn["settings"]

    def make() -> Case:
        return case(world, drawn["scores"], drawn["judged"], drawn["documents"], drawn["texts"])

    of = make()
    chosen = kept(of, setting)
    low, high = setting.rank_range
    allowed = [c for c in of.candidates if setting.difficulty != "range" or low <= (c.rank or 0) <= high]
    # Never more than per_query, the cap is held, and nothing is left out that both bounds would allow.
    possible = sum(min(n, setting.per_document) for n in Counter(c.chunk.document for c in allowed).values())
    assert len(chosen) == min(setting.per_query, possible)
    assert max(Counter(drawn["documents"][name] for name in chosen).values(), default=0) <= setting.per_document
    assert chosen <= {candidate.chunk.id for candidate in allowed}
    assert all(candidate.verdict and candidate.reason for candidate in of.candidates)
    # The same seed chooses the same, in whatever order the candidates stand.
    again = make()
    shuffler.shuffle(again.candidates)
    assert kept(again, setting) == chosen


@pytest.mark.parametrize("difficulty", ["sampled", "simans"])
def test_another_seed_or_query_draws_other_lots(world: SimpleNamespace, difficulty: str) -> None:
    scores = {f"c{i:02}": 0.5 for i in range(20)}
    draws = {
        (seed, query): frozenset(
            kept(case(world, scores, 0.5, query=query), MineSettings(difficulty=difficulty, seed=seed))
        )
        for seed in (1, 2)
        for query in ("q", "r")
    }
    assert len(set(draws.values())) == 4
