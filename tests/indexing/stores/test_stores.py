"""One contract for every store: embedded, the client's in-memory server, and a real server when one is named.

Set SPECMINE_TEST_QDRANT_URL to run the same suite against a real Qdrant server.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from chunking.document import Chunk, chunk_id
from indexing.bm25 import document_vector, query_vector
from indexing.geometry import Geometry
from indexing.home import SpecmineError
from indexing.hyperbolic import as_queries, place, score
from indexing.stores.edge import EdgeStore
from indexing.stores.server import ServerStore, connect
from indexing.stores.store import BM25, RRF_K, MoreVectors, PointBatch, QueryVectors, Store

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect", "ignore:Failed to obtain server version"
)

OpenStore = Callable[[], Store]
WORDS = "valve torque pump seal filter alarm sensor bolt nut washer gasket shaft bearing rotor stator coil".split()


def make_chunk(document: str, ordinal: int, text: str) -> Chunk:
    start, end = ordinal * 100, ordinal * 100 + len(text)
    return Chunk(
        id=chunk_id(document, start, end, text), document=document, title=f"Title of {document}", ordinal=ordinal,
        section=("5 Fitting", f"5.{ordinal} Part"), first_page=ordinal + 1, last_page=ordinal + 2, start=start, end=end,
        text=text, encoder_text=text, tokens=len(text.split()),
    )  # fmt: skip


def make_batch(documents: list[str], seed: int, chunks: int = 8) -> PointBatch:
    rng = np.random.default_rng(seed)
    cut = [
        make_chunk(document, i, " ".join(rng.choice(WORDS, size=12)) + f" {document} {seed}")
        for document in documents
        for i in range(chunks)
    ]
    dense = {}
    for name, size in (("alpha", 8), ("beta", 5)):
        rows = rng.normal(size=(len(cut), size)).astype(np.float32)
        dense[name] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return PointBatch(cut, dense, [document_vector(chunk.text) for chunk in cut])


def query_for(batch: PointBatch, i: int) -> QueryVectors:
    return QueryVectors({name: rows[i] for name, rows in batch.dense.items()}, query_vector(batch.chunks[i].text))


def _server(url: str) -> Iterator[OpenStore]:
    client = connect(url, os.environ.get("SPECMINE_TEST_QDRANT_API_KEY"))
    collection = f"specmine_test_{uuid.uuid4().hex[:8]}"
    yield lambda: ServerStore(client, collection)
    client.delete_collection(collection)
    client.close()


@pytest.fixture(params=["edge", "memory", "server"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    if request.param == "edge":
        yield lambda: EdgeStore(tmp_path / "contents")
    elif request.param == "memory":
        yield from _server(":memory:")
    else:
        url = os.environ.get("SPECMINE_TEST_QDRANT_URL")
        if not url:
            pytest.skip("no real Qdrant server: set SPECMINE_TEST_QDRANT_URL")
        yield from _server(url)


def test_every_source_finds_a_chunk_by_its_own_vectors(open_store: OpenStore) -> None:
    batch = make_batch(["d1", "d2"], seed=1)
    open_store().write(1, None, [batch], ())
    reader = open_store().reader(1)
    assert reader.count() == 16
    found = reader.nearest([query_for(batch, i) for i in range(16)], limit=5)
    for chunk, answer in zip(batch.chunks, found, strict=True):
        assert set(answer) == {"alpha", "beta", BM25}
        for hits in answer.values():
            assert hits[0].chunk == chunk.id
            assert len(hits) <= 5
            assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_dense_scores_are_inner_products(open_store: OpenStore) -> None:
    batch = make_batch(["d1"], seed=2)
    open_store().write(1, None, [batch], ())
    hits = open_store().reader(1).nearest([query_for(batch, 3)], limit=8)[0]["alpha"]
    expected = batch.dense["alpha"] @ batch.dense["alpha"][3]
    assert {hit.chunk: hit.score for hit in hits} == pytest.approx(
        {chunk.id: float(score) for chunk, score in zip(batch.chunks, expected, strict=True)}, abs=1e-5
    )


def test_fused_is_weighted_reciprocal_rank(open_store: OpenStore) -> None:
    batch = make_batch(["d1"], seed=3)
    open_store().write(1, None, [batch], ())
    reader = open_store().reader(1)
    query = query_for(batch, 0)
    weights = {"alpha": 1.0, "beta": 2.0}
    answer = reader.nearest([QueryVectors(query.dense, None)], limit=8)[0]
    expected = {chunk.id: 0.0 for chunk in batch.chunks}
    for name, hits in answer.items():
        for rank, hit in enumerate(hits):
            expected[hit.chunk] += weights[name] / (RRF_K + rank + 1)
    fused = reader.fused(query, weights, depth=8, limit=8)
    assert next(hit.chunk for hit in fused) == max(expected, key=lambda chunk: expected[chunk])
    assert {hit.chunk for hit in fused} == set(expected)


def test_a_query_without_known_words_gets_no_bm25_hits(open_store: OpenStore) -> None:
    batch = make_batch(["d1"], seed=4)
    open_store().write(1, None, [batch], ())
    assert open_store().reader(1).nearest([QueryVectors({}, query_vector("the of"))], limit=3) == [{}]


def test_chunks_come_back_as_they_went_in(open_store: OpenStore) -> None:
    batch = make_batch(["日本語 文書/d1.pdf"], seed=5)
    open_store().write(1, None, [batch], ())
    wanted = [batch.chunks[2].id, batch.chunks[5].id]
    found = open_store().reader(1).chunks([*wanted, str(uuid.uuid4())])
    assert set(found) == set(wanted)
    chunk, stored = batch.chunks[2], found[wanted[0]]
    assert (stored.document, stored.section, stored.text) == (chunk.document, chunk.section, chunk.text)
    assert (stored.first_page, stored.last_page, stored.start, stored.end) == (3, 4, chunk.start, chunk.end)


def test_vectors_are_stored_exactly(open_store: OpenStore) -> None:
    batch = make_batch(["d1", "d2"], seed=6)
    open_store().write(1, None, [batch], ())
    stored = dict(open_store().reader(1).vectors("beta"))
    for chunk, row in zip(batch.chunks, batch.dense["beta"], strict=True):
        assert np.array_equal(stored[chunk.id], row)


def test_a_new_content_leaves_the_old_one_as_it_was(open_store: OpenStore) -> None:
    first, second = make_batch(["d1", "d2", "d3"], seed=7), make_batch(["d2", "d4"], seed=8)
    open_store().write(1, None, [first], ())
    reader = open_store().reader(1)
    open_store().write(2, 1, [second], {"d2", "d3"})
    assert reader.count() == 24
    assert set(dict(reader.vectors("alpha"))) == {chunk.id for chunk in first.chunks}
    kept = {chunk.id for chunk in first.chunks if chunk.document == "d1"}
    new = {chunk.id for chunk in second.chunks}
    assert set(dict(open_store().reader(2).vectors("alpha"))) == kept | new
    hits = reader.nearest([query_for(second, 0)], limit=24)[0]
    assert all(hit.chunk not in new for found in hits.values() for hit in found)


def test_an_unchanged_passage_may_get_another_vector(open_store: OpenStore) -> None:
    batch = make_batch(["d1"], seed=9)
    moved = PointBatch(batch.chunks, {name: -rows for name, rows in batch.dense.items()}, batch.sparse)
    open_store().write(1, None, [batch], ())
    open_store().write(2, 1, [moved], {"d1"})
    old, new = (dict(open_store().reader(content).vectors("alpha")) for content in (1, 2))
    assert old.keys() == new.keys()
    assert all(np.array_equal(old[chunk], -new[chunk]) for chunk in old)


def test_an_interrupted_write_can_be_repeated(open_store: OpenStore) -> None:
    first, second = make_batch(["d1"], seed=10), make_batch(["d2", "d3"], seed=11)
    open_store().write(1, None, [first], ())

    def interrupted() -> Iterator[PointBatch]:
        yield make_batch(["d9"], seed=12)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store().write(2, 1, interrupted(), {"d1"})
    assert open_store().reader(1).count() == 8
    with pytest.raises(SpecmineError, match="content 2"):
        open_store().reader(2)
    open_store().write(2, 1, [second], ())
    assert open_store().reader(2).count() == 24
    assert open_store().reader(1).count() == 8


def test_writing_after_a_rollback_leaves_the_abandoned_content_out(open_store: OpenStore) -> None:
    open_store().write(1, None, [make_batch(["d1"], seed=13)], ())
    open_store().write(2, 1, [make_batch(["d2"], seed=14)], {"d1"})
    open_store().write(3, 1, [make_batch(["d3"], seed=15)], ())
    reader = open_store().reader(3)
    documents = {chunk.document for chunk in reader.chunks(list(dict(reader.vectors("alpha")))).values()}
    assert documents == {"d1", "d3"}


def further(batch: PointBatch, name: str, seed: int) -> MoreVectors:
    rows = np.random.default_rng(seed).normal(size=(len(batch.chunks), 6)).astype(np.float32)
    return MoreVectors([chunk.id for chunk in batch.chunks], {name: rows})


def test_further_vectors_are_kept_exactly_and_searched_by_inner_product(open_store: OpenStore) -> None:
    first, second = make_batch(["d1"], seed=20), make_batch(["d2", "d3"], seed=21)
    open_store().write(1, None, [first, second], ())
    more = [further(first, "alpha.more", 1), further(second, "alpha.more", 2)]
    open_store().add_vectors(2, 1, more)
    reader = open_store().reader(2)
    assert reader.count() == 24
    expected = dict(
        zip([*more[0].ids, *more[1].ids], np.concatenate([m.dense["alpha.more"] for m in more]), strict=True)
    )
    stored = dict(reader.vectors("alpha.more"))
    assert stored.keys() == expected.keys()
    assert all(np.array_equal(stored[chunk], row) for chunk, row in expected.items())
    some = reader.vectors_of("alpha.more", [*more[1].ids[:2], str(uuid.uuid4())])
    assert some.keys() == set(more[1].ids[:2])
    assert all(np.array_equal(some[chunk], expected[chunk]) for chunk in some)
    query = np.random.default_rng(3).normal(size=6).astype(np.float32)
    hits = reader.nearest([QueryVectors({"alpha.more": query}, None)], limit=24, exact=True)[0]["alpha.more"]
    assert {hit.chunk: hit.score for hit in hits} == pytest.approx(
        {chunk: float(row @ query) for chunk, row in expected.items()}, abs=1e-4
    )
    # What was there stays as it was, in the new content and in the old one.
    for content in (1, 2):
        old = dict(open_store().reader(content).vectors("alpha"))
        assert all(np.array_equal(old[c.id], row) for c, row in zip(first.chunks, first.dense["alpha"], strict=True))
        found = open_store().reader(content).nearest([query_for(first, 3)], limit=1)[0]
        assert [hits[0].chunk for hits in found.values()] == [first.chunks[3].id] * 3


def test_further_vectors_can_be_written_again_and_outlive_what_is_written_after(open_store: OpenStore) -> None:
    first, second = make_batch(["d1", "d2"], seed=22), make_batch(["d2", "d3"], seed=23)
    open_store().write(1, None, [first], ())

    def interrupted() -> Iterator[MoreVectors]:
        yield further(first, "alpha.more", 9)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_store().add_vectors(2, 1, interrupted())
    with pytest.raises(SpecmineError, match="content 2"):
        open_store().reader(2)
    more = further(first, "alpha.more", 1)
    open_store().add_vectors(2, 1, [more])
    new = further(second, "alpha.more", 2)
    with_points = PointBatch(second.chunks, {**second.dense, **new.dense}, second.sparse)
    open_store().write(3, 2, [with_points], {"d2"})
    open_store().add_vectors(4, 3, [further(second, "alpha.other", 5), new])  # one more, and one that is there
    for content in (3, 4):
        stored = dict(open_store().reader(content).vectors("alpha.more"))
        kept = [chunk.id for chunk in first.chunks if chunk.document == "d1"]
        assert stored.keys() == {*kept, *new.ids}
        rows = dict(zip(more.ids, more.dense["alpha.more"], strict=True)) | dict(
            zip(new.ids, new.dense["alpha.more"], strict=True)
        )
        assert all(np.array_equal(stored[chunk], rows[chunk]) for chunk in stored)
    assert open_store().reader(2).count() == 16


@pytest.mark.parametrize("curvature", [0.05, 0.1, 1.0])
def test_points_of_the_hyperboloid_are_ranked_by_their_distance(open_store: OpenStore, curvature: float) -> None:
    batch = make_batch(["d1", "d2", "d3"], seed=24)
    random = np.random.default_rng(4)
    geometry = Geometry("hyperbolic", curvature, unit=1.5)
    norms = random.uniform(0.2, 4.0, 25)
    points = place(batch.dense["alpha"], norms[:24], geometry)
    open_store().write(1, None, [batch], ())
    name = geometry.vector_name("alpha")
    open_store().add_vectors(
        2, 1, [MoreVectors([chunk.id for chunk in batch.chunks], {name: points.astype(np.float32)})]
    )
    row = random.normal(size=8)
    asked = as_queries(place(row[None] / np.linalg.norm(row), norms[24:], geometry))
    expected = score(asked, points, geometry)[0]
    query = QueryVectors({name: asked[0].astype(np.float32)}, None)
    hits = open_store().reader(2).nearest([query], limit=24, exact=True)[0][name]
    assert [hit.chunk for hit in hits] == [batch.chunks[i].id for i in np.argsort(-expected)]
    away = np.arccosh(np.maximum(-curvature * np.array([hit.score for hit in hits]), 1)) / np.sqrt(curvature)
    np.testing.assert_allclose(-away, np.sort(expected)[::-1], atol=1e-3)


def test_keep_removes_the_others(open_store: OpenStore) -> None:
    for content in (1, 2, 3):
        base = content - 1 or None
        open_store().write(content, base, [make_batch([f"d{content}"], seed=content)], {f"d{content - 1}"})
    open_store().keep({2, 3})
    with pytest.raises(SpecmineError, match="content 1"):
        open_store().reader(1)
    assert [open_store().reader(content).count() for content in (2, 3)] == [8, 8]


def test_an_unreachable_server_is_one_line() -> None:
    with pytest.raises(SpecmineError, match=r"^no Qdrant server answers at http://127\.0\.0\.1:9 [^\n]*$"):
        connect("http://127.0.0.1:9", None)


READ_ELSEWHERE = """
import sys
from pathlib import Path
from indexing.stores.edge import EdgeStore
print(EdgeStore(Path(sys.argv[1])).reader(1).count())
"""


def test_two_processes_read_one_embedded_content(tmp_path: Path) -> None:
    EdgeStore(tmp_path / "contents").write(1, None, [make_batch(["d1"], seed=16)], ())
    reader = EdgeStore(tmp_path / "contents").reader(1)
    command = [sys.executable, "-c", READ_ELSEWHERE, str(tmp_path / "contents")]
    other = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (reader.count(), other.stdout.strip()) == (8, "8")


def test_a_content_written_anew_takes_the_place_of_all_and_disturbs_no_reader(open_store: OpenStore) -> None:
    first, second = make_batch(["d1", "d2"], seed=1), make_batch(["d2", "d3"], seed=2)
    open_store().write(1, None, [first], ())
    before = open_store().reader(1)
    ids = [chunk.id for chunk in first.chunks]
    open_store().write(2, None, [second], ())
    assert (before.count(), set(before.chunks(ids))) == (16, set(ids))
    after = open_store().reader(2)
    assert (after.count(), set(dict(after.vectors("alpha")))) == (16, {chunk.id for chunk in second.chunks})
    assert open_store().reader(1).count() == 16
