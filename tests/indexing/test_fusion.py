"""Fusion: expected values written out, and what must hold for any runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.fusion import FUSIONS, Run, fuse

RUNS: dict[str, Run] = {
    "a": {"q": {"x": 0.9, "y": 0.5, "z": 0.1}},
    "b": {"q": {"y": 12.0, "w": 4.0}},
}


def test_soft_voting_by_hand() -> None:
    fused = fuse("soft", RUNS, {"a": 1.0, "b": 3.0})["q"]
    assert fused == pytest.approx({"x": 1 / 4 * 1.0, "y": 1 / 4 * 0.4 / 0.8 + 3 / 4 * 1.0, "z": 0.0, "w": 0.0})


def test_reciprocal_rank_by_hand() -> None:
    fused = fuse("rrf", RUNS, {"a": 1.0, "b": 1.0})["q"]
    assert fused == pytest.approx({"x": 0.5 / 61, "y": 0.5 / 62 + 0.5 / 61, "z": 0.5 / 63, "w": 0.5 / 62})


def test_sources_without_weight_take_no_part() -> None:
    assert set(fuse("soft", RUNS, {"a": 1.0, "b": 0.0})["q"]) == {"x", "y", "z"}


def test_a_query_only_one_source_answers_is_kept() -> None:
    runs: dict[str, Run] = {"a": {"q": {}}, "b": {"q": {"x": 1.0}, "p": {"y": 2.0}}}
    assert fuse("soft", runs, {"a": 1.0, "b": 1.0}) == {"q": {"x": 0.5}, "p": {"y": 0.5}}


def test_unknown_method_lists_the_known() -> None:
    with pytest.raises(ValueError, match="unknown fusion 'borda'; known are: soft, rrf"):
        fuse("borda", RUNS, {"a": 1.0})


scores = st.dictionaries(st.sampled_from("abcdef"), st.floats(-1e3, 1e3), max_size=6)


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
