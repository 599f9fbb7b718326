"""Fusion and re-ranking chosen on plain runs, whose best composition is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evaluation.projection import Projection
from evaluation.verdict import PromotionRule
from indexing.fusion import Run, fuse
from indexing.releases import Fusion, Release, Reranker
from training.composition import CompositionSettings, choose_fusion, fused_runs, judge_reranker
from training.splits import HeldOut

QUERIES = [f"q{number:02}" for number in range(40)]
RULE = PromotionRule()
SETTINGS = CompositionSettings()


def held_out() -> HeldOut:
    """Query q07 is answered by chunk c07, and so on; every query is a group of its own."""
    hits: dict[str, dict[str, tuple[str, ...]]] = {query: {f"c{query[1:]}": (f"d{query[1:]}",)} for query in QUERIES}
    units = {query: {f"d{query[1:]}": 1} for query in QUERIES}
    texts = dict.fromkeys(QUERIES, "what is it")
    return HeldOut("dev", texts, Projection(units, hits, (), []), {query: query for query in QUERIES})


def source(seed: int, found: float) -> Run:
    """A run of 20 chunks by chance; with chance ``found`` the right one is among them, and first."""
    random = np.random.default_rng(seed)
    run: Run = {}
    for query in QUERIES:
        scores = {f"c{number:02}": float(random.uniform(0, 0.9)) for number in random.choice(40, 20, replace=False)}
        scores.pop(f"c{query[1:]}", None)
        if random.uniform() < found:
            scores[f"c{query[1:]}"] = 1.0
        run[query] = scores
    return run


def silent(stage: str, done: int, total: int) -> None:
    pass


def quality(sources: Mapping[str, Run], fusion: Fusion) -> float:
    run = fuse(fusion.method, sources, fusion.weights)
    right = [max(run[query], key=lambda chunk: (run[query][chunk], chunk)) == f"c{query[1:]}" for query in QUERIES]
    return float(np.mean(right))


def test_a_source_that_only_disturbs_loses_its_weight() -> None:
    sources = {"good": source(1, 0.9), "bad": source(2, 0.0)}
    served = Fusion("soft", {"good": 1.0, "bad": 3.0})
    chosen = choose_fusion(sources, held_out(), served, SETTINGS, RULE).fusion
    assert chosen.weights["good"] > chosen.weights["bad"]
    assert quality(sources, chosen) > quality(sources, served) + 0.3
    assert quality(sources, chosen) == quality(sources, Fusion("soft", {"good": 1.0}))


def test_what_is_served_stays_when_nothing_is_better() -> None:
    sources = {"good": source(1, 0.9)}
    served = Fusion("soft", {"good": 1.0})
    chosen = choose_fusion(sources, held_out(), served, SETTINGS, RULE)
    assert chosen.fusion is served
    assert (chosen.on, chosen.queries) == ("dev", 40)


def test_two_sources_that_err_independently_are_both_used() -> None:
    random = np.random.default_rng(5)
    sources: dict[str, Run] = {}
    for name in ("one", "two"):
        noise = {query: random.normal(0, 1, 40) for query in QUERIES}
        sources[name] = {
            query: {
                f"c{number:02}": float(noise[query][number]) + 2 * (query == f"q{number:02}") for number in range(40)
            }
            for query in QUERIES
        }
    served = Fusion("soft", {"one": 1.0, "two": 0.0})
    chosen = choose_fusion(sources, held_out(), served, SETTINGS, RULE).fusion
    assert all(chosen.weights.values())
    assert quality(sources, chosen) > quality(sources, served) + 0.1


def test_every_part_of_the_bench_is_fused_and_keeps_its_queries() -> None:
    sources = {"a": {"verdict": {"q": {"c": 2.0, "d": 1.0}, "r": {}}}, "b": {"verdict": {"q": {"d": 9.0}, "r": {}}}}
    fused = fused_runs(sources, Fusion("soft", {"a": 1.0, "b": 3.0}))
    # soft voting: c gets 1 · 1/4; d gets 0 · 1/4 + 1 · 3/4
    assert fused == {"verdict": {"q": {"c": 0.25, "d": 0.75}, "r": {}}}


def searcher(
    rerank: Callable[..., dict[str, float]], languages: tuple[str, ...] = ("en",), served: Reranker | None = None
) -> Any:
    """What the referee sees of a searcher: a re-ranking of one query's list, and which languages it judges."""
    cross = SimpleNamespace(judges=lambda language: language in languages)
    release = Release("g", 1, {}, Fusion("soft", {}), served)

    def opened_as(other: Release) -> Any:
        assert other.reranker == served or other.reranker == Reranker("cross")
        return SimpleNamespace(reranker=cross, rerank=rerank)

    settings = SimpleNamespace(cross_encoder=SimpleNamespace(name="cross"))
    return SimpleNamespace(release=release, settings=settings, opened_as=opened_as)


def test_a_reranker_enters_when_it_is_better_and_not_when_it_is_worse() -> None:
    part = held_out()
    right = {query: f"c{query[1:]}" for query in QUERIES}
    fused = {query: {f"c{(int(query[1:]) + 1) % 40:02}": 1.0, right[query]: 0.5} for query in QUERIES}

    def knowing(text: str, ranking: Mapping[str, float], seconds: float | None) -> dict[str, float]:
        assert text == "what is it"
        assert seconds is None
        return {chunk: -score for chunk, score in ranking.items()}

    better = judge_reranker(searcher(knowing), fused, part, SETTINGS, RULE, silent)
    assert better is not None
    assert better.verdict is not None
    assert better.verdict.promoted
    assert better.verdict.queries == 40
    reversed_fused = {query: {chunk: -score for chunk, score in scores.items()} for query, scores in fused.items()}
    worse = judge_reranker(searcher(knowing), reversed_fused, part, SETTINGS, RULE, silent)
    assert worse is not None
    assert worse.verdict is not None
    assert not worse.verdict.promoted


def test_a_reranker_is_judged_on_a_sample_and_within_its_time() -> None:
    def slow(text: str, ranking: Mapping[str, float], seconds: float | None) -> dict[str, float]:
        calls.append(text)
        return dict(ranking)

    fused = source(1, 0.5)
    calls: list[str] = []
    sampled = judge_reranker(searcher(slow), fused, held_out(), CompositionSettings(reranker_queries=32), RULE, silent)
    assert len(calls) == 32
    assert sampled is not None
    assert sampled.verdict is not None
    assert sampled.verdict.queries == 32
    late = judge_reranker(searcher(slow), fused, held_out(), CompositionSettings(reranker_seconds=1e-9), RULE, silent)
    assert late is not None
    assert late.verdict is None
    assert late.reason.startswith("only 0 queries were re-ranked")


def test_a_reranker_is_not_asked_about_a_language_it_cannot_judge() -> None:
    def never(text: str, ranking: Mapping[str, float], seconds: float | None) -> dict[str, float]:
        raise AssertionError("asked")

    found = judge_reranker(searcher(never, ("ja",)), source(1, 0.5), held_out(), SETTINGS, RULE, silent)
    assert found is not None
    assert found.verdict is None
    assert found.reason == "it cannot judge 'en', the language of most queries"
    japanese = Reranker("cross", "20260101T000000-abcd", languages=("ja",))
    unproven = judge_reranker(searcher(never, served=japanese), source(1, 0.5), held_out(), SETTINGS, RULE, silent)
    assert unproven is not None
    assert unproven.verdict is None
    off = CompositionSettings(reranker_queries=0)
    assert judge_reranker(searcher(never), source(1, 0.5), held_out(), off, RULE, silent) is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"methods": ("vote",)}, "unknown fusion 'vote'; known are: soft, zscore, rank"),
        ({"weights": (1.0, -1.0)}, "weights of a fusion must be 0 or above"),
        ({"reranker_queries": -1}, "reranker_queries must be 0 or above"),
        ({"development": 0.6}, "development is a share of the training queries, 0 to 0.5, not 0.6"),
        ({"reranker_seconds": 0.0}, "reranker_seconds above 0"),
    ],
)
def test_impossible_settings_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompositionSettings(**changed)
