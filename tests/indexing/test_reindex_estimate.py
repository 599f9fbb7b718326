"""What a re-index would take: its work is counted, its rates are those measured, its errors are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chunking.splitters import ChunkSettings
from indexing import embedding
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models import fetch
from indexing.rates import Rate, Work, append, rates, record
from indexing.reading import plan_generation
from indexing.reindexing.estimate import COMPARED, errors, estimate_reindex, past_errors
from indexing.reindexing.reindex import reindex
from indexing.reindexing.settings import ReindexSettings
from indexing.reindexing.work import work_of
from indexing.releases import served
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)
SMALL = replace(SETTINGS, chunking=ChunkSettings(max_tokens=40))


def silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def prepared(home: Home, models_home: Home, tmp_path: Path) -> Home:
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "models").symlink_to(models_home.models.resolve())
    folder = tmp_path / "specs"
    folder.mkdir()
    for number in range(4):
        clauses = [
            f"## {i} Clause\n\nItem {number}-{i} shall withstand {i} newtons. " + "It shall be marked. " * 12
            for i in range(9)
        ]
        (folder / f"part-{number}.md").write_text("\n\n".join([f"# Part {number}", *clauses]), encoding="utf-8")
    ingest([folder], home, SETTINGS)
    return home


def measured(home: Home, stage: str, units: float, cpu: float, wall: float, encoder: str = "") -> None:
    record(home, Work(stage, encoder, units, cpu, wall))


def test_the_largest_measurements_count_and_lines_that_were_cut_short_do_not(home: Home) -> None:
    for units in (100, 200, 300, 400, 500):
        measured(home, "cutting", units, cpu=units * 0.5, wall=units * 0.25)
    measured(home, "cutting", 1, cpu=90, wall=90)  # a small one tells how long it takes to begin
    measured(home, "cutting", 0, cpu=90, wall=90)  # and one that did nothing tells nothing
    with (home.measured / "rates.jsonl").open("a") as file:
        file.write('{"stage": "cutt')
    found = rates(home)
    assert found.keys() == {("cutting", "")}
    rate = found["cutting", ""]
    assert (rate.cpu_seconds, rate.wall_seconds, rate.measured) == (0.5, 0.25, 5)
    assert rate.megabytes > 1


def test_time_is_added_up_and_work_that_failed_is_not() -> None:
    work = Work("reading")
    with work.timed(3):
        sum(range(100_000))
    with pytest.raises(ZeroDivisionError), work.timed(5):
        raise ZeroDivisionError
    assert work.units == 3 and work.wall_seconds > 0
    rest = Work("all", "", 9, 5.0, 4.0).without(Work("part", "", 2, 3.0, 5.0))
    assert (rest.units, rest.cpu_seconds, rest.wall_seconds) == (9, 2.0, 0.0)


@pytest.mark.models
def test_the_work_is_what_the_reindex_does(prepared: Home) -> None:
    same = work_of(prepared, SETTINGS, served(prepared), plan_generation(prepared, SETTINGS))
    assert (same.cut, same.read, same.sampled) == (0, 0, 1.0)
    assert (same.embed["wordllama"].passages, same.embed["wordllama"].reused) == (0, 36)
    work = work_of(prepared, SMALL, served(prepared), plan_generation(prepared, SMALL))
    report = reindex(prepared, SMALL, silent)
    told = work.embed["wordllama"]
    assert (work.documents, work.passages, told.passages) == (4, report.chunks, report.embedded)
    assert told.passages + told.reused == work.passages > 36
    assert work.cut == sum(path.stat().st_size for path in prepared.documents.glob("*/text.txt")) / 2


@pytest.mark.models
def test_a_sample_is_scaled_by_the_length_of_the_texts(prepared: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    generation = plan_generation(prepared, SMALL)
    whole = work_of(prepared, SMALL, served(prepared), generation)
    monkeypatch.setattr("indexing.reindexing.work._SAMPLED_BYTES", 1)
    sampled = work_of(prepared, SMALL, served(prepared), generation)
    assert sampled.sampled == pytest.approx(1 / 4, rel=0.01)  # four documents of nearly one length
    assert sampled.passages == pytest.approx(whole.passages, rel=0.02)
    assert sampled.cut == whole.cut


@pytest.mark.models
def test_an_estimate_is_work_times_rate_and_a_price(prepared: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = plan_generation(prepared, SMALL).encoders[0].fingerprint
    known = {
        ("cutting", ""): Rate(0.001, 0.002, 300.0, 1),
        ("embedding", encoder): Rate(0.01, 0.005, 900.0, 2),
        ("writing", ""): Rate(0.5, 0.25, 700.0, 1),
    }
    monkeypatch.setattr("indexing.reindexing.estimate.rates", lambda home: known)
    rule = ReindexSettings(cpu_hour_price=36.0, gigabyte_month_price=2.0)
    work, estimate = estimate_reindex(prepared, SMALL, rule)
    letters = work.embed["wordllama"].characters
    assert estimate.cpu_seconds == pytest.approx(0.001 * work.cut + 0.01 * letters + 0.5 * work.passages)
    assert estimate.wall_seconds == pytest.approx(0.002 * work.cut + 0.005 * letters + 0.25 * work.passages)
    assert estimate.memory_megabytes == 900.0
    assert estimate.unmeasured == ("vectors wordllama", "checking")
    assert estimate.money["cpu"] == pytest.approx(estimate.cpu_seconds / 100)  # 36 an hour is a hundredth a second
    assert estimate.money["disk_per_month"] == pytest.approx(estimate.disk_megabytes / 1000 * 2)
    assert estimate_reindex(prepared, SMALL, ReindexSettings())[1].money == {}


@pytest.mark.models
def test_an_encoder_that_was_never_measured_is_tried(prepared: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (prepared.measured / "rates.jsonl").unlink()
    _, estimate = estimate_reindex(prepared, SMALL, ReindexSettings())
    assert [part.stage for part in estimate.stages] == ["embedding"]
    assert "cutting" in estimate.unmeasured
    monkeypatch.setattr(embedding, "load_document_encoder", lambda *_: pytest.fail("it was measured before"))
    estimate_reindex(prepared, SMALL, ReindexSettings())


@pytest.mark.models
def test_a_reindex_keeps_what_it_was_estimated_at_and_took(prepared: Home) -> None:
    report = reindex(prepared, SMALL, silent)
    (past,) = past_errors(prepared)
    assert past.generation == served(prepared).generation
    assert past.error.keys() <= set(COMPARED)
    for name, error in past.error.items():
        assert getattr(report.estimate, name) * (1 + error) == pytest.approx(report.actual[name])
    assert report.actual["cpu_seconds"] > 0
    again = estimate_reindex(prepared, SMALL, ReindexSettings())[1]
    assert "checking" not in again.unmeasured  # it was measured in the first


def test_errors_are_shares_of_the_estimate(home: Home) -> None:
    estimate = {"cpu_seconds": 100.0, "wall_seconds": 50.0, "memory_megabytes": 0.0, "disk_megabytes": 8.0}
    actual = {"cpu_seconds": 125.0, "wall_seconds": 40.0, "memory_megabytes": 7.0, "disk_megabytes": 8.0}
    wanted = {"cpu_seconds": 0.25, "wall_seconds": pytest.approx(-0.2), "disk_megabytes": 0.0}
    assert errors(estimate, actual) == wanted
    line = {"time": "2026-01-02T03:04:05+00:00", "generation": "g1", "estimate": estimate, "actual": actual}
    append(home, "estimates.jsonl", line)
    assert [(one.generation, one.error) for one in past_errors(home)] == [("g1", wanted)]
