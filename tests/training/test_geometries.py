"""Geometries served and compared on a real index: nothing is embedded, and what is served is the exact ranking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.projection import project
from indexing import embedding
from indexing.generations import norms_file, read_documents
from indexing.geometry import Geometry
from indexing.home import SpecmineError
from indexing.hyperbolic import hyperbolic_name
from indexing.ingest import ingest
from indexing.regeometry import serve_geometry
from indexing.reindexing.reindex import reindex
from indexing.releases import rollback, served
from training.geometries import compare_geometries
from training.referee import embedded_run


def silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def no_embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a document was embedded")

    monkeypatch.setattr(embedding, "load_document_encoder", refuse)


def texts(world: Any) -> dict[str, str]:
    return {query.id: query.text for query in world.catalogue.queries("dev")}


def same(found: dict[str, dict[str, float]], expected: dict[str, dict[str, float]]) -> None:
    assert found.keys() == expected.keys()
    for query, scores in expected.items():
        assert sorted(found[query].values()) == pytest.approx(sorted(scores.values()), abs=1e-4)
        worst = min(scores.values())
        for chunk, score in scores.items():
            assert found[query].get(chunk, worst) == pytest.approx(score, abs=1e-4)


def exact(world: Any, geometry: Geometry, depth: int) -> dict[str, dict[str, float]]:
    searcher = world.searcher()
    embedded = searcher.encoders["one"].embed_with_norms(list(texts(world).values()))
    rows, lengths = searcher.document_vectors("one"), searcher.document_lengths("one")
    run = embedded_run(list(texts(world)), embedded, rows, searcher.chunk_ids, geometry, lengths)
    return {query: dict(sorted(scores.items(), key=lambda pair: -pair[1])[:depth]) for query, scores in run.items()}


@pytest.mark.usefixtures("no_embedding")
def test_what_is_served_is_the_exact_ranking_and_the_release_before_stays(world: Any) -> None:
    before = world.searcher()
    by_cosine = before.runs(texts(world), depth=20, only={"one"})["one"]
    oracle = before.runs(texts(world), depth=20, only={hyperbolic_name("one")})[hyperbolic_name("one")]
    release = serve_geometry(world.home, world.settings, "one", Geometry("hyperbolic"), silent)
    assert (release.content, release.note) == (2, "one by hyperbolic")
    searcher = world.searcher()
    found = searcher.runs(texts(world), depth=20)
    same(found["one"], oracle)
    assert {query: set(run) for query, run in found["one"].items()} != {q: set(run) for q, run in by_cosine.items()}
    # The other encoder and the stored vectors are what they were; a release before is searched as before.
    same(found["two"], before.runs(texts(world), depth=20, only={"two"})["two"])
    assert searcher.vector_checksum("one") == before.vector_checksum("one")
    answer = searcher.search(next(iter(texts(world).values())))
    assert answer.results[0].sources["one"][1] < 0  # a distance
    assert rollback(world.home).id == "r0001"
    same(world.searcher().runs(texts(world), depth=20, only={"one"})["one"], by_cosine)


@pytest.mark.usefixtures("no_embedding")
def test_both_together_are_served_exactly_and_need_no_further_content(world: Any) -> None:
    serve_geometry(world.home, world.settings, "one", Geometry("hyperbolic"), silent)
    release = serve_geometry(world.home, world.settings, "one", Geometry("hybrid", weight=0.5), silent)
    assert release.content == 2  # the points are there
    geometry = release.geometry_of("one")
    assert (geometry.kind, geometry.weight) == ("hybrid", 0.5)
    same(world.searcher().runs(texts(world), depth=7, only={"one"})["one"], exact(world, geometry, 7))
    assert serve_geometry(world.home, world.settings, "one", Geometry("hybrid", weight=0.5), silent).id == release.id
    back = serve_geometry(world.home, world.settings, "one", Geometry("cosine"), silent)
    assert (back.content, back.geometry) == (2, {})


def test_documents_that_come_in_later_have_points_too_and_a_reindex_keeps_them(world: Any, tmp_path: Path) -> None:
    geometry = serve_geometry(world.home, world.settings, "one", Geometry("hyperbolic"), silent).geometry_of("one")
    (tmp_path / "late.txt").write_text("A late document.\n", encoding="utf-8")
    ingest([tmp_path / "late.txt"], world.home, world.settings)
    release = served(world.home)
    assert release.geometry_of("one") == geometry
    assert len(world.searcher().chunk_ids) == 161
    same(world.searcher().runs(texts(world), depth=161, only={"one"})["one"], exact(world, geometry, 161))
    world.settings = replace(world.settings, chunking=replace(world.settings.chunking, splitter="fixed"))
    reindex(world.home, world.settings, silent)
    again = served(world.home)
    assert again.generation != release.generation
    assert again.geometry_of("one") == geometry
    same(world.searcher().runs(texts(world), depth=161, only={"one"})["one"], exact(world, geometry, 161))


def test_what_cannot_be_served_is_said_in_a_line(world: Any) -> None:
    with pytest.raises(SpecmineError, match=r"^index g\w+ has no encoder 'three'; its encoders are: one, two$"):
        serve_geometry(world.home, world.settings, "three", Geometry("hyperbolic"), silent)
    searcher = world.searcher()
    fingerprint = searcher.generation.encoders[0].fingerprint
    entries = read_documents(world.home, searcher.generation.id, 1).values()
    for entry in entries:
        np.save(norms_file(world.home, fingerprint, entry.key), np.full(entry.chunks, 3.0, np.float32))
    with pytest.raises(SpecmineError, match=r"^encoder 'one' gives all texts the same norm: by hybrid it would find"):
        serve_geometry(world.home, world.settings, "one", Geometry("hybrid"), silent)
    norms_file(world.home, fingerprint, next(iter(entries)).key).unlink()
    with pytest.raises(SpecmineError, match="lacks the norms of document vectors"):
        serve_geometry(world.home, world.settings, "one", Geometry("hyperbolic"), silent)
    assert served(world.home).id == "r0001"


def test_geometries_are_compared_with_the_cosine(world: Any) -> None:
    searcher, split = world.searcher(), "dev"
    judgements = world.catalogue.judgements(split)
    projection = project(judgements, searcher.chunks.values(), searcher.document_text)
    found = compare_geometries(searcher, world.catalogue.queries(split), judgements, projection, silent)
    assert [(row["encoder"], row["geometry"]) for row in found["rows"]] == [
        (name, kind) for name in ("one", "two") for kind in ("cosine", "hyperbolic", "hybrid")
    ]
    by_cosine, by_distance, _ = found["rows"][:3]
    assert by_cosine["shared"] == 1.0
    assert 0 < by_distance["shared"] < 1
    assert [(test["encoder"], test["geometry"]) for test in found["tests"]] == [
        (name, kind) for name in ("one", "two") for kind in ("hyperbolic", "hybrid")
    ]
    first = found["tests"][0]
    assert first["difference"] == pytest.approx(by_distance["nDCG@10"] - by_cosine["nDCG@10"])
    assert first["p_holm"] >= first["p_value"]
    for example in found["neighbours"]:
        assert len(example["cosine"]) == len(example["hyperbolic"]) == 10 - example["shared"]
    assert [example["encoder"] for example in found["neighbours"]] == ["one"] * 3 + ["two"] * 3
    assert found["left_out"] == {}
    entries = list(read_documents(world.home, searcher.generation.id, 1).values())
    for entry in entries:
        path = norms_file(world.home, searcher.generation.encoders[0].fingerprint, entry.key)
        np.save(path, np.full(entry.chunks, 3.0, np.float32))
    norms_file(world.home, searcher.generation.encoders[1].fingerprint, entries[0].key).unlink()
    found = compare_geometries(searcher, world.catalogue.queries(split), judgements, projection, silent)
    assert [(row["encoder"], row["geometry"]) for row in found["rows"]] == [("one", "cosine")]
    assert "the same norm" in found["left_out"]["one"]
    assert "run `specmine reindex`" in found["left_out"]["two"]
    assert served(world.home).id == "r0001"
