import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from evaluation import database, tables
from evaluation.catalogue import Catalogue
from evaluation.catalogue_queries import Imported
from evaluation.database import CatalogueError
from evaluation.judgements import Judgement, Query

Write = Callable[[str, str], Path]

QUERIES = [Query("b", "締付トルクは?", "train", "manual"), Query("a", "Which torque?", "train")]
JUDGEMENTS = [Judgement("b", "m.pdf", 2, 5, 9), Judgement("a", "m.pdf", 1, section="4.2", quote="12 Nm")]


def test_what_is_imported_is_read_back_and_importing_twice_changes_nothing(catalogue: Catalogue) -> None:
    assert catalogue.import_split("train", QUERIES, JUDGEMENTS) == Imported(2, 2, 2)
    assert catalogue.import_split("train", QUERIES, JUDGEMENTS) == Imported(2, 2, 0)
    assert catalogue.queries("train") == [QUERIES[1], QUERIES[0]]
    assert catalogue.judgements("train") == JUDGEMENTS
    assert catalogue.queries("dev") == []
    assert catalogue.judgements("dev") == []


def test_a_second_import_adds_queries_and_replaces_the_judgements_of_those_given(catalogue: Catalogue) -> None:
    catalogue.import_split("train", QUERIES, JUDGEMENTS)
    new = Query("c", "And this?", "train")
    better = [Judgement("c", "m.pdf"), Judgement("b", "other.pdf")]
    assert catalogue.import_split("train", [QUERIES[0], new], better) == Imported(2, 2, 1)
    assert [query.id for query in catalogue.queries("train")] == ["a", "b", "c"]
    assert catalogue.judgements("train") == [JUDGEMENTS[1], *better]


def test_an_import_that_contradicts_the_catalogue_is_refused_whole(catalogue: Catalogue, write: Write) -> None:
    catalogue.import_split("train", QUERIES, JUDGEMENTS)
    judgements = write("j.jsonl", '{"query": "new", "document": "d", "grade": 1}\n')
    new = '{"id": "new", "text": "New?"}\n'
    other_text = write("q1.jsonl", new + '{"id": "a", "text": "Which pressure?"}\n')
    with pytest.raises(CatalogueError, match=r"q1\.jsonl:2: query 'a' is already in the catalogue with another text"):
        catalogue.import_files("train", other_text, judgements)
    other_split = write("q2.jsonl", new + '\n{"id": "a", "text": "Which torque?"}\n')
    with pytest.raises(CatalogueError, match=r"q2\.jsonl:3: query 'a' is already in split 'train'"):
        catalogue.import_files("dev", other_split, judgements)
    with pytest.raises(CatalogueError, match="not imported with it"):
        catalogue.import_split("train", [Query("new", "New?", "train")], [Judgement("a", "d")])
    with pytest.raises(CatalogueError, match="another split than 'train'"):
        catalogue.import_split("train", [Query("new", "New?", "dev")], [])
    assert len(catalogue.queries("train")) == 2
    assert catalogue.queries("dev") == []
    assert catalogue.judgements("train") == JUDGEMENTS


def test_thousands_of_queries_are_imported(catalogue: Catalogue) -> None:
    queries = [Query(f"q{i:04d}", f"text {i}", "dev") for i in range(2500)]
    judgements = [Judgement(query.id, "d", 1, i, i + 1) for i, query in enumerate(queries)]
    catalogue.import_split("dev", queries, judgements)
    assert catalogue.import_split("dev", queries, judgements).new_queries == 0
    assert catalogue.queries("dev") == queries
    assert catalogue.judgements("dev") == judgements


def test_a_removed_split_takes_its_judgements_along_and_frees_its_ids(catalogue: Catalogue) -> None:
    catalogue.import_split("train", QUERIES, JUDGEMENTS)
    catalogue.import_split("guard", [Query("g", "Guard?", "guard")], [Judgement("g", "d")])
    assert catalogue.remove_split("train") == 2
    assert catalogue.judgements("train") == []
    catalogue.import_split("dev", [Query("a", "Another?", "dev")], [])
    assert catalogue.judgements("dev") == []
    assert len(catalogue.judgements("guard")) == 1


def test_guards_may_have_names(catalogue: Catalogue) -> None:
    assert (catalogue.splits(), catalogue.guards()) == (["train", "dev", "test", "guard"], ["guard"])
    catalogue.import_split("guard:old-drawings", [Query("g", "Guard?", "guard:old-drawings")], [Judgement("g", "d")])
    assert catalogue.guards() == ["guard", "guard:old-drawings"]
    assert catalogue.splits() == ["train", "dev", "test", "guard", "guard:old-drawings"]
    assert [judgement.query for judgement in catalogue.judgements("guard:old-drawings")] == ["g"]
    for wrong in ("guard:", "guard:Ä", "guard:a/b", "dev:a", "guard: a", "guard:" + "a" * 42):
        with pytest.raises(ValueError, match=r"split must be one of train, dev, test, guard or guard:NAME, not "):
            catalogue.queries(wrong)


def test_runs_are_logged_newest_first_in_utc(catalogue: Catalogue) -> None:
    noon = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    first = catalogue.record_run("ingest", "done", noon, 2.5, {"documents": {"indexed": 3}, "grund": "ö"})
    tokyo = datetime(2026, 3, 1, 20, 0, tzinfo=timezone(timedelta(hours=9)))  # 11:00 UTC: an hour earlier
    second = catalogue.record_run("mine", "failed", tokyo, 1.0, {})
    runs = catalogue.last_runs(10)
    assert [run.id for run in runs] == [first, second]
    assert [run.started for run in runs] == ["2026-03-01T12:00:00.250Z", "2026-03-01T11:00:00.000Z"]
    assert runs[0].summary == {"documents": {"indexed": 3}, "grund": "ö"}
    assert (runs[0].stage, runs[0].status, runs[0].seconds) == ("ingest", "done", 2.5)
    assert len(catalogue.last_runs(1)) == 1
    with pytest.raises(ValueError, match="time zone"):
        catalogue.record_run("mine", "done", datetime(2026, 3, 1), 1.0, {})
    with pytest.raises(ValueError):
        catalogue.record_run("mine", "done", noon, 1.0, {"loss": float("nan")})


def test_measures_are_kept_over_time(catalogue: Catalogue) -> None:
    catalogue.record_measures("r0001", "dev", {"bm25": {"nDCG@10": 0.5}, "fusion": {"nDCG@10": 0.625}})
    catalogue.record_measures("r0002", "dev", {"fusion": {"nDCG@10": 0.75}})
    catalogue.record_measures("r0002", "dev", {})
    records = catalogue.measures()
    assert [(record.release, record.split, record.run, record.values) for record in records] == [
        ("r0001", "dev", "bm25", {"nDCG@10": 0.5}),
        ("r0001", "dev", "fusion", {"nDCG@10": 0.625}),
        ("r0002", "dev", "fusion", {"nDCG@10": 0.75}),
    ]
    assert datetime.fromisoformat(records[0].time).utcoffset() == timedelta(0)


def test_the_last_decision_about_a_passage_holds(catalogue: Catalogue) -> None:
    catalogue.record_decision("q1", "d", 0, 10, "negative", "ann")
    catalogue.record_decision("q2", "d", 0, 10, "negative", "ann")
    last = catalogue.record_decision("q1", "d", 0, 10, "positive", "bob")
    assert [(d.query, d.verdict, d.reviewer) for d in catalogue.decisions()] == [
        ("q2", "negative", "ann"),
        ("q1", "positive", "bob"),
    ]
    assert catalogue.decisions()[-1] == last
    assert [(d.query, d.verdict, d.reviewer) for d in catalogue.decision_history()] == [
        ("q1", "negative", "ann"),
        ("q2", "negative", "ann"),
        ("q1", "positive", "bob"),
    ]


@pytest.mark.parametrize(
    "decision",
    [
        ("q", "d", 5, 5, "negative", "ann"),
        ("q", "d", -1, 5, "negative", "ann"),
        ("q", "d", 0, 2**31, "negative", "ann"),
        ("q", "d\0", 0, 5, "negative", "ann"),
        ("q", "d", 0, 5, "", "ann"),
        ("q", "d", 0, 5, "x" * 65, "ann"),
        ("q", "d", 0, 5, "negative", "\ud800"),
    ],
)
def test_impossible_decisions_are_refused(catalogue: Catalogue, decision: tuple[str, str, int, int, str, str]) -> None:
    with pytest.raises(ValueError):
        catalogue.record_decision(*decision)
    assert catalogue.decisions() == []


def test_hostile_texts_are_data(catalogue: Catalogue) -> None:
    texts = ["'; DROP TABLE queries; --", "100% _", ":name %(name)s ?", "𝔘nicode \u202e"]
    queries = [Query(text, text, "train") for text in sorted(texts)]
    catalogue.import_split("train", queries, [Judgement(text, text, quote=text) for text in texts])
    assert catalogue.queries("train") == queries
    assert {judgement.quote for judgement in catalogue.judgements("train")} == set(texts)


def test_a_catalogue_is_found_again_and_another_version_refused(url: str) -> None:
    first = Catalogue(url)
    first.import_split("train", QUERIES, JUDGEMENTS)
    again = Catalogue(url)
    assert again.judgements("train") == JUDGEMENTS
    with again.write() as connection:
        connection.execute(sa.update(tables.schema_version).values(version=99))
    with pytest.raises(CatalogueError, match=r"has schema version 99, but this specmine reads 1: use"):
        Catalogue(url)
    first.close()
    again.close()


def test_many_programs_may_create_and_write_at_once(url: str) -> None:
    program = (
        "import sys; from evaluation.catalogue import Catalogue; c = Catalogue(sys.argv[1])\n"
        "for i in range(20): c.record_decision(sys.argv[2], 'd', i, i + 1, 'negative', 'ann')"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", program, url]
    running = [subprocess.Popen([*command, str(n)], cwd=root, stderr=subprocess.PIPE) for n in range(4)]
    errors = [process.communicate()[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0, 0], errors
    catalogue = Catalogue(url)
    assert len(catalogue.decisions()) == 80
    catalogue.close()


def test_threads_may_share_a_catalogue(catalogue: Catalogue) -> None:
    def decide(name: str) -> None:
        for i in range(10):
            catalogue.record_decision(name, "d", i, i + 1, "negative", "ann")

    threads = [threading.Thread(target=decide, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(catalogue.decisions()) == 40


def test_a_locked_database_is_one_line_and_readers_do_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    path = tmp_path / "c.sqlite"
    catalogue = Catalogue(f"sqlite:///{path}")
    catalogue.import_split("train", QUERIES, JUDGEMENTS)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(Catalogue(f"sqlite:///{path}").queries("train")) == 2
    with pytest.raises(CatalogueError) as refused:
        catalogue.record_decision("q", "d", 0, 1, "negative", "ann")
    assert "another program has held it for 0.1 seconds" in str(refused.value)
    assert "\n" not in str(refused.value)
    other.execute("ROLLBACK")
    other.close()
    catalogue.record_decision("q", "d", 0, 1, "negative", "ann")
    assert len(catalogue.decisions()) == 1


def test_sqlite_keeps_foreign_keys_and_writes_ahead(tmp_path: Path) -> None:
    catalogue = Catalogue(f"sqlite:///{tmp_path}/c.sqlite")
    with catalogue.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    with pytest.raises(CatalogueError), catalogue.write() as connection:
        connection.execute(sa.insert(tables.judgements).values(query="absent", document="d", grade=1))


@pytest.mark.parametrize(
    "wrong",
    [
        "nonsense",
        "oracle9://x",
        "sqlite:////proc/none/c.sqlite",
        "postgresql+nodriver://u:secret@h/d",
        "postgresql://u:secret@127.0.0.1:1/d",
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line_without_its_password(wrong: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        Catalogue(wrong)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    with pytest.raises(CatalogueError, match="not a database") as refused:
        Catalogue(f"sqlite:///{path}")
    assert "\n" not in str(refused.value)
