"""Every source and every fusion on the real index of two sample documents: two editions of one standard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.judgements import Judgement, Query
from evaluation.projection import Projection, project
from indexing.fusion import FUSIONS
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.pca import PCA
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import MINILM, WORDLLAMA
from mining.candidates import RUN_DEPTH, Corpus, Retrieved, retrieve
from mining.ledger import read_ledger
from mining.mine import mine
from mining.settings import MineSettings
from mining.sources import SOURCES
from samples import corpus

pytestmark = [pytest.mark.models, pytest.mark.slow]

SETTINGS = IndexSettings(encoders=(WORDLLAMA, MINILM), cross_encoder=None)
EDITIONS = ("fs-4100-2019", "fs-4100-2024")


@pytest.fixture(scope="module")
def searcher(models_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searcher]:
    home = Home(tmp_path_factory.mktemp("samples") / "home")
    home.root.mkdir()
    for spec in SETTINGS.encoders:
        fetch(spec.source, models_home)
    (home.root / "models").symlink_to(models_home.models.resolve())
    ingest([path for path in corpus.documents() if path.stem in EDITIONS], home, SETTINGS)
    opened = Searcher.open(home, SETTINGS)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    return [Query(row["id"], row["text"], "train") for row in corpus.queries("train") if "fs-4100" in row["id"]]


@pytest.fixture(scope="module")
def projection(searcher: Searcher) -> Projection:
    judged = [
        Judgement(row["query"], Path(row["document"]).stem + ".md", row["grade"], quote=row["quote"])
        for row in corpus.judgements("train")
        if Path(row["document"]).stem in EDITIONS
    ]
    return project(judged, searcher.chunks.values(), searcher.document_text)


@pytest.fixture(scope="module")
def retrieved(searcher: Searcher, queries: list[Query], projection: Projection) -> Retrieved:
    texts = {query.id: query.text for query in queries if projection.positives(query.id)}
    assert len(texts) > 20
    positives = {query: projection.positives(query) for query in texts}
    return retrieve(searcher, texts, positives, Corpus(searcher.chunks), 20, "soft")


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "feedback"])  # nobody has searched
def test_every_source_finds_passages_for_most_queries(retrieved: Retrieved, name: str) -> None:
    runs = SOURCES[name](retrieved, MineSettings())
    assert runs
    for run in runs.values():
        assert set(run) == set(retrieved.queries)
        assert sum(bool(found) for found in run.values()) > 0.9 * len(run)
        assert all(found.keys() <= retrieved.corpus.chunks.keys() for found in run.values())


@pytest.mark.parametrize("method", [*FUSIONS, PCA])
def test_every_fusion_ranks_a_judged_passage_high(searcher: Searcher, retrieved: Retrieved, method: str) -> None:
    ensemble = retrieve(searcher, retrieved.queries, retrieved.positives, retrieved.corpus, 20, method).ensemble
    found = 0
    for query, votes in ensemble.items():
        best = sorted(votes, key=lambda chunk: (-votes[chunk], chunk))[:10]
        found += bool(set(best) & set(retrieved.positives[query]))
    assert found > 0.7 * len(ensemble)


def test_the_siblings_of_a_clause_stand_in_the_other_edition_first(retrieved: Retrieved) -> None:
    chunks = retrieved.corpus.chunks
    run = SOURCES["sibling"](retrieved, MineSettings())["sibling"]
    in_other = 0
    for query, found in run.items():
        own = {chunks[chunk].document for chunk in retrieved.positives[query]}
        best = max(found, key=lambda chunk: (found[chunk], chunk), default=None)
        in_other += best is not None and (chunks[best].document not in own or len(own) == 2)
    assert in_other > 0.9 * len(run)


def test_hyperbolic_neighbours_are_others_than_those_by_cosine(retrieved: Retrieved) -> None:
    runs = SOURCES["hyperbolic"](retrieved, MineSettings())
    for encoder in retrieved.encoders:
        shared = []
        for query, found in runs[f"hyperbolic:{encoder}"].items():
            cosine = retrieved.runs[encoder][query]
            tops = [set(sorted(run, key=lambda chunk: -run[chunk])[:20]) for run in (found, cosine)]
            shared.append(len(tops[0] & tops[1]) / 20)
            assert len(found) == min(RUN_DEPTH, len(retrieved.corpus.chunks))
        # Another ranking of much the same passages.
        assert 0.2 < sum(shared) / len(shared) < 0.98, (encoder, sum(shared) / len(shared))


def test_the_ledger_records_rank_and_score_of_every_source(
    searcher: Searcher, queries: list[Query], projection: Projection, tmp_path: Path
) -> None:
    home = Home(tmp_path)
    settings = MineSettings(sources=tuple(SOURCES), filters=("near_duplicates",))
    for fusion in ("zscore", PCA):
        report = mine(searcher, queries, projection, None, replace(settings, fusion=fusion), home)
        ledger = read_ledger(home, report.ledger)
        named = {source.name for row in ledger.rows for source in row.sources}
        assert named == {
            *("random", "bm25", "wordllama", "minilm", "hyperbolic:wordllama", "hyperbolic:minilm"),
            *("ensemble", "in_document", "sibling"),
        }  # and no "feedback", for nobody has searched
        assert ledger.manifest["settings"]["fusion"] == fusion
        assert report.verdicts["kept"] > 0
