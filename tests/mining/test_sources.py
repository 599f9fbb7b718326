"""The sources; scores are written by hand so that ranks and votes can be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mining.candidates import Corpus, Retrieved, retrieve
from mining.settings import MineSettings
from mining.sources import SOURCES

QUERIES = {"q1": "first", "q2": "second"}
POSITIVES = {"q1": ["a"], "q2": ["g", "h"]}


@pytest.fixture
def chunks(world: SimpleNamespace) -> dict[str, Any]:
    return {name: world.chunk(name, "de"[i % 2], i, world.words(name)) for i, name in enumerate("abcdefgh")}


@pytest.fixture
def retrieved(world: SimpleNamespace, chunks: dict[str, Any]) -> Retrieved:
    scores = {
        "bm25": {"q1": {"a": 9.0, "b": 5.0, "c": 1.0}, "q2": {}},
        "minilm": {"q1": {"b": 0.9, "d": 0.5, "a": 0.4}, "q2": {"a": 0.3}},
        "wordllama": {"q1": {"b": 0.8, "a": 0.3}, "q2": {"h": 0.3}},
        "hyperbolic:minilm": {"q1": {"e": -1.5}, "q2": {"a": -1.0}},
        "hyperbolic:wordllama": {"q1": {}, "q2": {"f": -2.0}},
        "pca": {"q1": {"f": 0.75, "a": 0.5}, "q2": {}},
    }
    return retrieve(world.TableSearcher(chunks, scores), QUERIES, POSITIVES, Corpus(chunks), 3, "soft")


def no_search(world: SimpleNamespace, queries: Any, corpus: Corpus, positives: Any = None) -> Retrieved:
    searcher = world.TableSearcher(corpus.chunks, {})
    return Retrieved(dict.fromkeys(queries, ""), {}, (), {}, positives or {}, corpus, searcher)


def test_random_draws_do_not_depend_on_other_queries(world: SimpleNamespace, retrieved: Retrieved) -> None:
    settings = MineSettings(seed=5)
    both = SOURCES["random"](retrieved, settings)["random"]
    alone = no_search(world, ["q2"], retrieved.corpus)
    assert SOURCES["random"](alone, settings)["random"]["q2"] == both["q2"]
    assert SOURCES["random"](retrieved, MineSettings(seed=6))["random"] != both
    # per_query 7 at a share of .2 needs 7 * .2 / .8 = 1.75 random ones: 2 * 2 + 2 are drawn, all different.
    assert len(both["q1"]) == 6


def test_random_draws_are_even(world: SimpleNamespace) -> None:
    names = [f"c{i}" for i in range(10)]
    corpus = Corpus({name: world.chunk(name, "d", 0, name) for name in names})
    ids = [f"q{i}" for i in range(2000)]
    drawn = SOURCES["random"](no_search(world, ids, corpus), MineSettings())["random"]
    first = [next(iter(run)) for run in drawn.values()]
    # 2,000 draws of 10: a standard deviation of sqrt(2000 * .1 * .9) = 13.4; five of them.
    assert all(abs(first.count(name) - 200) < 68 for name in names)


def test_no_share_no_draws(retrieved: Retrieved) -> None:
    assert SOURCES["random"](retrieved, MineSettings(random_share=0.0))["random"] == {"q1": {}, "q2": {}}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_runs_of_these_queries_and_chunks(retrieved: Retrieved, name: str) -> None:
    for run in SOURCES[name](retrieved, MineSettings()).values():
        assert set(run) == set(QUERIES)
        assert {chunk for scores in run.values() for chunk in scores} <= set(retrieved.corpus.chunks)


def test_a_run_of_hyperbolic_neighbours_for_each_encoder(retrieved: Retrieved) -> None:
    assert SOURCES["hyperbolic"](retrieved, MineSettings()) == {
        "hyperbolic:minilm": {"q1": {"e": -1.5}, "q2": {"a": -1.0}},
        "hyperbolic:wordllama": {"q1": {}, "q2": {"f": -2.0}},
    }


def test_the_ensemble_pca_is_the_run_of_that_name(retrieved: Retrieved) -> None:
    again = retrieve(retrieved.retriever, QUERIES, POSITIVES, retrieved.corpus, 3, "pca")
    assert SOURCES["ensemble"](again, MineSettings())["ensemble"] == {"q1": {"f": 0.75, "a": 0.5}, "q2": {}}
    assert again.runs == retrieved.runs  # no run of its own besides


def test_other_clauses_of_the_judged_document_as_the_ensemble_ranks_them(retrieved: Retrieved) -> None:
    run = SOURCES["in_document"](retrieved, MineSettings())["in_document"]
    # a, c, e and g stand in the judged passage's document; e and g were not found, and a is the judged passage.
    assert run["q1"] == {"c": retrieved.ensemble["q1"]["c"]}
    # g and h are judged, in either document.
    assert run["q2"] == {"a": retrieved.ensemble["q2"]["a"]}


def test_what_was_passed_over_is_handed_on_for_these_queries(retrieved: Retrieved) -> None:
    assert SOURCES["feedback"](retrieved, MineSettings()) == {"feedback": {"q1": {}, "q2": {}}}
    told = {"q2": {"d": 4.0}, "another block's": {"a": 1.0}}
    again = retrieve(retrieved.retriever, QUERIES, POSITIVES, retrieved.corpus, 3, "soft", told)
    assert SOURCES["feedback"](again, MineSettings()) == {"feedback": {"q1": {}, "q2": {"d": 4.0}}}


def test_siblings_of_every_judged_passage_by_the_greater_likeness(world: SimpleNamespace) -> None:
    text = "one two three four five six seven"
    made = [
        world.chunk("p", "x-2019", 0, text, section=("4.1 Torques",)),
        world.chunk("r", "x-2019", 1, "one two three and then something else", section=("4.2 Angles",)),
        world.chunk("same", "x-2024", 0, text, section=("4.1 Torques",)),
        world.chunk("other", "x-2024", 1, "nothing like it", section=("9 Colours",)),
    ]
    corpus = Corpus({chunk.id: chunk for chunk in made})
    retrieved = no_search(world, ["q", "p"], corpus, {"q": ["r", "p"]})
    # r says one of the five shingles of p and has four of its own, in another section of p's document.
    assert SOURCES["sibling"](retrieved, MineSettings())["sibling"] == {
        "q": {"same": 1.0, "p": 1 / 9, "r": 1 / 9},
        "p": {},
    }
