"""What a search shows: the passage found, the header of a table it begins in, or the clause a small passage is from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chunking.document import Chunk, Parent, as_shown
from chunking.splitters import ChunkSettings
from indexing.bm25 import query_vector
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.pca import PCA
from indexing.releases import publish, served
from indexing.search import FUSION, Searcher, _one_per_clause
from indexing.search_results import SearchResult
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA
from indexing.stores.store import BM25, QueryVectors, chunk_of, payload_of

pytestmark = pytest.mark.models

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
STEPS = [
    f"Step {i}. The torque of bolt number {i} is checked with a calibrated wrench before it is sealed."
    for i in range(9)
]
CLAUSE = "5 Tightening\n\n" + "\n\n".join(STEPS)
TEXT = f"# Assembly\n\n## 4 Cleaning\n\nFaces are wiped with solvent and a lint-free cloth.\n\n## {CLAUSE}\n"


@pytest.fixture
def prepared(home: Home, models_home: Home, tmp_path: Path) -> Home:
    """A fresh home that shares the fetched model files, and a document beside it."""
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "models").symlink_to(models_home.models.resolve())
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "assembly.md").write_text(TEXT, encoding="utf-8")
    return home


def test_the_whole_clause_is_shown_once_for_all_of_its_small_passages(prepared: Home, tmp_path: Path) -> None:
    settings = replace(SETTINGS, chunking=ChunkSettings("parents", max_tokens=240, child_tokens=48))
    ingest([tmp_path / "specs" / "assembly.md"], prepared, settings)
    searcher = Searcher.open(prepared, settings)
    assert sum("Tightening" in chunk.section[-1] for chunk in searcher.chunks.values()) >= 4
    [first, second] = searcher.search("torque of bolt number 7, calibrated wrench").as_json()["results"]
    assert first["text"] == CLAUSE == TEXT[first["span"][0] : first["span"][1]]
    start, end = first["passage"]
    assert "bolt number 7" in TEXT[start:end] != first["text"]
    assert second["section"].endswith("4 Cleaning")
    runs = searcher.runs({"q": "torque of bolt number 7"})
    for name in ("wordllama", FUSION):
        assert len(runs[name]["q"]) == 2  # a clause each, by its best passage
    shown = {chunk.id: as_shown(chunk) for chunk in searcher.chunks.values()}
    assert {(shown[c].start, shown[c].end) for c in runs[FUSION]["q"]} >= {tuple(first["span"])}
    searcher.close()


def test_of_the_passages_of_one_clause_the_best_stays(prepared: Home, tmp_path: Path) -> None:
    settings = replace(SETTINGS, chunking=ChunkSettings("parents", max_tokens=240, child_tokens=48))
    ingest([tmp_path / "specs" / "assembly.md"], prepared, settings)
    searcher = Searcher.open(prepared, settings)
    of_clause = [name for name, chunk in searcher.chunks.items() if "Tightening" in chunk.section[-1]]
    other = next(name for name in searcher.chunks if name not in of_clause)
    ranking = {of_clause[0]: 0.5, of_clause[1]: 0.9, other: 0.7, of_clause[2]: 0.1}
    assert _one_per_clause(ranking, searcher.chunks.clause_of) == {of_clause[1]: 0.9, other: 0.7}
    searcher.close()


def test_queries_together_find_what_the_store_finds_for_each(prepared: Home, tmp_path: Path) -> None:
    """Together they are one product with the vectors on disk; one by one the store's engine compares them."""
    settings = replace(SETTINGS, chunking=ChunkSettings("section", max_tokens=48))
    ingest([tmp_path / "specs" / "assembly.md"], prepared, settings)
    searcher = Searcher.open(prepared, settings)
    queries = {"a": "torque of bolt number 7", "b": "which solvent cleans a face", "c": "torque of bolt number 7"}
    found = searcher.runs(queries, depth=4, only=("wordllama", BM25))
    vectors = searcher.embed(list(queries.values()))["wordllama"]
    assert (vectors == searcher.encoders["wordllama"].embed(list(queries.values()))).all()
    assert searcher._reader.is_exact(256)
    assert not searcher._reader.is_exact(10**9)
    for place, (query, text) in enumerate(queries.items()):
        asked = QueryVectors({"wordllama": vectors[place]}, query_vector(text))
        for name, hits in searcher._reader.nearest([asked], 4)[0].items():
            assert found[name][query] == pytest.approx({hit.chunk: hit.score for hit in hits}, abs=1e-6)
    every = list(searcher.chunks)
    assert searcher.documents_of(every) == [searcher.chunks[chunk].document for chunk in every]
    searcher.close()


def test_a_release_may_fuse_the_space_that_all_encoders_share(prepared: Home, tmp_path: Path) -> None:
    settings = replace(SETTINGS, chunking=ChunkSettings("section", max_tokens=48))
    ingest([tmp_path / "specs" / "assembly.md"], prepared, settings)
    first = served(prepared)
    weights = {**first.fusion.weights, PCA: 1.0}
    publish(prepared, replace(first, fusion=replace(first.fusion, weights=weights)))
    searcher = Searcher.open(prepared, settings)
    assert len(searcher.chunks) > 5
    query = "torque of bolt number 7"
    runs = searcher.runs({"q": query})
    assert set(runs) == {"wordllama", "bm25", PCA, FUSION}
    assert runs[PCA]["q"] == pytest.approx(searcher.runs({"q": query}, only=[PCA])[PCA]["q"])
    ranks = sorted(runs[PCA]["q"], key=lambda chunk: -runs[PCA]["q"][chunk])
    for result in searcher.search(query).results:
        rank, score = result.sources[PCA]
        assert ranks[rank - 1] == result.chunk.id
        assert score == pytest.approx(runs[PCA]["q"][result.chunk.id])
        assert result.score == pytest.approx(runs[FUSION]["q"][result.chunk.id])
    searcher.close()


def test_a_passage_that_begins_within_a_table_shows_its_header() -> None:
    lead = "| Thread | Torque |\n|---|---|"
    chunk = Chunk("id", "bolts.md", "Bolts", 1, ("5 Torques",), 2, 2, 80, 93, "| M39 | 7 N·m |", "", 9, lead)
    assert chunk_of(payload_of(chunk)) == chunk
    assert chunk_of(payload_of(replace(chunk, parent=Parent(0, 99, 1, 2)))).parent == Parent(0, 99, 1, 2)
    found = SearchResult(chunk, 0.5, {}, (80, 93)).as_json()
    assert (found["lead"], found["text"], found["span"], found["passage"]) == (lead, chunk.text, [80, 93], [80, 93])
