"""The catalogue in one file and back: the same rows, on SQLite and PostgreSQL, while others write."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from evaluation import tables
from evaluation.catalogue import Catalogue
from evaluation.catalogue_copy import export_catalogue, import_catalogue
from evaluation.database import CatalogueError, open_engine
from evaluation.judgements import Judgement, Query
from evaluation.leases import Leases


def fill(catalogue: Catalogue) -> None:
    queries = [
        Query(f"q{number}", f"どこ {number}", "train") for number in range(1200)
    ]  # more than are copied at a time
    catalogue.import_split("train", queries, [Judgement(query.id, "a.md", section="1") for query in queries])
    catalogue.record_run("ingest", "completed", datetime.now(UTC), 1.0, {"documents": 2})
    catalogue.record_measures("r0001", "dev", {"bm25": {"nDCG@10": 0.5}})
    Leases(catalogue).take("index writer", "ingest", None)


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    engine = open_engine(sa.make_url(url))
    with engine.connect() as connection:
        found = {
            table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in tables.METADATA.sorted_tables
        }
    engine.dispose()
    return found


def emptied(url: str, tmp_path: Path) -> str:
    """Another empty catalogue of the same kind: a new file, or the same database without its tables."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"sqlite:///{tmp_path}/other.sqlite"
    engine = open_engine(parsed)
    tables.METADATA.drop_all(engine)
    engine.dispose()
    return url


def test_a_catalogue_comes_back_as_it_was(catalogue: Catalogue, url: str, tmp_path: Path) -> None:
    fill(catalogue)
    before = rows_of(url)
    assert len(before["queries"]) == 1200 and before["leases"]
    copy = tmp_path / "copy.sqlite"
    export_catalogue(url, copy)
    assert not list(tmp_path.glob("copy.sqlite-*"))  # one file
    expected = {**before, "leases": []}  # of processes that are none of the copy's
    assert rows_of(f"sqlite:///{copy}") == expected
    catalogue.close()
    target = emptied(url, tmp_path)
    import_catalogue(copy, target)
    assert rows_of(target) == expected
    again = Catalogue(target)
    again.record_run("mine", "completed", datetime.now(UTC), 1.0, {})  # ids go on after those that came
    assert [run.stage for run in again.last_runs(10)] == ["mine", "ingest"]
    again.close()
    with pytest.raises(CatalogueError, match=r"the catalogue is not empty: table [a-z]+ has rows"):
        import_catalogue(copy, target)


def test_a_copy_is_of_one_moment_while_another_writes(catalogue: Catalogue, url: str, tmp_path: Path) -> None:
    fill(catalogue)
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set() and number < 300:
            queries = [Query(f"w{number}", "one more", "dev")]
            catalogue.import_split("dev", queries, [Judgement(f"w{number}", "a.md", section="1")])
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            copy = tmp_path / f"copy-{number}.sqlite"
            export_catalogue(url, copy)
            rows = rows_of(f"sqlite:///{copy}")
            judged = {row["query"] for row in rows["judgements"]}
            assert judged == {row["id"] for row in rows["queries"]}  # a query comes with its judgement or not at all
    finally:
        done.set()
        writer.join()


def test_what_is_no_catalogue_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite").write_text("no database, but long enough to be looked at as one\n" * 30)
    for wrong in (f"sqlite:///{tmp_path}/text.sqlite", "nonsense"):
        with pytest.raises(CatalogueError) as error:
            export_catalogue(wrong, tmp_path / "copy.sqlite")
        assert "\n" not in str(error.value)
    with pytest.raises(CatalogueError):
        import_catalogue(tmp_path / "text.sqlite", f"sqlite:///{tmp_path}/new.sqlite")
    with sqlite3.connect(tmp_path / "older.sqlite") as older:
        older.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
        older.execute("INSERT INTO schema_version VALUES (999)")
    with pytest.raises(CatalogueError, match="999"):
        import_catalogue(tmp_path / "older.sqlite", f"sqlite:///{tmp_path}/new.sqlite")
