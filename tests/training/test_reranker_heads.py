"""The groups of a re-ranker are of the head of the list that it re-orders."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.reranker_heads import in_heads
from training.targets import Example

ROWS = {f"c{row}": row for row in range(12)}


def example(query: str, positives: set[int], masked: set[int], ledger: set[int]) -> Example:
    parts = (np.asarray(sorted(part), dtype=np.int64) for part in (positives, masked, ledger))
    return Example(query, query, *parts)


def test_judged_passages_and_negatives_are_of_the_head_alone() -> None:
    examples = [
        example("found", {1, 9}, {2}, {11}),
        example("below", {9}, set(), {11}),
        example("alone", {1}, {2, 3}, {11}),
    ]
    heads = {"found": ["c3", "c1", "c2", "gone", "c4"], "below": ["c1", "c2"], "alone": ["c1", "c2", "c3"]}
    (found,) = in_heads(examples, heads, ROWS)
    assert found.query == "found"
    assert found.positives.tolist() == [1]
    assert found.ledger.tolist() == [3, 4]  # neither the masked 2, nor the ledger's 11, which is not in the head
    assert found.masked.tolist() == [2, 9]  # a judged passage below the head is never a negative


@given(st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_nothing_counts_against_a_query_that_did_not_before(
    positives: set[int], masked: set[int], head: set[int]
) -> None:
    given_example = example("q", positives, masked - positives, set())
    for found in in_heads([given_example], {"q": [f"c{row}" for row in head]}, ROWS):
        assert set(found.ledger.tolist()) == head - positives - masked
        assert set(found.positives.tolist()) == head & positives
        assert not set(found.ledger.tolist()) & set(found.masked.tolist())
        assert positives <= {*found.positives.tolist(), *found.masked.tolist()}
