"""Exact search in blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.exact import exact_run, in_blocks


def unit(random: np.random.Generator, rows: int) -> np.ndarray:
    vectors = random.normal(size=(rows, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@given(st.integers(1, 150), st.integers(1, 40), st.integers(1, 60), st.integers(1, 50), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_an_exact_run_holds_the_best_of_all_documents(
    queries: int, documents: int, depth: int, rows: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    q, x = unit(random, queries), unit(random, documents)
    names, chunks = [f"q{i}" for i in range(queries)], [f"c{i}" for i in range(documents)]
    run = exact_run(names, q, in_blocks([x[i : i + 7] for i in range(0, documents, 7)], rows), chunks, depth)
    assert list(run) == names
    for place, name in enumerate(names):
        scores = q[place] @ x.T
        assert len(run[name]) == min(depth, documents)
        for chunk, score in run[name].items():
            assert score == pytest.approx(scores[int(chunk[1:])], abs=1e-6)
        assert min(run[name].values()) >= np.sort(scores)[::-1][min(depth, documents) - 1] - 1e-6


def test_no_documents_give_empty_rankings() -> None:
    run = exact_run(["q"], np.ones((1, 8), np.float32), [], [], 10)
    assert run == {"q": {}}


def test_blocks_have_so_many_rows_and_end_with_a_part() -> None:
    parts = [np.arange(first, last) for first, last in ((0, 3), (3, 3), (3, 5), (5, 12), (12, 13))]
    blocks = list(in_blocks(parts, 4))
    assert [list(block) for block in blocks] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10, 11], [12]]
