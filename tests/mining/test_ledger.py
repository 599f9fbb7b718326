"""The ledger's files: whole or not there, checked when read, readable by any Parquet reader."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.home import Home
from mining.ledger import (
    DECISIONS,
    VERDICTS,
    FoundBy,
    LedgerError,
    LedgerQuery,
    LedgerRow,
    list_ledgers,
    read_ledger,
    read_manifest,
    write_ledger,
)

ROW = LedgerRow(
    query="q1",
    chunk="c7",
    document="a/トルク.txt",
    start=10,
    end=250,
    sources=(FoundBy("bm25", 1, 12.5), FoundBy("minilm", 3, 0.61)),
    ensemble_score=0.9,
    cross_score=-8.6,
    positive_cross_score=-7.25,
    verdict="kept",
    reason="passed",
    reviewer=None,
)
QUERY = LedgerQuery("q1", "which torque?", "en", ("c1", "c2"))


def test_what_is_written_is_read(home: Home) -> None:
    bare = replace(
        ROW,
        sources=(),
        ensemble_score=None,
        cross_score=None,
        positive_cross_score=None,
        verdict="random",
        reviewer="mk",
    )
    ledger_id = write_ledger(home, [ROW, bare], {"seed": 13}, [QUERY])
    ledger = read_ledger(home, ledger_id)
    assert ledger.rows == (ROW, bare)
    assert ledger.queries == (QUERY,)
    assert ledger.manifest["seed"] == 13
    assert ledger.manifest["rows"] == 2
    assert ledger.manifest["verdicts"] == {"kept": 1, "random": 1}


def test_other_programs_read_the_rows(home: Home) -> None:
    ledger_id = write_ledger(home, [ROW], {})
    table = pq.read_table(home.ledgers / ledger_id / "rows.parquet")
    assert table.column("document").to_pylist() == ["a/トルク.txt"]
    assert table.column("sources").to_pylist()[0][1] == {"name": "minilm", "rank": 3, "score": 0.61}


def test_empty_ledger(home: Home) -> None:
    assert read_ledger(home, write_ledger(home, [], {})).rows == ()


def test_latest_is_the_newest(home: Home) -> None:
    first = write_ledger(home, [ROW], {"n": 1})
    # An older one, as its id says, though written later.
    older = home.ledgers / "20000101T000000-abcdef"
    (home.ledgers / first).rename(older)
    second = write_ledger(home, [ROW], {"n": 2})
    assert list_ledgers(home) == [older.name, second]
    assert read_ledger(home).id == second
    assert read_ledger(home, older.name).manifest["n"] == 1


def test_none_yet(home: Home) -> None:
    with pytest.raises(LedgerError, match=r"no ledger in .* yet: run `specmine mine` first"):
        read_ledger(home)


@pytest.mark.parametrize("asked", ["20991231T235959-abcdef", "../releases", "/etc", "", "."])
def test_only_listed_ids_are_opened(home: Home, asked: str) -> None:
    write_ledger(home, [ROW], {})
    with pytest.raises(LedgerError, match="there is no ledger"):
        read_ledger(home, asked)


def test_half_written_is_not_there(home: Home) -> None:
    ledger_id = write_ledger(home, [ROW], {})
    (home.ledgers / ledger_id / "manifest.json").unlink()
    assert list_ledgers(home) == []


@pytest.mark.parametrize("name", ["rows.parquet", "queries.parquet"])
@pytest.mark.parametrize("damage", [b"", b"PAR1 nonsense", None])
def test_damaged_files_are_refused_in_one_line(home: Home, name: str, damage: bytes | None) -> None:
    ledger_id = write_ledger(home, [ROW], {})
    path = home.ledgers / ledger_id / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(LedgerError, match=rf"{name} is missing or damaged; remove .* and mine again") as caught:
        read_ledger(home)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "sha256": 3}'])
def test_damaged_manifests_are_refused_in_one_line(home: Home, content: str) -> None:
    ledger_id = write_ledger(home, [ROW], {})
    (home.ledgers / ledger_id / "manifest.json").write_text(content)
    with pytest.raises(LedgerError, match=r"damaged manifest\.json"):
        read_manifest(home)


def test_other_formats_are_refused(home: Home) -> None:
    path = home.ledgers / write_ledger(home, [ROW], {}) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(LedgerError, match="has format 99, not 2"):
        read_ledger(home)


def test_unknown_verdict() -> None:
    with pytest.raises(ValueError, match="unknown verdict 'maybe'; known: kept"):
        replace(ROW, verdict="maybe")


def test_people_decide_in_the_ledgers_words() -> None:
    assert set(DECISIONS) < set(VERDICTS)
    assert not {"random", "unselected"} & set(DECISIONS)


finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=8)
rows = st.builds(
    LedgerRow,
    query=names,
    chunk=names,
    document=names,
    start=st.integers(0, 2**40),
    end=st.integers(0, 2**40),
    sources=st.lists(st.builds(FoundBy, names, st.integers(1, 10**6), finite), max_size=3).map(tuple),
    ensemble_score=st.none() | finite,
    cross_score=st.none() | finite,
    positive_cross_score=st.none() | finite,
    verdict=st.sampled_from(sorted(VERDICTS)),
    reason=names,
    reviewer=st.none() | names,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(rows, max_size=5))
def test_any_row_survives_the_round_trip(tmp_path_factory: pytest.TempPathFactory, content: list[LedgerRow]) -> None:
    home = Home(tmp_path_factory.mktemp("home"))
    assert list(read_ledger(home, write_ledger(home, content, {})).rows) == content
