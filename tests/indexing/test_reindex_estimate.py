"""What a re-index would take: its work is counted, its rates are those measured, its errors are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chunking.splitters import ChunkSettings
from indexing import embedding
from indexing.costs import checking_units, judging_units, writing_units
from indexing.home import Home
from indexing.ingest import ingest
from indexing.models.fetching import fetch
from indexing.models.fingerprints import encoder_fingerprint
from indexing.rates import Rate, Work, append, rate_of, rates, record
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


def measured(home: Home, stage: str, units: float, cpu: float, wall: float, by: str = "") -> None:
    record(home, Work(stage, by, units, cpu, wall))


def test_the_largest_measurements_count_and_lines_that_were_cut_short_do_not(home: Home) -> None:
    for units in (100, 200, 300, 400, 500):
        measured(home, "writing", units, cpu=units * 0.5, wall=units * 0.25)
    measured(home, "writing", 1, cpu=90, wall=90)  # a small one tells how long it takes to begin
    measured(home, "writing", 0, cpu=90, wall=90)  # and one that did nothing tells nothing
    with (home.measured / "rates.jsonl").open("a") as file:
        file.write('{"stage": "writ')
    found = rates(home)
    assert found.keys() == {("writing", "")}
    rate = found["writing", ""]
    assert (rate.cpu_seconds, rate.wall_seconds, rate.measured) == (0.5, 0.25, 5)
    assert rate.megabytes > 1


def test_what_was_measured_in_other_units_does_not_count(home: Home) -> None:
    older = {"stage": "embedding", "encoder": "f", "units": 9e9, "cpu_seconds": 1.0, "wall_seconds": 1.0}
    append(home, "rates.jsonl", {**older, "megabytes": 100.0})  # in characters, as older versions counted
    assert rates(home) == {}
    measured(home, "embedding", 200, cpu=8.0, wall=4.0, by="f")
    assert rates(home)["embedding", "f"].cpu_seconds == 0.04


def test_a_rate_is_of_what_did_it_and_only_where_comparable_of_another(home: Home) -> None:
    measured(home, "cutting", 100, cpu=5.0, wall=5.0, by="section")
    measured(home, "cutting", 300, cpu=3.0, wall=3.0, by="fixed")
    measured(home, "embedding", 100, cpu=5.0, wall=5.0, by="f")
    known = rates(home)
    told = {by: rate_of(known, "cutting", by) for by in ("section", "fixed", "parents")}
    assert {by: rate and rate.cpu_seconds for by, rate in told.items()} == {
        "section": 5 / 100,
        "fixed": 3 / 300,
        "parents": 8 / 400,  # never measured: what cutting took by the others
    }
    assert rate_of(known, "embedding", "another") is None


def test_units_are_what_takes_time() -> None:
    assert writing_units(10, 5000, 384) == pytest.approx(5000 + 10 * 400 + 0.2 * 10 * 384)
    assert checking_units(10, [384, 256]) == 10 * 640
    assert judging_units(0, 3) == 0
    # One encoder more is the same work once more, and so is opening it where there are few queries.
    assert judging_units(30, 2) == 2 * judging_units(30, 1)
    assert judging_units(514, 1) / judging_units(30, 1) < 514 / 30


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
        ("cutting", "section"): Rate(0.001, 0.002, 300.0, 1),
        ("loading", encoder): Rate(1.5, 1.0, 800.0, 2),
        ("embedding", encoder): Rate(0.01, 0.005, 900.0, 2),
        ("writing", ""): Rate(0.5, 0.25, 700.0, 1),
        ("judging", encoder[:12]): Rate(0.1, 0.2, 700.0, 1),
    }
    monkeypatch.setattr("indexing.reindexing.estimate.rates", lambda home: known)
    rule = ReindexSettings(cpu_hour_price=36.0, gigabyte_month_price=2.0)
    work, estimate = estimate_reindex(prepared, SMALL, rule, judged_queries=40)
    tokens, dimensions = work.embed["wordllama"].tokens, encoder_fingerprint(WORDLLAMA, prepared)[1]
    written = writing_units(work.passages, work.characters, dimensions)
    judged = 2 * (40 + 60)  # with the served release and with the new one
    cpu = 0.001 * work.cut + 1.5 + 0.01 * tokens + 0.5 * written + 0.1 * judged
    assert estimate.cpu_seconds == pytest.approx(cpu)
    assert estimate.wall_seconds == pytest.approx(
        0.002 * work.cut + 1.0 + 0.005 * tokens + 0.25 * written + 0.2 * judged
    )
    assert estimate.memory_megabytes == 900.0
    assert estimate.unmeasured == ("vectors", "checking")
    names = {part.stage: part.encoder for part in estimate.stages}
    assert (names["cutting"], names["embedding"], names["judging"]) == ("section", "wordllama", "wordllama")
    assert estimate.money["cpu"] == pytest.approx(estimate.cpu_seconds / 100)  # 36 an hour is a hundredth a second
    assert estimate.money["disk_per_month"] == pytest.approx(estimate.disk_megabytes / 1000 * 2)
    assert estimate_reindex(prepared, SMALL, ReindexSettings())[1].money == {}


@pytest.mark.models
def test_what_is_read_again_is_not_cut_once_more(prepared: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("indexing.reading.READER_VERSION", 999)  # an older reader made all that is stored
    work, estimate = estimate_reindex(prepared, SMALL, ReindexSettings())
    assert work.read == work.cut > 0
    units = {part.stage: part.units for part in estimate.stages}
    assert units["reading"] == work.read  # as the ingest measured it: with the cutting
    assert "cutting" not in units and "cutting section" not in estimate.unmeasured


@pytest.mark.models
def test_an_encoder_that_was_never_measured_is_tried(prepared: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    (prepared.measured / "rates.jsonl").unlink()
    _, estimate = estimate_reindex(prepared, SMALL, ReindexSettings())
    assert [part.stage for part in estimate.stages] == ["loading", "embedding"]
    assert estimate.unmeasured == ("cutting section", "vectors", "writing", "checking")
    monkeypatch.setattr(embedding, "load_document_encoder", lambda *_: pytest.fail("it was measured before"))
    estimate_reindex(prepared, SMALL, ReindexSettings())


@pytest.mark.models
def test_a_reindex_keeps_what_it_was_estimated_at_and_took(prepared: Home) -> None:
    report = reindex(prepared, SMALL, silent)
    (past,) = past_errors(prepared)
    assert past.generation == served(prepared).generation
    assert past.error.keys() <= set(COMPARED)
    for name, error in past.error.items():
        assert getattr(report.estimate, name) * (1 + error) == pytest.approx(report.actual.sums[name])
    assert report.actual.sums["cpu_seconds"] > 0
    work, units = report.work, {part.stage: part.units for part in report.actual.stages}
    assert units["embedding"] == work.embed["wordllama"].tokens
    assert (units["cutting"], units["loading"]) == (work.cut, 1)
    assert units["vectors"] == work.embed["wordllama"].compared == report.chunks + 36  # as it is, and as it was
    dimensions = encoder_fingerprint(WORDLLAMA, prepared)[1]
    assert units["writing"] == pytest.approx(writing_units(report.chunks, work.characters, dimensions))
    assert units["checking"] == report.chunks * dimensions
    assert {part.stage for part in report.estimate.stages} == units.keys() - {
        "cutting",
        "checking",
    }  # the first of both
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
