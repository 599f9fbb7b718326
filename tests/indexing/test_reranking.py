"""The head of a list re-ordered: by arithmetic, within a time, and in proven languages alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk
from indexing.home import Home, SpecmineError, write_json
from indexing.releases import Fusion, Release, Reranker, list_releases, publish, read_release
from indexing.reranking import SCALES, placed_text, reordered, rerank, reranker_spec

BY = Reranker("cross", "20260101T000000-abcd", weight=0.5, depth=3, languages=("en",))
RANKING = {"a": 1.0, "b": 0.8, "c": 0.6, "d": 0.4}


class Cross:
    """Scores a passage by the number it holds."""

    def __init__(self, languages: tuple[str, ...] = ("en", "ja"), seconds: float = 0.0) -> None:
        self.languages, self.seconds = languages, seconds
        self.asked: list[tuple[str, str]] = []

    def judges(self, language: str) -> bool:
        return language in self.languages

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        time.sleep(self.seconds)
        self.asked += pairs
        return np.array([float(text.rpartition(" ")[2]) for _, text in pairs], dtype=np.float32)


def chunk(name: str, number: float) -> Chunk:
    return Chunk(name, "d", "Bolts", 0, ("5 Torques", "5.1 Steel"), 1, 1, 0, 9, f"torque {number}", "", 9)


NUMBERS = {"a": 1.0, "b": 9.0, "c": 5.0, "d": 99.0}


def chunks(ids: Sequence[str]) -> Mapping[str, Chunk]:
    return {name: chunk(name, NUMBERS[name]) for name in ids}


def test_the_head_is_ordered_by_the_mean_of_both_scores() -> None:
    cross = Cross()
    found = rerank("which torque", RANKING, BY, cross, chunks, None)
    # fused, scaled over the three: 1, .5, 0; cross: (1 - 1) / 8, (9 - 1) / 8, (5 - 1) / 8; half and half:
    mixed = {"a": 0.5, "b": 0.75, "c": 0.25}
    # above all that was not scored: the least of them stands one above the greatest fused score
    assert found == pytest.approx({name: 1.0 + 1.0 + score - 0.25 for name, score in mixed.items()} | {"d": 0.4})
    assert [text for _, text in cross.asked] == [f"Bolts\n5 Torques > 5.1 Steel\ntorque {NUMBERS[n]}" for n in "abc"]
    alone = rerank("which torque", RANKING, replace(BY, weight=1.0), cross, chunks, None)
    assert sorted(alone, key=lambda name: -alone[name]) == ["b", "c", "a", "d"]


def test_a_logit_that_is_sure_of_nothing_leaves_the_fused_order() -> None:
    by = replace(BY, scale="logit", weight=0.5)
    unsure, sure = {"a": 1.0, "b": 1.01, "c": 0.99}, {"a": 1.0, "b": 4.0, "c": 0.0}
    assert sorted(RANKING, key=lambda n: -reordered(RANKING, unsure, by)[n]) == ["a", "b", "c", "d"]
    # fused 1, .5, 0; logits less the best: -3, 0, -4
    assert reordered(RANKING, sure, by)["b"] - reordered(RANKING, sure, by)["a"] == pytest.approx(0.5 * (0.5 - 1 + 3))
    # scaled to 0 … 1 the unsure ones would turn it round
    assert reordered(RANKING, unsure, replace(by, scale="minmax"))["b"] > 2.0 + 0.5 * 0.5


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=3), st.integers(-50, 50).map(lambda tenths: tenths / 10), min_size=1
    ),
    st.sampled_from(sorted(SCALES)),
    st.floats(0, 1),
    st.data(),
)
def test_what_was_not_scored_keeps_its_order_behind(
    ranking: dict[str, float], scale: str, weight: float, data: st.DataObject
) -> None:
    order = sorted(ranking, key=lambda name: (-ranking[name], name))
    scored = order[: data.draw(st.integers(0, len(order)))]
    logits = {name: data.draw(st.floats(-20, 20)) for name in scored}
    found = reordered(ranking, logits, Reranker("x", weight=weight, scale=scale))
    again = sorted(found, key=lambda name: (-found[name], name))
    assert set(again[: len(scored)]) == set(scored)
    assert again[len(scored) :] == order[len(scored) :]
    if weight == 0.0:  # the cross-encoder has no say: ties aside, nothing moves
        assert [ranking[name] for name in again] == [ranking[name] for name in order]


def test_no_batch_is_begun_when_the_time_is_over() -> None:
    many = {f"p{place:02}": 1.0 - place / 100 for place in range(12)}
    cross = Cross(seconds=0.05)
    found = rerank(
        "which torque", many, replace(BY, depth=12), cross, lambda ids: {n: chunk(n, int(n[1:])) for n in ids}, 0.01
    )
    assert len(cross.asked) == 4
    assert sorted(found, key=lambda name: -found[name])[4:] == [f"p{place:02}" for place in range(4, 12)]


@pytest.mark.parametrize(
    ("languages", "read", "query", "touched"),
    [
        (("en",), ("en", "ja"), "which torque", True),
        (("en",), ("en", "ja"), "締付トルクは", False),  # not proven in it
        (None, ("en",), "締付トルクは", False),  # not read
        (None, ("en", "ja"), "締付トルクは", True),
        ((), ("en",), "which torque", False),
    ],
)
def test_only_queries_of_a_proven_language_are_touched(
    languages: tuple[str, ...] | None, read: tuple[str, ...], query: str, touched: bool
) -> None:
    cross = Cross(read)
    found = rerank(query, RANKING, replace(BY, languages=languages), cross, chunks, None)
    assert (found != RANKING) is touched
    assert bool(cross.asked) is touched


def test_a_table_is_read_under_its_header_and_ruling_lines_are_not() -> None:
    row = replace(chunk("t", 0), text="| M39 | 7 N·m |\n-----------", lead="| Thread | Torque |")
    assert placed_text(row) == "Bolts\n5 Torques > 5.1 Steel\n| Thread | Torque |\n| M39 | 7 N·m |"
    assert placed_text(replace(row, encoder_text="other")) == placed_text(row)


def test_a_release_keeps_its_reranker_and_reads_older_ones(home: Home) -> None:
    release = Release("g1", 1, {"one": "base"}, Fusion("soft", {"one": 1.0}))
    assert read_release(home, publish(home, release).id).reranker is None
    assert read_release(home, publish(home, replace(release, reranker=BY)).id).reranker == BY
    old = {"generation": "g1", "content": 1, "encoders": {}, "fusion": {"method": "soft", "weights": {}}, "id": "r0003"}
    write_json(home.releases / "r0003.json", {**old, "reranker": "ms-marco"})
    assert read_release(home, "r0003").reranker == Reranker("ms-marco", "base", 0.5, "minmax", 20, None)
    assert len(list_releases(home)) == 3


def test_a_version_that_is_gone_is_told_in_one_line(home: Home) -> None:
    with pytest.raises(SpecmineError, match=r"version '20260101T000000-abcd' of the re-ranker is gone .*: roll back"):
        reranker_spec(home, BY.version)
