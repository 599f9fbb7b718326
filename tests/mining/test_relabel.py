"""Which candidates are proposed as positives: those that the cross-encoder and one source more put above the judged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from indexing.home import Home
from mining.candidates import Candidate, Case
from mining.ledger import read_ledger
from mining.mine import mine
from mining.relabel import propose_positives
from mining.settings import MineSettings

SETTINGS = MineSettings()
LIKELY = {"verdict": "false_negative", "cross": -2.0, "preferred_by": ("bm25",)}


@pytest.fixture
def case_of(world: SimpleNamespace) -> Any:
    """A query with one judged passage of logit -3, and one candidate."""

    def make(**candidate: Any) -> tuple[Case, Candidate]:
        judged, other = world.chunk("judged", "d0", 0, "a"), world.chunk("other", "d1", 0, "b")
        made = Candidate(other, {}, ensemble=0.9, rank=1, drawn=False, **{**LIKELY, **candidate})
        made.reason = "why"
        return Case("q", "text", "en", (judged,), ((2, 0.8),), (), (), [made], [-3.0, -4.0]), made

    return make


def test_two_that_agree_propose(case_of: Any) -> None:
    case, candidate = case_of()
    assert propose_positives(case, SETTINGS) == 1
    assert candidate.verdict == "proposed_positive"
    assert candidate.reason == "why; bm25 also put it above the judged passage"


@pytest.mark.parametrize(
    ("change", "proposed"),
    [
        ({"verdict": "borderline"}, True),
        ({"verdict": None}, False),  # no filter minds it
        ({"verdict": "too_easy"}, False),
        ({"verdict": "duplicate"}, False),
        ({"cross": -3.0}, False),  # level with the best judged passage, not above
        ({"cross": -2.99}, True),
        ({"cross": None}, False),
        ({"without_cross": "not believed"}, False),
        ({"reviewer": "ann"}, False),
        ({"preferred_by": ()}, False),  # every source ranks the judged passage above
        ({"preferred_by": ("minilm",)}, True),
    ],
)
def test_one_alone_proposes_nothing(case_of: Any, change: dict[str, Any], proposed: bool) -> None:
    case, candidate = case_of(**change)
    before = candidate.verdict
    assert propose_positives(case, SETTINGS) == proposed
    assert candidate.verdict == ("proposed_positive" if proposed else before)


def test_without_a_scored_positive_nothing_is_proposed(case_of: Any) -> None:
    case, _ = case_of()
    case.positive_cross = []
    assert propose_positives(case, SETTINGS) == 0


@pytest.mark.parametrize(
    ("relabel", "better", "default", "verdict"),
    [
        ("review", 1.0, -5.0, "proposed_positive"),
        ("accept", 1.0, -5.0, "relevant"),
        # Every candidate beats the judged passage: it is not believed, and what it says proposes nothing.
        ("accept", 1.0, 1.0, "borderline"),
    ],
)
def test_a_mined_ledger(
    world: SimpleNamespace, home: Home, relabel: Any, better: float, default: float, verdict: str
) -> None:
    names = ["better", "judged", *(f"hard{i}" for i in range(6))]
    chunks = {name: world.chunk(name, f"d{place}", 0, world.words(name)) for place, name in enumerate(names)}
    scores = {"q": {name: 1.0 - place / 10 for place, name in enumerate(names)}}
    searcher = world.TableSearcher(chunks, dict.fromkeys(("bm25", "minilm", "wordllama"), scores))
    judge = world.TableJudge({"judgedw0": 0.0, "betterw0": better}, default=default)
    settings = MineSettings(sources=("bm25", "encoder"), random_share=0.0, relabel=relabel)
    queries, projection = [world.query("q")], world.projection({"q": [chunks["judged"]]})
    ledger = read_ledger(home, mine(searcher, queries, projection, judge, settings, home).ledger)
    (row,) = (row for row in ledger.rows if row.chunk == "better")
    assert (row.verdict, row.reviewer) == (verdict, None)


def test_an_unknown_policy_is_refused() -> None:
    unknown: Any = "always"
    with pytest.raises(ValueError, match="relabel must be 'review' or 'accept', not 'always'"):
        MineSettings(relabel=unknown)
