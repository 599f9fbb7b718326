"""Where candidates come from; scores are written by hand so that ranks and votes can be."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from mining.candidates import Corpus, Retrieved, find_candidates, retrieve
from mining.settings import MineSettings
from mining.sources import SOURCES

QUERIES = {"q1": "first", "q2": "second"}


@pytest.fixture
def chunks(world: SimpleNamespace) -> dict[str, Any]:
    return {name: world.chunk(name, "d", i, world.words(name)) for i, name in enumerate("abcdefgh")}


@pytest.fixture
def retrieved(world: SimpleNamespace, chunks: dict[str, Any]) -> Retrieved:
    scores = {
        "bm25": {"q1": {"a": 9.0, "b": 5.0, "c": 1.0}, "q2": {}},
        "minilm": {"q1": {"b": 0.9, "d": 0.5, "a": 0.4}, "q2": {"a": 0.3}},
        "wordllama": {"q1": {"b": 0.8, "a": 0.3}, "q2": {"h": 0.3}},
    }
    return retrieve(world.TableSearcher(chunks, scores), QUERIES, {}, Corpus(chunks), 3, "soft")


def sources(retrieved: Retrieved, settings: MineSettings, *names: str) -> dict[str, Any]:
    return {name: run for source in names for name, run in SOURCES[source](retrieved, settings).items()}


def test_ensemble_is_the_mean_of_scaled_scores(retrieved: Retrieved) -> None:
    votes = retrieved.ensemble["q1"]
    assert votes["a"] == pytest.approx((1 + 0 + 0) / 3)
    assert votes["b"] == pytest.approx(((5 - 1) / (9 - 1) + 1 + 1) / 3)
    assert votes["d"] == pytest.approx((0.5 - 0.4) / (0.9 - 0.4) / 3)


def test_ensemble_takes_the_releases_weights(world: SimpleNamespace, chunks: dict[str, Any]) -> None:
    searcher = world.TableSearcher(
        chunks, {"bm25": {"q1": {"a": 2.0, "b": 1.0}}, "minilm": {"q1": {"b": 2.0, "a": 1.0}}}
    )
    searcher.release.fusion.weights.update({"bm25": 3.0, "minilm": 1.0, "wordllama": 0.0})
    votes = retrieve(searcher, {"q1": "x"}, {}, Corpus(chunks), 5, "soft").ensemble["q1"]
    assert votes == pytest.approx({"a": 3 / 4, "b": 1 / 4})


def test_the_ensemble_is_the_fusion_of_that_name(world: SimpleNamespace, chunks: dict[str, Any]) -> None:
    searcher = world.TableSearcher(
        chunks, {"bm25": {"q1": {"a": 9.0, "b": 8.0}}, "minilm": {"q1": {"b": 0.9, "c": 0.1}}}
    )
    votes = retrieve(searcher, {"q1": "x"}, {}, Corpus(chunks), 5, "rrf").ensemble["q1"]
    assert votes == pytest.approx({"a": 1 / 61 / 3, "b": (1 / 62 + 1 / 61) / 3, "c": 1 / 62 / 3})


def test_union_of_the_best_of_each_source(retrieved: Retrieved, chunks: dict[str, Any]) -> None:
    settings = MineSettings(depth=1)
    found = find_candidates(retrieved, sources(retrieved, settings, "bm25", "encoder"), depth=1)["q1"]
    assert [candidate.chunk.id for candidate in found] == ["a", "b"]
    # A rank deeper than the depth is recorded all the same.
    assert found[0].found == {"bm25": (1, 9.0), "minilm": (3, 0.4), "wordllama": (2, 0.3)}
    assert found[1].found == {"bm25": (2, 5.0), "minilm": (1, 0.9), "wordllama": (1, 0.8)}
    assert not any(candidate.drawn for candidate in found)


def test_a_source_that_finds_nothing_gives_nothing(retrieved: Retrieved, chunks: dict[str, Any]) -> None:
    found = find_candidates(retrieved, sources(retrieved, MineSettings(), "bm25"), depth=5)["q2"]
    assert found == []


def test_equal_scores_rank_by_chunk_id(world: SimpleNamespace, chunks: dict[str, Any]) -> None:
    searcher = world.TableSearcher(chunks, {"bm25": {"q1": {"c": 1.0, "a": 1.0, "b": 1.0}}})
    retrieved = retrieve(searcher, {"q1": "x"}, {}, Corpus(chunks), 5, "soft")
    found = find_candidates(retrieved, sources(retrieved, MineSettings(), "bm25"), depth=5)["q1"]
    assert [(candidate.chunk.id, candidate.found["bm25"][0]) for candidate in found] == [("a", 1), ("b", 2), ("c", 3)]


@pytest.mark.parametrize(
    ("positives", "expected"),
    [
        (
            ["a"],
            {"b": ("minilm", "wordllama"), "d": ("minilm",)},
        ),  # a is BM25's first; d not in wordllama's list
        (["b"], {"a": ("bm25",)}),
        # c is the last of BM25, and in no encoder's list: whatever they return is above it
        (["c"], {"a": ("bm25", "minilm", "wordllama"), "b": ("bm25", "minilm", "wordllama"), "d": ("minilm",)}),
        (["a", "b"], {}),  # above every positive, not above one
    ],
)
def test_preferred_above_every_judged_passage(
    retrieved: Retrieved, chunks: dict[str, Any], positives: list[str], expected: dict[str, tuple[str, ...]]
) -> None:
    retrieved = replace(retrieved, positives={"q1": positives})
    found = find_candidates(retrieved, sources(retrieved, MineSettings(), "encoder"), depth=9)["q1"]
    assert {candidate.chunk.id: candidate.preferred_by for candidate in found if candidate.preferred_by} == expected


def test_a_chunk_that_a_search_also_found_is_not_random(retrieved: Retrieved, chunks: dict[str, Any]) -> None:
    settings = MineSettings()
    found = find_candidates(retrieved, sources(retrieved, settings, "random", "bm25"), depth=3)["q1"]
    assert {c.chunk.id for c in found if not c.drawn} == {"a", "b", "c"}
    # Their ranks are the order in which they were drawn, so that the first ones are as random as all.
    draws = list(SOURCES["random"](retrieved, settings)["random"]["q1"])
    assert {c.chunk.id: c.found["random"][0] for c in found if c.drawn} == {
        chunk: rank for rank, chunk in enumerate(draws, start=1) if chunk not in "abc"
    }
    assert draws != sorted(draws)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"sources": ("bm26", "encoder")}, "unknown name 'bm26' in mining sources; known: random, bm25"),
        ({"fusion": "vote"}, "unknown name 'vote' in mining fusion; known: soft, zscore"),
        ({"filters": ("nearly",)}, "unknown name 'nearly' in mining filters; known: near_duplicates"),
        ({"filters": ("cross_encoder", "cross_encoder")}, "a name stands twice in mining filters"),
        ({"sources": ("random",)}, "find no hard negatives"),
        ({"sources": ("bm25",)}, "random_share is 0.2 but 'random' is not among"),
        ({"depth": 0}, "depth must be 1 to 1000, not 0"),
        ({"per_document": 0}, "per_document must be 1 to 1000"),
        ({"floor": 0.9}, "floor <= borderline <= rho"),
        ({"rho": float("nan")}, "floor <= borderline <= rho"),
        ({"rho": float("inf")}, "rho must be at most 10"),
        ({"duplicate_jaccard": 0.0}, "duplicate_jaccard must be above 0"),
        ({"minimum_agreement": 1.5}, "minimum_agreement must be 0 to 1"),
        ({"random_share": 1.0}, "random_share must be 0 to .9"),
    ],
)
def test_settings_are_checked(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        MineSettings(**wrong)
    assert "\n" not in str(caught.value)
