"""Weights learned on plain runs, whose best fusion is known beforehand."""

from __future__ import annotations

from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.measures import measure
from evaluation.projection import Projection
from indexing.fusion import Run, fuse
from indexing.releases import Fusion
from mining.fusion_weights import _folds, learn_fusion

QUERIES = [f"q{number:02}" for number in range(40)]
GROUPS = {query: query for query in QUERIES}
WEIGHTS = (0.0, 0.5, 1.0, 2.0)
PROJECTION = Projection(
    {query: {f"d{query[1:]}": 1} for query in QUERIES},
    {query: {f"c{query[1:]}": (f"d{query[1:]}",)} for query in QUERIES},
    (),
    [],
)


def source(seed: int, signal: float) -> Run:
    """Chunk c07 is right for query q07, and scores higher by ``signal`` standard deviations of the noise."""
    random = np.random.default_rng(seed)
    return {
        query: {f"c{number:02}": float(random.normal() + signal * (query == f"q{number:02}")) for number in range(40)}
        for query in QUERIES
    }


def mean(sources: dict[str, Run], fusion: Fusion) -> float:
    return measure(fuse(fusion.method, sources, fusion.weights), PROJECTION).mean["RR@10"]


def test_a_source_of_noise_loses_its_weight_and_the_gain_holds_on_unseen_queries() -> None:
    sources = {"good": source(1, 4.0), "noise": source(2, 0.0)}
    start = Fusion("soft", {"good": 1.0, "noise": 2.0})
    learned = learn_fusion(sources, PROJECTION, GROUPS, start, ["soft"], WEIGHTS, "RR@10")
    assert learned.fusion.weights["noise"] == 0
    assert learned.before == pytest.approx(mean(sources, start))
    assert learned.chosen == pytest.approx(mean(sources, learned.fusion))
    assert learned.held_out is not None
    assert learned.held_out > learned.before + 0.2


def test_nothing_to_learn_from_noise_is_not_believed() -> None:
    sources = {f"noise{seed}": source(seed, 0.0) for seed in range(6)}
    start = Fusion("soft", dict.fromkeys(sources, 1.0))
    learned = learn_fusion(sources, PROJECTION, GROUPS, start, ["soft", "rrf", "max"], WEIGHTS, "RR@10")
    assert learned.chosen > learned.before + 0.05  # what choosing on the same queries promises
    assert learned.held_out is not None
    assert learned.held_out < learned.before + 0.02  # and what it keeps


def test_the_start_stays_where_nothing_is_better() -> None:
    sources = {"only": source(1, 3.0)}
    start = Fusion("soft", {"only": 1.0})
    learned = learn_fusion(sources, PROJECTION, GROUPS, start, ["soft", "rrf"], WEIGHTS, "nDCG@10")
    assert learned.fusion is start
    assert learned.held_out == pytest.approx(learned.before) == learned.chosen


def test_one_group_has_nothing_held_out() -> None:
    sources = {"good": source(1, 4.0), "noise": source(2, 0.0)}
    start = Fusion("soft", {"good": 1.0, "noise": 1.0})
    one = dict.fromkeys(QUERIES, "all")
    assert learn_fusion(sources, PROJECTION, one, start, ["soft"], WEIGHTS, "RR@10").held_out is None


def test_the_same_seed_learns_the_same() -> None:
    sources = {"a": source(1, 1.0), "b": source(2, 1.5)}
    start = Fusion("soft", {"a": 1.0, "b": 1.0})
    learned = [learn_fusion(sources, PROJECTION, GROUPS, start, ["soft"], WEIGHTS, "RR@10", seed) for seed in (3, 3, 4)]
    assert learned[0] == learned[1]
    assert learned[0].chosen == learned[2].chosen  # the folds decide nothing


@given(groups=st.dictionaries(st.sampled_from(QUERIES), st.sampled_from("abcdefg"), min_size=1), seed=st.integers(0, 9))
def test_folds_part_the_queries_and_no_group(groups: dict[str, str], seed: int) -> None:
    folds = _folds(sorted(groups), groups, seed)
    assert sorted(query for fold in folds for query in fold) == sorted(groups)
    assert len(folds) == min(5, len(set(groups.values())))
    of_group: dict[str, set[int]] = {}
    for number, fold in enumerate(folds):
        assert fold
        for query in fold:
            of_group.setdefault(groups[query], set()).add(number)
    assert all(len(numbers) == 1 for numbers in of_group.values())


def test_the_mean_is_over_queries() -> None:
    sources = {"good": source(1, 2.0)}
    start = Fusion("rrf", {"good": 1.0})
    values = measure(fuse("rrf", sources, start.weights), PROJECTION).column("nDCG@10")
    learned = learn_fusion(sources, PROJECTION, GROUPS, start, [], WEIGHTS, "nDCG@10")
    assert learned.before == pytest.approx(fmean(values.values()))
