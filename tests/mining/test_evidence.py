"""How near everything lies to everything, and what speaks for a candidate."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from indexing.home import Home
from mining.candidates import Candidate, Case
from mining.evidence import weigh
from mining.ledger import read_ledger
from mining.likeness import measure_likeness
from mining.mine import mine
from mining.settings import MineSettings


def cosine(degrees: float) -> float:
    """The mean over two encoders, of which the second doubles every angle."""
    return (math.cos(math.radians(degrees)) + math.cos(math.radians(2 * degrees))) / 2


def candidate(world: SimpleNamespace, name: str, text: str = "x", **fields: Any) -> Candidate:
    plain = {"found": {}, "ensemble": 0.5, "rank": 1, "drawn": False, "preferred_by": ()}
    return Candidate(chunk=world.chunk(name, name, 0, text), **{**plain, **fields})


def case(positives: list[Any], candidates: list[Candidate], text: str = "text", language: str = "en") -> Case:
    votes = (None,) * len(positives)
    return Case("q", text, language, tuple(positives), votes, (), ("minilm", "wordllama"), candidates)


def test_likeness_is_the_mean_cosine_of_the_encoders(world: SimpleNamespace) -> None:
    positives = [world.chunk("p", "p", 0, "judged at 10"), world.chunk("r", "r", 0, "judged at 40")]
    one, drawn = candidate(world, "n", "near at 30"), candidate(world, "z", "far at 90", drawn=True)
    of = case(positives, [one, drawn], "query at 5")
    searcher = world.TableSearcher({c.id: c for c in (*positives, one.chunk, drawn.chunk)}, {})
    measure_likeness([of], searcher)
    assert of.query_to_judged == pytest.approx(cosine(5))  # p, the nearer one
    assert one.to_query == pytest.approx(cosine(25))
    assert one.to_judged == pytest.approx(cosine(10))  # r, the nearer one
    assert (drawn.to_query, drawn.to_judged) == (None, None)


def test_evidence_is_the_percentile_of_the_mean_percentile(world: SimpleNamespace) -> None:
    candidates = [
        candidate(world, "a", cross=-8.0, to_judged=0.9, found={"bm25": (1, 7.0)}),
        candidate(world, "b", cross=-9.0, to_judged=0.7, found={"bm25": (2, 5.0)}),
        candidate(world, "c", cross=-7.0, to_judged=0.8, found={}),
        candidate(world, "d", cross=-10.0, to_judged=0.6, found={}),
    ]
    # Eighths: logits 5 3 7 1, likeness 7 3 5 1, BM25 7 5 2 2 (c and d tie at nothing): means 19/3, 11/3, 14/3, 4/3.
    weigh([case([], candidates)], MineSettings())
    assert [c.evidence for c in candidates] == [7 / 8, 3 / 8, 5 / 8, 1 / 8]


def test_a_logit_that_is_not_believed_is_no_evidence(world: SimpleNamespace) -> None:
    candidates = [
        candidate(world, "a", cross=99.0, without_cross="not used", to_judged=0.1),
        candidate(world, "b", cross=0.0, without_cross="not used", to_judged=0.9),
    ]
    weigh([case([], candidates)], MineSettings())
    assert [c.evidence for c in candidates] == [1 / 4, 3 / 4]


def test_languages_are_weighed_apart_and_only_the_hardest(world: SimpleNamespace) -> None:
    english = [candidate(world, f"e{i}", to_judged=i / 10) for i in range(3)]
    japanese = [candidate(world, "j", to_judged=0.99)]
    for place, one in enumerate(english):
        one.ensemble = 1 - place / 10
    weigh([case([], english), case([], japanese, language="ja")], MineSettings(cross_budget=2))
    assert [c.evidence for c in english] == [1 / 4, 3 / 4, None]
    assert japanese[0].evidence == 1 / 2
    weigh([], MineSettings())


def test_in_a_run(world: SimpleNamespace, home: Home) -> None:
    """Sister clauses at growing angles from the judged passage: without a cross-encoder likeness and words decide."""
    chunks = {f"c{i}": world.chunk(f"c{i}", f"d{i}", 0, f"{world.words(f'c{i}')} at {10 * i}") for i in range(6)}
    table = {"q": {name: 1 - place / 10 for place, name in enumerate(chunks)}}
    searcher = world.TableSearcher(chunks, dict.fromkeys(("bm25", "minilm", "wordllama"), table))
    settings = MineSettings(sources=("bm25", "encoder"), random_share=0.0, filters=("evidence",))
    report = mine(searcher, [world.query("q")], world.projection({"q": [chunks["c0"]]}), None, settings, home)
    rows = {row.chunk: row for row in read_ledger(home, report.ledger).rows}
    # Five candidates, nearer and better by BM25 in the same order: percentiles .9, .7, .5, .3, .1.
    assert [rows[f"c{i}"].verdict for i in range(1, 6)] == ["false_negative", "borderline", "kept", "kept", "kept"]
    why = "cross-encoder not used: none is configured"
    assert rows["c1"].reason == f"more speaks for it than for 90 % of the candidates; {why}"
    assert rows["c3"].reason == f"passed; {why}"
    assert report.removed["evidence"] == {"borderline": 1, "false_negative": 1}
