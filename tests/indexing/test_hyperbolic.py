"""Hyperbolic distance: known values, and the exact search against the distances themselves."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexing.generations import GenerationEncoder, IndexedDocument, norms_file, vectors_file
from indexing.home import Home, SpecmineError
from indexing.hyperbolic import CURVATURE, exp0, hyperbolic_run, lorentz
from indexing.specs import MINILM

ENCODER = GenerationEncoder(MINILM, "f" * 64)


def distance(x: np.ndarray, y: np.ndarray, c: float = CURVATURE) -> np.ndarray:
    """The oracle: the distance between points (…, d) of the ball, in the form that is exact for close ones too."""
    squares = ((x - y) ** 2).sum(axis=-1)
    z = 2 * c * squares / ((1 - c * (x**2).sum(axis=-1)) * (1 - c * (y**2).sum(axis=-1)))
    return np.asarray(np.log1p(z + np.sqrt(z * (z + 2))) / np.sqrt(c))


def test_known_distances() -> None:
    centre, right, up = np.zeros(2), np.array([0.5, 0.0]), np.array([0.0, 0.5])
    assert distance(centre, right, c=1.0) == pytest.approx(math.log(3))
    assert distance(right, up, c=1.0) == pytest.approx(1.6806998)
    unit = np.eye(2)
    assert distance(*exp0(unit, c=0.1), c=0.1) == pytest.approx(2.9163433)


def test_the_map_from_the_centre_keeps_lengths_doubled_and_clips_them() -> None:
    tangent = np.array([[0.3, -0.4, 1.2], [30.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    points = exp0(tangent, c=1.0, radius=2.3)
    assert distance(np.zeros(3), points[:2], c=1.0) == pytest.approx([2 * 1.3, 2 * 2.3])
    assert (points[2] == 0).all()
    far = exp0(tangent, c=4.0, radius=1e9)[1]
    assert np.linalg.norm(far) == pytest.approx((1 - 1e-3) / 2)  # never on the edge, at 1/√c


points = st.lists(st.floats(-3, 3), min_size=4, max_size=4).map(np.array)


@given(x=points, y=points, c=st.sampled_from([1e-3, 0.1, 1.0, 2.0]))
def test_the_distance_agrees_with_the_artanh_form_and_with_lorentz(x: np.ndarray, y: np.ndarray, c: float) -> None:
    a, b = exp0(np.stack([x, y]), c)
    d = float(distance(a, b, c))
    # Möbius addition, as in Ganea et al., arXiv 1805.09112; the oracle loses digits near the edge.
    product, aa, bb = -a @ b, a @ a, b @ b
    moebius = (-(1 + 2 * c * product + c * bb) * a + (1 - c * aa) * b) / (1 + 2 * c * product + c * c * aa * bb)
    oracle = 2 / math.sqrt(c) * math.atanh(min(math.sqrt(c) * np.linalg.norm(moebius), 1 - 1e-15))
    assert d == pytest.approx(oracle, rel=1e-4, abs=1e-6 / math.sqrt(c))
    one, other = lorentz(np.stack([a, b]), c)
    assert c * (one[0] * other[0] - one[1:] @ other[1:]) == pytest.approx(
        math.cosh(math.sqrt(c) * d), rel=1e-6, abs=1e-6
    )


def test_the_flat_limit() -> None:
    u, v = np.array([0.3, 0.4]), np.array([-0.5, 0.1])
    assert distance(*exp0(np.stack([u, v]), c=1e-9), c=1e-9) == pytest.approx(2 * np.linalg.norm(u - v), rel=1e-3)


def keep(home: Home, sizes: list[int], scale: float) -> tuple[dict[str, IndexedDocument], np.ndarray, np.ndarray]:
    """Keep random vectors and norms for documents of so many chunks; norms spread around 5, or all 5."""
    random = np.random.default_rng(3)
    rows = random.normal(size=(sum(sizes), 6)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    norms = (5 + scale * random.uniform(-4, 4, len(rows))).astype(np.float32)
    documents = {}
    first = 0
    for number, size in enumerate(sizes):
        part = slice(first, first + size)
        path = vectors_file(home, ENCODER.fingerprint, f"k{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rows[part])
        np.save(norms_file(home, ENCODER.fingerprint, f"k{number}"), norms[part])
        documents[f"d{number}"] = IndexedDocument(f"k{number}", "", "", "", 1, 0, size)
        first += size
    return documents, rows, norms


def test_the_search_is_exact_and_its_neighbours_are_not_those_by_cosine(home: Home) -> None:
    documents, rows, norms = keep(home, [30, 0, 50, 40], scale=1.0)
    names = [f"c{i}" for i in range(len(rows))]
    queries, lengths = rows[[7, 99]] + np.float32(0.2), np.array([4.0, 60.0], np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    run = hyperbolic_run(home, ENCODER, documents, names, ["q", "far"], (queries, lengths), 10)
    unit = float(np.median(norms))
    placed = exp0(rows * (norms.astype(np.float64) / unit)[:, None])
    for query, row, length in zip(run, queries, lengths, strict=True):
        expected = distance(exp0(row[None] * (float(length) / unit)), placed)
        best = sorted(range(len(names)), key=lambda i: expected[i])[:10]
        assert run[query] == pytest.approx({names[i]: -expected[i] for i in best}, abs=1e-4)
        cosine = sorted(range(len(names)), key=lambda i: -(rows[i] @ row))[:10]
        assert set(best) != set(cosine)


def test_equal_norms_give_no_neighbours_and_say_so(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    documents, rows, _ = keep(home, [20], scale=0.0)
    with caplog.at_level(logging.WARNING):
        run = hyperbolic_run(home, ENCODER, documents, [f"c{i}" for i in range(20)], ["q"], (rows[:1], np.ones(1)), 5)
    assert run == {"q": {}}
    assert "encoder minilm gives all texts the norm 5" in caplog.text


def test_a_home_without_norms_says_what_to_do(home: Home) -> None:
    documents, rows, _ = keep(home, [3, 4], scale=1.0)
    norms_file(home, ENCODER.fingerprint, "k1").unlink()
    with pytest.raises(SpecmineError, match=r"lacks the norms of document vectors.*run `specmine reindex`") as caught:
        hyperbolic_run(home, ENCODER, documents, list("abcdefg"), ["q"], (rows[:1], np.ones(1)), 5)
    assert "\n" not in str(caught.value)


def test_nothing_indexed_gives_nothing(home: Home) -> None:
    assert hyperbolic_run(home, ENCODER, {}, [], ["q"], (np.ones((1, 6)), np.ones(1)), 5) == {"q": {}}
