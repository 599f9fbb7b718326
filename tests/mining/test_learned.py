"""What answers look like, learned from judged passages that are taken for unjudged ones."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from indexing.home import Home
from mining.calibration import fold_of
from mining.candidates import Candidate, Case
from mining.evidence import weigh
from mining.filters import FILTERS
from mining.learned import fit, learn, plant
from mining.ledger import read_ledger
from mining.mine import mine
from mining.settings import MineSettings
from mining.signals import SIGNALS, Signals

SETTINGS = MineSettings()


def candidate(world: SimpleNamespace, chunk: Any, **fields: Any) -> Candidate:
    plain = {"found": {}, "ensemble": 0.5, "rank": 1, "drawn": False, "preferred_by": ()}
    return Candidate(chunk=chunk, **{**plain, **fields})


def case(query: str, positives: list[Any], candidates: list[Candidate]) -> Case:
    votes = (None,) * len(positives)
    return Case(query, f"about {query}", "en", tuple(positives), votes, (), ("minilm", "wordllama"), candidates)


def planted_cases(world: SimpleNamespace, queries: int, judged: int) -> list[Case]:
    """Queries with ``judged`` judged places each and six unjudged candidates; what is judged is like what is judged."""
    cases = []
    for number in range(queries):
        lot = np.random.default_rng(number)
        positives = [world.chunk(f"p{number}.{place}", f"p{number}.{place}", 0, "x") for place in range(judged)]
        candidates = [candidate(world, chunk, verdict="duplicate", ensemble=0.9) for chunk in positives]
        candidates += [candidate(world, world.chunk(f"n{number}.{i}", f"n{number}.{i}", 0, "x")) for i in range(6)]
        for one in candidates:
            near = 0.8 if one.verdict else 0.2
            one.to_each_judged = tuple(near + lot.normal() / 20 for _ in positives)
            one.to_judged = max(one.to_each_judged)
        cases.append(case(f"q{number}", positives, candidates))
    return cases


def test_one_judged_place_is_given_and_the_others_are_planted(world: SimpleNamespace) -> None:
    clause = ("4 Torque",)
    first, beside = world.chunk("a", "d", 0, "x", clause), world.chunk("b", "d", 1, "x", clause)
    other, unfound = world.chunk("c", "e", 0, "x"), world.chunk("f", "f", 0, "x")
    free = candidate(world, world.chunk("n", "n", 0, "x"), ensemble=0.1)
    found = [candidate(world, chunk, verdict="duplicate") for chunk in (first, beside, other)]
    of = case("q", [first, beside, other, unfound], [*found, free])
    seen = {
        tuple(given): [(one.chunk.id, label) for one, label in zip(candidates, labels, strict=True)]
        for given, candidates, labels in plant(of, SETTINGS)
    }
    # Three of the four judged passages are drawn. a and b are one place; f was not found, and so is never planted.
    both = {
        (0, 1): [("c", True), ("n", False)],
        (2,): [("a", True), ("b", True), ("n", False)],
        (3,): [("a", True), ("b", True), ("c", True), ("n", False)],
    }
    assert len(seen) >= 2
    assert seen.items() <= both.items()
    # Only as many as are weighed, the hardest: without unjudged ones nothing can be learned.
    assert list(plant(of, MineSettings(cross_budget=1))) == []
    assert list(plant(case("q", [first, beside], [*found[:2], free]), SETTINGS)) == []


def test_signals(world: SimpleNamespace) -> None:
    judged, again = world.chunk("p", "p", 0, "bolt torque"), world.chunk("r", "r", 0, "seal")
    one = candidate(
        world,
        world.chunk("n", "n", 0, "bolt torque"),
        ensemble=0.25,
        rank=8,
        found={"bm25": (3, 7.5)},
        cross=-3.0,
        to_query=0.6,
        to_each_judged=(0.5, 0.7),
    )
    two = candidate(world, judged, rank=None, ensemble=None)
    for chunk in (judged, again, one.chunk):
        object.__setattr__(chunk, "encoder_text", chunk.text)
    of = case("torque", [judged, again], [one])
    cases = [of, case("u", [judged, one.chunk], []), case("v", [again], [])]
    signals = Signals(cases)
    first, second = signals.of(of, [one, two], [0])
    # Three passages; "bolt" and "torque" in two of them are weighed alike, so a query of one of them has cosine 1/√2.
    assert first == pytest.approx([0.25, -math.log(8), 7.5, 0.6, 0.5, 1 / math.sqrt(2), 1.0, math.log(2), -3.0])
    assert second == pytest.approx(
        [0, -math.log(201), 0, 0, 0, 1 / math.sqrt(2), 1, math.log(2), math.nan], nan_ok=True
    )
    assert len(first) == len(SIGNALS)
    near = signals.of(of, [one], [1])[0]
    assert near[4:8] == pytest.approx([0.7, 1 / math.sqrt(2), 0.0, 0.0])  # the seal: no word, and no query, in common
    one.without_cross = "not believed"
    two.cross = -1.0  # scored before that was known
    assert np.isnan(signals.of(of, [one, two], [0])[:, -1]).all()


def test_the_fit_is_the_ridge_regression_of_another_implementation() -> None:
    lot = np.random.default_rng(7)
    signals = lot.normal(size=(300, 4)) * [1, 10, 0.1, 0] + 5  # the last is the same everywhere
    planted = lot.random(300) < 1 / (1 + np.exp(-(signals[:, 0] - 5 + (signals[:, 1] - 5) / 20)))
    line = fit(signals, planted)
    spread = np.where(signals.std(0) > 1e-9, signals.std(0), 1)
    other = LogisticRegression(C=1.0, tol=1e-8, max_iter=1000).fit((signals - signals.mean(0)) / spread, planted)
    assert line.weights == pytest.approx(other.coef_[0], abs=2e-3)
    assert line.likely(line.centre[None]) == pytest.approx([0.0])
    # What is not known counts as average, and moves neither mean nor spread.
    holes = np.vstack([signals, np.full((1, 4), np.nan)])
    assert fit(holes, np.append(planted, True)).centre == pytest.approx(line.centre)
    assert line.likely(holes[-1:]) == pytest.approx([0.0])


def test_what_is_like_the_planted_is_likelier_than_the_unjudged(world: SimpleNamespace) -> None:
    cases = planted_cases(world, queries=30, judged=2)
    alike, unlike = cases[0].open()[0], cases[0].open()[1]
    alike.to_each_judged, unlike.to_each_judged = (0.8, 0.8), (0.05, 0.05)
    single = planted_cases(world, queries=1, judged=1)[0]
    single.query = "single"  # what the others taught serves it too
    like_single = single.open()[0]
    like_single.to_each_judged = (0.8,)
    learn([*cases, single], SETTINGS)
    # Two places of each of 30 queries are given in turn, and the other one is planted.
    assert {one.learned_from for one in (*cases, single)} == {60}
    evidence = [one.evidence for of in cases for one in of.open()]
    assert alike.evidence is not None and alike.evidence > 0.95
    assert unlike.evidence is not None and unlike.evidence < 0.05
    assert like_single.evidence is not None and like_single.evidence > 0.95
    # Percentiles of unjudged passages, of which these are. By one place given .3 of them lie above .7, that is .524
    # standard deviations; by the mean of two that know nothing of each other 1 - Φ(.524 √2) = .229.
    assert np.mean(np.asarray(evidence) > 0.7) == pytest.approx(0.229, abs=0.05)


def test_no_query_is_read_by_what_it_taught_itself(world: SimpleNamespace) -> None:
    def evidence(planted: float | None) -> list[list[float]]:
        cases = planted_cases(world, queries=40, judged=2)
        for one in cases[3].candidates:
            if one.verdict and planted is not None:
                one.to_each_judged = (planted, planted)
        learn(cases, SETTINGS)
        return [[one.evidence or 0.0 for one in of.open()] for of in cases]

    plain, perverse = evidence(None), evidence(-1000.0)  # one query teaches that answers are utterly unlike

    def alike(query: int) -> float:
        """Spearman's correlation of a query's evidence with what it was without the perverse example."""
        return float(spearmanr(plain[query], perverse[query]).statistic)

    own_fold = [number for number in range(40) if fold_of(f"q{number}", SETTINGS.seed) == fold_of("q3", SETTINGS.seed)]
    assert min(alike(number) for number in own_fold) > 0.9  # percentiles of the others may tie
    assert min(alike(number) for number in range(40)) < 0


def test_with_too_little_to_learn_from_the_percentiles_decide(world: SimpleNamespace) -> None:
    for few in (planted_cases(world, queries=30, judged=1), planted_cases(world, queries=5, judged=2)):
        learn(few, SETTINGS)
        learned = [one.evidence for of in few for one in of.candidates]
        assert {of.learned_from for of in few} == {0}
        weigh(few, SETTINGS)
        assert learned == [one.evidence for of in few for one in of.candidates]


@pytest.mark.parametrize(
    ("learned_from", "evidence", "verdict", "reason"),
    [
        (60, 0.7, None, ""),
        (
            60,
            0.85,
            "borderline",
            "likelier to answer than 85 % of the unjudged passages, as learned from 60 judged ones",
        ),
        (60, 0.86, "false_negative", ""),
        (60, None, "unselected", "only the 12 that the ensemble ranks highest are weighed"),
        (0, 0.65, "borderline", "more speaks for it than for 65 % of the candidates"),
    ],
)
def test_filter(
    world: SimpleNamespace, learned_from: int, evidence: float | None, verdict: str | None, reason: str
) -> None:
    of = case(
        "q", [world.chunk("p", "p", 0, "x")], [candidate(world, world.chunk("n", "n", 0, "x"), evidence=evidence)]
    )
    of.learned_from = learned_from
    found = FILTERS["learned"](of, SETTINGS)
    assert {name: finding.verdict for name, finding in found.items()} == ({"n": verdict} if verdict else {})
    assert not reason or found["n"].reason == reason


def test_in_a_run_judged_passages_are_read_by_the_cross_encoder_too(world: SimpleNamespace, home: Home) -> None:
    """Thirty queries with two judged places; the logits alone tell answers from others, and one answer is unjudged."""
    chunks = {}
    table: dict[str, dict[str, float]] = {}
    judged = {}
    for number in range(30):
        names = [f"{kind}{number}" for kind in ("good", "fine", "bad", "poor", "weak")]
        for name in names:
            text = f"{world.words(name)} at 10 {'answers' if name[0] in 'gf' else 'other'}"
            chunks[name] = world.chunk(name, name, 0, text)
        table[f"q{number}"] = dict.fromkeys(names, 0.5)
        judged[f"q{number}"] = [chunks[names[0]], chunks[names[1]]]
    judged["q0"].pop()
    searcher = world.TableSearcher(chunks, dict.fromkeys(("bm25", "minilm", "wordllama"), table))
    settings = MineSettings(sources=("bm25", "encoder"), random_share=0.0, filters=("learned",))
    judge = world.TableJudge({"answers": 2.0, "other": -2.0})
    queries = [world.query(name) for name in table]
    report = mine(searcher, queries, world.projection(judged), judge, settings, home)
    rows = {row.chunk: row for row in read_ledger(home, report.ledger).rows}
    assert rows["fine0"].verdict == "false_negative"
    assert rows["fine0"].reason.endswith("as learned from 58 judged ones")
    # Above .7 is rejected: three in ten of 91, here most of them by chance.
    assert sum(report.removed["learned"].values()) == pytest.approx(27.3, abs=2)
    assert rows["fine1"].cross_score == 2.0
