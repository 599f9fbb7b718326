"""What follows from a run's end: on a real catalogue, with reports as the stages write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement, Query
from flows import chain, reindexing
from flows.chain import FOLLOWING, following
from flows.settings import Settings, load_settings
from indexing.home import SpecmineError

CHANGED = {"documents": {"indexed": 2, "renamed": 0, "unchanged": 5, "removed": 1, "quarantined": 3}}
UNCHANGED = {"documents": {"indexed": 0, "renamed": 0, "unchanged": 8, "removed": 0, "quarantined": 3}}


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings with a table [chain]; the plan of a re-index is ``plan``, for nothing is indexed here."""

    def configure(table: str = "", plan: dict[str, Any] | None = None) -> Settings:
        nothing = {"documents": 10, "documents_to_read": 0, "documents_to_cut": 0}
        monkeypatch.setattr(reindexing, "plan", lambda settings: plan or nothing)
        file = tmp_path / "specmine.toml"
        file.write_text(f'home = "home"\n[chain]\n{table}\n', encoding="utf-8")
        return load_settings(file)

    return configure


@pytest.fixture
def book(configured: Callable[..., Settings]) -> Iterator[Catalogue]:
    with closing(Catalogue(configured().catalogue_url())) as book:
        yield book


def judge(book: Catalogue, split: str, count: int) -> None:
    queries = [Query(f"{split}{n}", f"{split} question {n}", split) for n in range(count)]
    book.import_split(split, queries, [Judgement(query.id, "d.pdf", 1, section="1") for query in queries])


def test_new_documents_are_measured_where_something_is_judged(
    configured: Callable[..., Settings], book: Catalogue
) -> None:
    assert following("ingest", CHANGED, configured()) == {}
    judge(book, "test", 1)
    assert following("ingest", CHANGED, configured()) == {"evaluate": "2 documents indexed, 1 documents removed"}
    assert following("ingest", UNCHANGED, configured()) == {}
    assert following("ingest", CHANGED, configured("enabled = false")) == {}
    assert following("sweep", {}, configured()) == {}


def test_enough_new_judgements_or_decisions_are_mined(configured: Callable[..., Settings], book: Catalogue) -> None:
    settings = configured("judgements = 5\ndecisions = 2")
    evaluated = {"split": "dev", "runs": {}}
    judge(book, "train", 4)
    assert following("evaluate", evaluated, settings) == {}
    judge(book, "train", 5)
    assert following("evaluate", evaluated, settings) == {"mine": "5 judgements and 0 decisions since the last mining"}
    now = datetime.now(UTC)
    book.record_run("mine", "completed", now, 1.0, {"lessons": {"judgements": 5, "decisions": 0}})
    book.record_run("mine", "failed", now, 1.0, {"error": "no"})
    assert following("evaluate", evaluated, settings) == {}
    book.record_decision("train1", "d.pdf", 0, 5, "negative", "ann")
    assert following("monitor", {"fell": False}, settings) == {}
    book.record_decision("train1", "d.pdf", 0, 5, "relevant", "ann")
    assert following("monitor", {"fell": False}, settings) == {
        "mine": "0 judgements and 2 decisions since the last mining"
    }


def test_decisions_without_judgements_teach_nothing(configured: Callable[..., Settings], book: Catalogue) -> None:
    book.record_decision("gone", "d.pdf", 0, 5, "negative", "ann")
    assert following("evaluate", {"split": "dev", "runs": {}}, configured("decisions = 1")) == {}


def test_what_was_mined_is_trained_on_and_what_was_published_is_measured(
    configured: Callable[..., Settings], book: Catalogue
) -> None:
    mined = {"ledger": "l1", "verdicts": {"kept": 7, "judged": 2}}
    assert following("mine", mined, configured()) == {"retrain": "7 negatives in ledger l1"}
    assert following("mine", {**mined, "verdicts": {"judged": 2}}, configured()) == {}
    judge(book, "dev", 1)
    for flow in ("retrain", "retrain_reranker", "reindex"):
        assert following(flow, {"release": "r2"}, configured()) == {"evaluate": "release r2 was published"}
        assert following(flow, {"release": None}, configured()) == {}
    assert following("reindex", {"release": "r2", "published": False}, configured()) == {}  # the old one is served on


def test_a_fall_is_looked_into_and_a_fallen_release_is_told_of(
    configured: Callable[..., Settings], book: Catalogue
) -> None:
    settings = configured("drop = 0.05")

    def measured(value: float) -> dict[str, str]:
        runs = {"bm25": {"nDCG@10": 0.1}, "fusion": {"nDCG@10": value}}
        book.record_measures("r1", "test", runs)
        return following("evaluate", {"split": "test", "runs": runs}, settings)

    assert measured(0.80) == {}
    assert measured(0.76) == {}
    assert measured(0.70) == {"monitor": "nDCG@10 on test fell from 0.7600 to 0.7000"}
    assert measured(0.90) == {}
    assert following("monitor", {"fell": True, "reason": "worse"}, settings) == {"alert": "worse"}


@pytest.mark.parametrize(
    ("plan", "due"),
    [
        ({"documents_to_read": 1, "documents_to_cut": 0, "estimate": {"wall_seconds": 60, "unmeasured": []}}, True),
        ({"documents_to_read": 0, "documents_to_cut": 1, "estimate": {"wall_seconds": 601, "unmeasured": []}}, False),
        ({"documents_to_read": 0, "documents_to_cut": 0, "estimate": {"wall_seconds": 0, "unmeasured": []}}, False),
        ({"documents_to_read": 9, "documents_to_cut": 0, "estimate": {"wall_seconds": 1, "unmeasured": ["x"]}}, False),
        ({"documents_to_read": 9, "documents_to_cut": 0}, False),
    ],
)
def test_a_reindex_is_due_when_it_is_worth_its_time(
    configured: Callable[..., Settings], book: Catalogue, plan: dict[str, Any], due: bool
) -> None:
    settings = configured("stale = 0.1\nreindex_minutes = 10", {"documents": 10, **plan})
    called_for = following("ingest", UNCHANGED, settings)
    assert chain.after_refused_ingest(settings) == called_for
    assert called_for == ({"reindex": "1 of 10 documents would be made anew, in about 1.0 minutes"} if due else {})


def test_what_is_called_for_can_be_started(prefect_home: Path) -> None:
    from flows.automations import STARTED
    from flows.deployed import FLOWS

    assert set(STARTED) <= FLOWS.keys()
    assert FOLLOWING.keys() <= FLOWS.keys()
    assert chain.ALERT not in FLOWS


@pytest.mark.parametrize("line", ["judgements = 0", "drop = 0", "stale = 2", "reindex_minutes = -1", 'alert = "ops"'])
def test_impossible_settings_are_refused(configured: Callable[..., Settings], line: str) -> None:
    with pytest.raises(SpecmineError, match="chain"):
        configured(line)
