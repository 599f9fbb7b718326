"""What Prometheus is told, read by its own parser."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from dashboard.app import create_app
from evaluation.catalogue import Catalogue
from evaluation.leases import Leases
from flows.metrics import write_metrics
from flows.settings import load_settings
from indexing.generations import IndexedDocument, write_documents
from indexing.home import Home, SpecmineError, write_json
from indexing.releases import Fusion, Release, publish
from indexing.settings import IndexSettings

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def lived(home: Home) -> Home:
    """A home with a release of two documents, one in quarantine, runs and measures."""
    book = Catalogue(home.catalogue_url)
    for seconds in (1.5, 2.5):
        book.record_run("ingest", "completed", BEGAN, seconds, {})
    book.record_run("ingest", "failed", BEGAN, 0.25, {"error": "x"})
    book.record_measures("r0001", "dev", {"fusion": {"nDCG@10": 0.25}})
    book.record_measures("r0001", "dev", {"fusion": {"nDCG@10": 0.5}})
    book.record_measures("r0000", "dev", {"fusion": {"nDCG@10": 0.75}})
    Leases(book).take_run("a" * 32, "mine")
    book.close()
    entry = IndexedDocument("k", "h", "/a.md", "A", pages=3, pages_without_text=1, chunks=7)
    (home.generations / "g1").mkdir()
    write_documents(home, "g1", 1, {"a.md": entry, "b.md": entry})
    write_json(home.root / "quarantine.json", [])
    publish(home, Release("g1", 1, {}, Fusion("soft", {})))
    return home


def values(text: str) -> dict[str, float]:
    """Return every sample by its name and the values of its labels, in the order of their names."""
    return {
        " ".join([sample.name, *(sample.labels[name] for name in sorted(sample.labels))]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_stage_and_what_is_served(lived: Home) -> None:
    client = TestClient(create_app(lived, IndexSettings(), Catalogue(lived.catalogue_url)))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = values(answer.text)
    assert told["specmine_runs_total ingest completed"] == 2
    assert told["specmine_runs_total ingest failed"] == 1
    assert told["specmine_run_seconds_total ingest completed"] == 1.5 + 2.5
    assert told["specmine_last_run_seconds ingest completed"] == 2.5
    assert told["specmine_last_run_timestamp_seconds ingest failed"] == BEGAN.timestamp()
    assert told["specmine_leases false mine"] == 1
    assert told["specmine_documents"] == 2
    assert told["specmine_pages_without_text"] == 2 * 1
    assert told["specmine_passages"] == 2 * 7
    assert told["specmine_quarantined_documents"] == 0
    assert told["specmine_measure nDCG@10 fusion dev"] == 0.5
    assert told["specmine_release_info g1 r0001"] == 1


def test_searches_are_counted_in_the_process_that_answers(empty_client: TestClient) -> None:
    empty_client.get("/api/search", params={"q": "valve"})  # refused: nothing is indexed
    told = values(empty_client.get("/metrics").text)
    assert told["specmine_search_seconds_count api"] == 1
    assert "specmine_documents" not in told


@pytest.fixture
def empty_client(home: Home) -> TestClient:
    return TestClient(create_app(home, IndexSettings(), Catalogue(home.catalogue_url)))


def test_a_file_for_a_collector_of_text_files(lived: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECMINE_HOME", str(lived.root))
    settings = load_settings(None)
    file = tmp_path / "specmine.prom"
    write_metrics(settings, file)
    assert values(file.read_text(encoding="utf-8"))["specmine_documents"] == 2
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["specmine.prom"]
    with pytest.raises(SpecmineError, match="cannot be written"):
        write_metrics(settings, tmp_path / "gone" / "specmine.prom")
