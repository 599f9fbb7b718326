"""Fusion: expected values written out, references from other libraries, and what must hold for any runs."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from qdrant_client.hybrid.fusion import distribution_based_score_fusion, reciprocal_rank_fusion
from qdrant_client.models import ScoredPoint
from scipy.stats import rankdata, zscore
from sklearn.preprocessing import minmax_scale

from indexing.fusion import FUSIONS, Run, fuse

RUNS: dict[str, Run] = {
    "a": {"q": {"x": 0.9, "y": 0.5, "z": 0.1}},
    "b": {"q": {"y": 12.0, "w": 4.0}},
}
# Those that read scores are the same when a source's scores are all scaled and shifted; the others read ranks alone.
READS_SCORES = {"soft", "zscore", "max"}
# A z-score's deviation grows with an outlier, so that raising one score can bring it nearer to the others.
FALLS_BACK_WHEN_RAISED = {"zscore"}


def test_soft_voting_by_hand() -> None:
    fused = fuse("soft", RUNS, {"a": 1.0, "b": 3.0})["q"]
    assert fused == pytest.approx({"x": 1 / 4 * 1.0, "y": 1 / 4 * 0.4 / 0.8 + 3 / 4 * 1.0, "z": 0.0, "w": 0.0})


def test_standard_scores_by_hand() -> None:
    fused = fuse("zscore", RUNS, {"a": 1.0, "b": 3.0})["q"]
    a = math.sqrt((0.4**2 + 0 + 0.4**2) / 3)  # the deviation from the mean, .5
    b = math.sqrt((4**2 + 4**2) / 2)  # from 8
    assert fused == pytest.approx({"x": 1 / 4 * 0.8 / a, "y": 1 / 4 * 0.4 / a + 3 / 4 * 8 / b, "z": 0.0, "w": 0.0})


def test_rank_voting_by_hand() -> None:
    fused = fuse("rank", RUNS, {"a": 1.0, "b": 3.0})["q"]
    assert fused == pytest.approx(
        {"x": 1 / 4 * 3 / 3, "y": 1 / 4 * 2 / 3 + 3 / 4 * 2 / 2, "z": 1 / 4 * 1 / 3, "w": 3 / 4 * 1 / 2}
    )


def test_reciprocal_rank_by_hand() -> None:
    fused = fuse("rrf", RUNS, {"a": 1.0, "b": 1.0})["q"]
    assert fused == pytest.approx({"x": 0.5 / 61, "y": 0.5 / 62 + 0.5 / 61, "z": 0.5 / 63, "w": 0.5 / 62})


def test_best_vote_by_hand() -> None:
    fused = fuse("max", RUNS, {"a": 1.0, "b": 2.0})["q"]
    assert fused == pytest.approx({"x": 1 / 2 * 1.0, "y": max(1 / 2 * 0.4 / 0.8, 1.0), "z": 0.0, "w": 0.0})


def test_borda_by_hand() -> None:
    # Four chunks in all. The first list leaves one point, for w; the second leaves two and one, for x and z.
    fused = fuse("borda", RUNS, {"a": 1.0, "b": 3.0})["q"]
    points = {"x": (4, 1.5), "y": (3, 4), "z": (2, 1.5), "w": (1, 3)}
    assert fused == pytest.approx({chunk: (1 * a + 3 * b) / 4 / 4 for chunk, (a, b) in points.items()})
    assert sum(fused.values()) == pytest.approx((4 + 3 + 2 + 1) / 4)


def test_sources_without_weight_take_no_part() -> None:
    assert set(fuse("soft", RUNS, {"a": 1.0, "b": 0.0})["q"]) == {"x", "y", "z"}


def test_a_query_only_one_source_answers_is_kept() -> None:
    runs: dict[str, Run] = {"a": {"q": {}}, "b": {"q": {"x": 1.0}, "p": {"y": 2.0}}}
    assert fuse("soft", runs, {"a": 1.0, "b": 1.0}) == {"q": {"x": 0.5}, "p": {"y": 0.5}}


def test_unknown_method_lists_the_known() -> None:
    with pytest.raises(ValueError, match="unknown fusion 'condorcet'; known are: soft, zscore, rank, rrf, max, borda"):
        fuse("condorcet", RUNS, {"a": 1.0})


# Eighths and powers of two: scaling them is exact.
number = st.integers(-800, 800).map(lambda eighths: eighths / 8)
scores = st.dictionaries(st.sampled_from("abcdef"), number, max_size=6)
full = st.lists(number, min_size=6, max_size=6).map(lambda six: dict(zip("abcdef", six, strict=True)))


def points(run: dict[str, float]) -> list[ScoredPoint]:
    best_first = sorted(run, key=lambda chunk: (-run[chunk], chunk))
    return [ScoredPoint(id=ord(chunk), version=0, score=run[chunk], payload={}) for chunk in best_first]


@given(first=scores, second=scores)
def test_reciprocal_rank_agrees_with_qdrants(first: dict[str, float], second: dict[str, float]) -> None:
    theirs = reciprocal_rank_fusion([points(first), points(second)], 99, ranking_constant_k=61)
    ours = fuse("rrf", {"a": {"q": first}, "b": {"q": second}}, {"a": 1.0, "b": 1.0})["q"]
    assert {ord(chunk): 2 * vote for chunk, vote in ours.items()} == pytest.approx({p.id: p.score for p in theirs})


@given(first=full, second=full)
def test_standard_scores_agree_with_scipys_and_qdrants(first: dict[str, float], second: dict[str, float]) -> None:
    assume(len(set(first.values())) > 1 < len(set(second.values())))
    ours = fuse("zscore", {"a": {"q": first}, "b": {"q": second}}, {"a": 1.0, "b": 1.0})["q"]
    z = [zscore(list(run.values())) for run in (first, second)]
    expected = sum(part - part.min() for part in z) / 2
    assert ours == pytest.approx(dict(zip("abcdef", expected, strict=True)))
    # Theirs scales by six deviations of a sample around one half; both lists hold all chunks, so only this differs.
    theirs = {p.id: p.score for p in distribution_based_score_fusion([points(first), points(second)], 99)}
    as_ours = {chunk: 6 * (score - 1) * math.sqrt(6 / 5) / 2 for chunk, score in theirs.items()}
    least = sum(part.min() for part in z) / 2
    assert {ord(chunk): vote + least for chunk, vote in ours.items()} == pytest.approx(as_ours, abs=1e-9)


@given(run=full)
def test_scaled_scores_and_ranks_agree_with_scikit_learns_and_scipys(run: dict[str, float]) -> None:
    values = np.array(list(run.values()))
    if np.ptp(values) > 0:
        for method in ("soft", "max"):
            assert list(fuse(method, {"a": {"q": run}}, {"a": 2.0})["q"].values()) == pytest.approx(
                list(minmax_scale(values))
            )
    ranks = rankdata(-values, method="ordinal")  # ties in order of place, which is that of the names
    for method in ("rank", "borda"):  # alike where every source returns all
        assert list(fuse(method, {"a": {"q": run}}, {"a": 2.0})["q"].values()) == pytest.approx(list((7 - ranks) / 6))


@pytest.mark.parametrize("method", FUSIONS)
@given(first=scores, second=scores, scale=st.floats(0.1, 10))
def test_every_method_keeps_order_of_agreement_and_ignores_weight_scale(
    method: str, first: dict[str, float], second: dict[str, float], scale: float
) -> None:
    runs: dict[str, Run] = {"a": {"q": first}, "b": {"q": second}}
    fused = fuse(method, runs, {"a": 1.0, "b": 2.0})["q"]
    assert set(fused) == set(first) | set(second)
    again = fuse(method, runs, {"a": scale, "b": 2.0 * scale})["q"]
    assert again == pytest.approx(fused)
    for better in first.keys() & second.keys():
        for worse in first.keys() & second.keys():
            if first[better] > first[worse] and second[better] > second[worse]:
                assert fused[better] >= fused[worse]


@pytest.mark.parametrize("method", FUSIONS)
@given(first=scores, second=scores, third=scores)
def test_the_order_of_the_sources_does_not_count(
    method: str, first: dict[str, float], second: dict[str, float], third: dict[str, float]
) -> None:
    runs: dict[str, Run] = {"a": {"q": first}, "b": {"q": second}, "c": {"q": third}}
    weights = {"a": 1.0, "b": 2.0, "c": 0.5}
    turned = {name: runs[name] for name in ("c", "a", "b")}
    assert fuse(method, turned, weights)["q"] == pytest.approx(fuse(method, runs, weights)["q"])


@pytest.mark.parametrize("method", FUSIONS)
@given(first=scores, second=scores, factor=st.sampled_from([0.25, 2.0, 64.0]), shift=st.sampled_from([0.0, -8.0, 16.0]))
def test_a_sources_scale_does_not_count(
    method: str, first: dict[str, float], second: dict[str, float], factor: float, shift: float
) -> None:
    scaled = {chunk: factor * score + shift for chunk, score in first.items()}
    weights = {"a": 1.0, "b": 2.0}
    fused = fuse(method, {"a": {"q": first}, "b": {"q": second}}, weights)["q"]
    assert fuse(method, {"a": {"q": scaled}, "b": {"q": second}}, weights)["q"] == pytest.approx(fused)


@pytest.mark.parametrize("method", [name for name in FUSIONS if name not in READS_SCORES])
@given(first=scores, second=scores)
def test_what_reads_ranks_reads_no_scores(method: str, first: dict[str, float], second: dict[str, float]) -> None:
    bent = {chunk: score**3 for chunk, score in first.items()}
    weights = {"a": 1.0, "b": 2.0}
    fused = fuse(method, {"a": {"q": first}, "b": {"q": second}}, weights)["q"]
    assert fuse(method, {"a": {"q": bent}, "b": {"q": second}}, weights)["q"] == fused


@pytest.mark.parametrize("method", [name for name in FUSIONS if name not in FALLS_BACK_WHEN_RAISED])
@given(first=scores, second=scores, rise=st.sampled_from([0.125, 4.0, 1000.0]), data=st.data())
def test_a_chunk_whose_score_rises_falls_behind_none(
    method: str, first: dict[str, float], second: dict[str, float], rise: float, data: st.DataObject
) -> None:
    assume(first)
    chunk = data.draw(st.sampled_from(sorted(first)))
    raised = {**first, chunk: first[chunk] + rise}
    weights = {"a": 1.0, "b": 2.0}
    before = fuse(method, {"a": {"q": first}, "b": {"q": second}}, weights)["q"]
    after = fuse(method, {"a": {"q": raised}, "b": {"q": second}}, weights)["q"]
    for other in before:
        if before[chunk] >= before[other]:
            assert after[chunk] >= after[other] - 1e-9
