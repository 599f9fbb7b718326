"""Search by distance and by both, over either store: what comparing every document finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexing.geometry import Geometry
from indexing.geometry_search import nearest_by_geometry
from indexing.home import Home
from indexing.hyperbolic import place
from indexing.releases import Fusion, Release, current, publish
from indexing.stores.edge import EdgeStore
from indexing.stores.server import ServerStore, connect
from indexing.stores.store import Hit, MoreVectors, PointBatch, QueryVectors, Reader, Store
from tests.indexing.stores.test_stores import make_batch

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect", "ignore:Failed to obtain", "ignore:Local mode performs exact"
)


@pytest.fixture(params=["edge", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "edge":
        yield EdgeStore(tmp_path / "contents")
    else:
        client = connect(":memory:", None)
        yield ServerStore(client, "specmine_test")
        client.close()


def ball_distance(x: np.ndarray, y: np.ndarray, c: float) -> float:
    """Between points of the ball, by Möbius addition (Ganea et al., arXiv 1805.09112)."""
    product, aa, bb = -float(x @ y), float(x @ x), float(y @ y)
    top = -(1 + 2 * c * product + c * bb) * x + (1 - c * aa) * y
    moebius = np.linalg.norm(top / (1 + 2 * c * product + c * c * aa * bb))
    return float(2 / np.sqrt(c) * np.arctanh(np.sqrt(c) * moebius))


def in_ball(row: np.ndarray, length: float, c: float) -> np.ndarray:
    length = min(length, 2.3)
    return np.asarray(row * min(np.tanh(np.sqrt(c) * length), 1 - 1e-3) / np.sqrt(c))


def filled(store: Store, geometry: Geometry, documents: int) -> tuple[PointBatch, np.ndarray, Reader]:
    batch = make_batch([f"d{i}" for i in range(documents)], seed=30)
    lengths = np.random.default_rng(6).uniform(0.3, 3.5, len(batch.chunks))
    points = place(batch.dense["alpha"], lengths, geometry).astype(np.float32)
    store.write(1, None, [batch], ())
    ids = [chunk.id for chunk in batch.chunks]
    store.add_vectors(2, 1, [MoreVectors(ids, {geometry.vector_name("alpha"): points})])
    return batch, lengths / geometry.unit, store.reader(2)


def compared(
    batch: PointBatch, lengths: np.ndarray, row: np.ndarray, length: float, geometry: Geometry
) -> dict[str, float]:
    """Every chunk's score, by the formula."""
    c, found = geometry.curvature, {}
    for chunk, document, own in zip(batch.chunks, batch.dense["alpha"].astype(np.float64), lengths, strict=True):
        away = ball_distance(in_ball(row, length, c), in_ball(document, own, c), c)
        cosine = float(row @ document) if geometry.kind == "hybrid" else 0.0
        found[chunk.id] = cosine - (geometry.weight if geometry.kind == "hybrid" else 1.0) * away
    return found


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry("hyperbolic", 0.1, unit=1.3),
        Geometry("hyperbolic", 1.0, unit=0.8),
        Geometry("hybrid", 0.1, weight=0.3, unit=1.3),
        Geometry("hybrid", 0.5, weight=2.0, unit=1.0),
        Geometry("hybrid", 0.1, weight=0.0, unit=1.0),
    ],
)
def test_the_best_are_those_of_comparing_every_document(store: Store, geometry: Geometry) -> None:
    batch, lengths, reader = filled(store, geometry, documents=12)
    random = np.random.default_rng(7)
    rows = random.normal(size=(3, 8))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    norms = random.uniform(0.5, 3.0, 3)
    for limit in (5, 200):
        found = nearest_by_geometry(reader, "alpha", geometry, (rows, norms), limit)
        for row, norm, hits in zip(rows, norms, found, strict=True):
            expected = compared(batch, lengths, row, float(norm) / geometry.unit, geometry)
            best = sorted(expected.values(), reverse=True)[:limit]
            assert [hit.score for hit in hits] == pytest.approx(best, abs=2e-4)
            for hit in hits:
                assert hit.score == pytest.approx(expected[hit.chunk], abs=2e-4)


def test_it_looks_no_deeper_than_it_must_and_as_deep_as_it_must(store: Store) -> None:
    geometry = Geometry("hybrid", 0.1, weight=0.3)
    batch, lengths, reader = filled(store, geometry, documents=20)
    depths: list[int] = []

    class Watched:
        def nearest(
            self, queries: Sequence[QueryVectors], limit: int, exact: bool = False
        ) -> list[dict[str, list[Hit]]]:
            assert exact
            depths.append(limit)
            return reader.nearest(queries, limit, exact)

        def vectors_of(self, name: str, ids: set[str]) -> dict[str, np.ndarray]:
            return reader.vectors_of(name, ids)

    random = np.random.default_rng(8)
    for _ in range(6):
        row = random.normal(size=8)
        row /= np.linalg.norm(row)
        depths.clear()
        [hits] = nearest_by_geometry(Watched(), "alpha", geometry, (row[None], np.ones(1)), 3)  # type: ignore[arg-type]
        expected = compared(batch, lengths, row, 1.0, geometry)
        assert [hit.chunk for hit in hits] == sorted(expected, key=lambda chunk: -expected[chunk])[:3]
        assert depths == [3 * 2**i for i in range(len(depths))]
        assert len(depths) > 1  # the first three of each list do not settle it
        assert depths[-1] < 160


def test_geometries_are_kept_with_the_release_and_older_releases_have_none(tmp_path: Path) -> None:
    home = Home(tmp_path)
    hybrid = Geometry("hybrid", 0.2, weight=0.7, unit=5.25)
    release = Release("g1", 1, {"one": "base", "two": "base"}, Fusion("soft", {"one": 1.0}), geometry={"one": hybrid})
    publish(home, release)
    found = current(home)
    assert found is not None
    assert found.geometry_of("one") == hybrid
    assert found.geometry_of("two") == Geometry("cosine")
    path = home.releases / "r0001.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index(',\n "geometry"')] + "\n}", encoding="utf-8")
    older = current(home)
    assert older is not None
    assert older.geometry == {}


def test_other_points_have_another_name_and_no_encoder_has_it() -> None:
    names = {Geometry("hyperbolic", c, unit=u).vector_name("minilm") for c in (0.1, 0.2) for u in (1.0, 1.0001)}
    assert len(names) == 4
    assert all("." in name for name in names)
    assert Geometry("hybrid", 0.1).vector_name("minilm") == Geometry("hyperbolic", 0.1).vector_name("minilm")


@pytest.mark.parametrize(
    ("kind", "changed", "message"),
    [
        ("flat", {}, "unknown geometry 'flat'; known are: cosine, hyperbolic, hybrid"),
        ("hybrid", {"curvature": 0.0}, "curvature must be above 0"),
        ("hybrid", {"weight": -1.0}, "the weight of the distance must be 0 or above"),
    ],
)
def test_impossible_geometries_are_refused(kind: str, changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Geometry(kind, **changed)  # type: ignore[arg-type]
