"""Searches from the command line: logged, listed, mined, made judgements of, on documents really ingested."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement
from evaluation.searches import Event, Search
from flows import searches as log_of_searches

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]
MINING = '[mine]\nfilters = []\nrandom_share = 0.0\nsources = ["ensemble", "feedback"]\ndepth = 2\n'


@pytest.fixture
def specmine(run_specmine: Run, judged: Path, write_config: Callable[[str], Path]) -> Run:
    """Run a command on the workplace; a home with two documents, a train and a dev split."""
    config = write_config(MINING)

    def run(*arguments: str) -> tuple[int, str, str]:
        return run_specmine(*arguments, "--config", str(config))

    assert run("ingest", "--no-prefect")[0] == 0
    for split in ("train", "dev"):
        files = [f"--{kind}={judged / f'{split}.{kind}.jsonl'}" for kind in ("queries", "judgements")]
        assert run("judgements", "import", *files, "--split", split)[0] == 0
    return run


@pytest.fixture
def book(specmine: Run, workplace: Path) -> Catalogue:
    return Catalogue(f"sqlite:///{workplace}/home/catalogue.sqlite")


def result(done: tuple[int, str, str]) -> dict[str, Any]:
    assert done[0] == 0, done
    value = json.loads(done[1])
    assert isinstance(value, dict)
    return value


def searched(specmine: Run, book: Catalogue, query: str) -> tuple[dict[str, int], Search]:
    """Search; return at which rank each section stands, by its last number and title, and what was logged."""
    found = result(specmine("search", query, "--json"))["results"]
    ranks = {entry["section"].rpartition(" > ")[2]: rank for rank, entry in enumerate(found, start=1)}
    (newest,) = book.searches(limit=1)
    assert newest.query == query.strip()
    assert [[passage.start, passage.end] for passage in newest.shown] == [entry["passage"] for entry in found]
    return ranks, newest


def mark(book: Catalogue, search: Search, rank: int, event: Event) -> None:
    assert book.record_event(search.id, rank, event)


def test_searches_are_listed(specmine: Run, book: Catalogue) -> None:
    assert "no search is logged" in specmine("searches")[1]
    _, first = searched(specmine, book, "serial number [bold]\x1b[2J")
    mark(book, first, 1, "opened")
    mark(book, first, 1, "confirmed")
    mark(book, first, 2, "wrong")
    searched(specmine, book, " how tight ")
    listed = result(specmine("searches", "--json"))
    assert listed["total"] == 2
    newest, oldest = listed["searches"]
    assert (newest["query"], newest["release"], newest["origin"]) == ("how tight", "r0001", "cli")
    assert [oldest[count] for count in ("opened", "confirmed", "wrong")] == [1, 1, 1]
    assert oldest["shown"] == len(oldest["results"]) == len(first.shown)
    assert len(result(specmine("searches", "--limit", "1", "--json"))["searches"]) == 1
    for_people = specmine("searches")[1]
    assert "[bold]" in for_people and "\x1b[2J" not in for_people and "2 of 2 searches" in for_people
    assert "limit must be 0 or more" in json.loads(specmine("searches", "--limit", "-1", "--json")[1])["error"]


def test_what_was_passed_over_is_mined(specmine: Run, book: Catalogue) -> None:
    before = result(specmine("mine", "--no-prefect", "--json"))
    ranks, search = searched(specmine, book, "TRAIN:  how tight are\tthe Ｍ8 flange bolts?")
    mark(book, search, ranks["2 Colours"], "wrong")
    mark(book, search, ranks["2.1 Flange bolts"], "confirmed")
    after = result(specmine("mine", "--no-prefect", "--json"))
    assert after["candidates"] > before["candidates"]
    rows = result(specmine("ledger", "show", "--query", "train0", "--json"))["shown"]
    told = {row["section"].rpartition(" > ")[2]: row["sources"].get("feedback") for row in rows}
    assert told["2 Colours"]["score"] >= 3.0
    assert told["2.1 Flange bolts"] is None
    again = result(specmine("mine", "--like", before["ledger"], "--no-prefect", "--json"))["like"]
    assert (again["same"], list(again["differs"])) == (False, ["feedback_fingerprint"])


def test_what_was_confirmed_becomes_training_judgements(specmine: Run, book: Catalogue, workplace: Path) -> None:
    dev = (book.queries("dev"), book.judgements("dev"))
    train = book.judgements("train")
    ranks, new = searched(specmine, book, "Paint for  steam")
    colours = new.shown[ranks["2 Colours"] - 1]
    mark(book, new, colours.rank, "confirmed")
    ranks, known = searched(specmine, book, "train: WHERE is the serial number?")
    plates = known.shown[ranks["1 Plates"] - 1]
    mark(book, known, plates.rank, "confirmed")
    ranks, held_out = searched(specmine, book, "dev: where is the serial number?")
    mark(book, held_out, ranks["1 Plates"], "confirmed")
    ranks, opened = searched(specmine, book, "only looked at")
    mark(book, opened, 1, "opened")

    report = result(specmine("judgements", "from-searches", "--json"))
    counts = {"queries": 2, "new_queries": 1, "known": 0, "withdrawn": 0, "held_out": 1, "lost": 0}
    assert {name: report[name] for name in counts} == counts
    (made,) = [query for query in book.queries("train") if query.id.startswith("search:")]
    assert made.text == "Paint for  steam"
    added = {
        Judgement(query, "marking.md", 1, passage.start, passage.end)
        for query, passage in ((made.id, colours), ("train2", plates))
    }
    assert set(book.judgements("train")) == {*train, *added}
    assert (book.queries("dev"), book.judgements("dev")) == dev

    again = result(specmine("judgements", "from-searches", "--json"))
    assert (again["imported"], again["known"], again["queries"]) == ([], 2, 0)
    mark(book, new, colours.rank, "wrong")
    assert result(specmine("judgements", "from-searches", "--json"))["withdrawn"] == 1
    assert made.id not in {judgement.query for judgement in book.judgements("train")}
    assert "held out for measuring" in specmine("judgements", "from-searches")[1]

    marking = workplace / "specs" / "marking.md"
    marking.write_text("# Changed\n\n" + marking.read_text(encoding="utf-8"), encoding="utf-8")
    specmine("ingest", "--no-prefect")
    changed = result(specmine("judgements", "from-searches", "--json"))
    assert (changed["lost"], changed["imported"]) == (2, [])  # the two confirmed or wrong ones that do not measure


def test_a_search_does_not_fail_because_of_its_log(
    specmine: Run, book: Catalogue, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_of_searches, "_WAIT", 0.05)
    other = sqlite3.connect(workplace / "home" / "catalogue.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, output, errors = specmine("search", "secret project", "--json")
    other.execute("ROLLBACK")
    other.close()
    assert (status, len(json.loads(output)["results"]) > 0) == (0, True)
    (line,) = [line for line in errors.splitlines() if "not logged" in line]
    assert "another program has held it for 0.05 seconds" in line and "secret" not in errors
    assert book.searches() == []


def test_no_log_where_none_is_wanted(specmine: Run, book: Catalogue, write_config: Callable[[str], Path]) -> None:
    searched(specmine, book, "serial number")
    write_config("[search]\nlog_days = 0\n")
    assert result(specmine("search", "serial number", "--json"))["results"]
    assert result(specmine("searches", "--json")) == {"total": 0, "searches": []}
    write_config("[search]\nlog_days = -1\n")
    assert "log_days must be 0 (no log)" in specmine("searches")[2]
