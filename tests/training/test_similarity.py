from __future__ import annotations

import numpy as np
import pytest

from training.similarity import NODES, histograms, overlap


def unit(random: np.random.Generator, rows: int) -> np.ndarray:
    vectors = random.normal(size=(rows, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def test_a_similarity_is_shared_between_the_two_nodes_beside_it() -> None:
    # cosines of the query with the documents: .5 (a node), .503, -1 and 1 (the ends)
    documents = np.array([[0.5, 0], [0.503, 0], [-1, 0], [1, 0]], dtype=np.float32)
    query = np.array([[1, 0]], dtype=np.float32)
    found = histograms(["q"], query, documents, ["a", "b", "c", "d"], {"q": ["a", "b"]})
    node = {round(-1 + 2 * place / (NODES - 1), 2): place for place in range(NODES)}
    positive, negative = found["positive"], found["negative"]
    assert positive[node[0.5]] == pytest.approx((1 + 0.7) / 2, abs=1e-4)
    assert positive[node[0.51]] == pytest.approx(0.3 / 2, abs=1e-4)
    assert negative[0] == negative[-1] == pytest.approx(1 / 2)
    assert sum(positive) == pytest.approx(1, abs=1e-6)
    assert sum(negative) == pytest.approx(1, abs=1e-6)


def histogram(positive: list[int], negative: list[int]) -> dict[str, list[float]]:
    """Equal shares on the given nodes of five."""
    return {
        name: [nodes.count(node) / len(nodes) for node in range(5)]
        for name, nodes in (("positive", positive), ("negative", negative))
    }


def test_the_overlap_is_the_histogram_loss() -> None:
    # Ustinova & Lempitsky's loss at R = 5: positives at .5 and 1, negatives at 0 and .5
    assert overlap(histogram([3, 4], [2, 3])) == pytest.approx(0.25)
    assert overlap(histogram([4], [0, 1])) == 0
    assert overlap(histogram([0], [4])) == 1


def test_separated_similarities_overlap_less_than_mixed_ones() -> None:
    random = np.random.default_rng(0)
    q, x = unit(random, 30), unit(random, 50)
    names, chunks = [f"q{i}" for i in range(30)], [f"c{i}" for i in range(50)]
    best = {name: [chunks[int((q[i] @ x.T).argmax())]] for i, name in enumerate(names)}
    some = {name: [chunks[i]] for i, name in enumerate(names)}
    assert overlap(histograms(names, q, x, chunks, best)) < 0.1
    assert 0.3 < overlap(histograms(names, q, x, chunks, some)) < 0.7
