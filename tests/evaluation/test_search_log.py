"""The log of searches in the catalogue: written by several, bounded in time, strict about what belongs to what."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from evaluation import tables
from evaluation.catalogue import Catalogue
from evaluation.database import CatalogueError
from evaluation.judgements import Judgement, Query
from evaluation.searches import Search, Shown

NOW = datetime.now(UTC)


def at(days_ago: float) -> str:
    return (NOW - timedelta(days=days_ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def searched(id: str, days_ago: float = 0.0, query: str = "締付トルク?") -> Search:
    shown = tuple(Shown(rank, "m.pdf", 10 * rank, 10 * rank + 5, f"c{rank}", 1 / rank) for rank in (1, 2, 3))
    return Search(id, at(days_ago), query, "r0001", "cli", 12.5, shown)


def test_a_search_is_read_back_with_what_was_done(catalogue: Catalogue) -> None:
    older, newer = searched("b", 2), searched("a", 1)
    catalogue.record_search(older, 90)
    catalogue.record_search(newer, 90)
    assert catalogue.searches() == [newer, older]
    assert catalogue.searches(limit=1) == [newer]
    assert catalogue.count_searches() == 2
    assert catalogue.searches(with_feedback=True) == []
    assert catalogue.record_event("b", 2, "opened")
    assert catalogue.record_event("b", 2, "opened")
    assert catalogue.record_event("b", 2, "wrong")
    assert catalogue.record_event("b", 3, "wrong")
    assert catalogue.record_event("b", 3, "confirmed")
    (found,) = catalogue.searches(with_feedback=True)
    assert [(p.opened, p.verdict) for p in found.shown] == [(False, None), (True, "wrong"), (False, "confirmed")]
    judged = found.shown[2].judged
    assert judged is not None and datetime.fromisoformat(judged) >= NOW - timedelta(seconds=1)
    assert catalogue.record_event("b", 3, "withdrawn")
    assert catalogue.record_event("b", 2, "withdrawn")
    assert [(p.opened, p.verdict, p.judged) for p in catalogue.searches()[1].shown] == [
        (False, None, None),
        (True, None, None),
        (False, None, None),
    ]


def test_an_event_belongs_to_a_passage_that_was_shown(catalogue: Catalogue) -> None:
    catalogue.record_search(searched("a"), 90)
    assert not catalogue.record_event("a", 4, "opened")
    assert not catalogue.record_event("a", 0, "opened")
    assert not catalogue.record_event("b", 1, "opened")
    assert not catalogue.record_event("' OR 1=1 --", 1, "confirmed")
    assert catalogue.searches(with_feedback=True) == []


def test_what_is_older_than_is_kept_is_forgotten(catalogue: Catalogue) -> None:
    for days in (0, 5.9, 6.1, 100):
        catalogue.record_search(searched(f"{days}", days), 365)
    catalogue.record_search(replace(searched("new"), time=at(0.001)), 6)
    assert [search.id for search in catalogue.searches()] == ["0", "new", "5.9"]
    with catalogue.read() as connection:  # three searches of three passages each
        assert connection.scalar(sa.select(sa.func.count()).select_from(tables.shown)) == 9
    assert catalogue.forget_searches(5) == 1
    catalogue.record_search(searched("never"), 0)
    assert catalogue.count_searches() == 0
    assert catalogue.forget_searches(0) == 0


@pytest.mark.parametrize("query", ["", " ", "a\0b", "\ud800", "x" * 20_001])
def test_a_query_that_cannot_be_stored_is_refused_before(query: str) -> None:
    with pytest.raises(ValueError, match="query"):
        searched("a", query=query)


def test_a_place_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        replace(searched("a"), shown=(Shown(1, "d", 5, 5, "c", 0.0),))
    with pytest.raises(ValueError, match="origin"):
        replace(searched("a"), origin="elsewhere")


def test_an_error_does_not_tell_the_query(catalogue: Catalogue) -> None:
    secret = searched("a", query="the secret project")
    catalogue.record_search(secret, 90)
    with pytest.raises(CatalogueError) as twice:
        catalogue.record_search(secret, 90)
    with pytest.raises(CatalogueError) as odd:
        catalogue.record_search(replace(secret, id="b", milliseconds="slow"), 90)  # type: ignore[arg-type]
    for refused in (twice, odd):
        assert "secret" not in str(refused.value)
        assert "\n" not in str(refused.value)
    assert catalogue.searches() == [secret]


def test_a_catalogue_of_before_there_was_a_log_gets_one(url: str) -> None:
    before = Catalogue(url)
    before.import_split("train", [Query("q", "text", "train")], [Judgement("q", "d")])
    with before.write() as connection:
        tables.shown.drop(connection)
        tables.searches.drop(connection)
    before.close()
    after = Catalogue(url)
    after.record_search(searched("a"), 90)
    assert (after.count_searches(), len(after.judgements("train"))) == (1, 1)
    after.close()


def test_many_programs_may_search_at_once(url: str) -> None:
    program = (
        "import sys; from evaluation.catalogue import Catalogue\n"
        "from tests.evaluation.test_search_log import searched\n"
        "c = Catalogue(sys.argv[1])\n"
        "for i in range(20):\n"
        "    c.record_search(searched(f'{sys.argv[2]}-{i}'), 90)\n"
        "    assert c.record_event(f'{sys.argv[2]}-{i}', 1, 'opened')"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, url]
    running = [subprocess.Popen([*command, str(n)], cwd=root, stderr=subprocess.PIPE) for n in range(3)]
    errors = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], errors
    written = Catalogue(url)
    assert len(written.searches(with_feedback=True)) == 60
    written.close()
