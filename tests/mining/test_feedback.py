"""What was passed over in a log of searches, on the chunks of an index: worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from chunking.document import Chunk, chunk_id
from evaluation.judgements import Query
from evaluation.searches import Search, Shown
from indexing.fusion import Run
from indexing.home import Home
from mining.feedback import passed_over
from mining.ledger import read_ledger
from mining.mine import mine
from mining.settings import MineSettings

TEXTS = {"d": "".join(f"{name}: ".ljust(100, name) for name in "abcdef")}
QUERIES = [Query("q1", "Torque of  M8", "train"), Query("q2", "torque of m10", "train")]


@pytest.fixture
def chunks(world: SimpleNamespace) -> list[Chunk]:
    return [
        world.chunk(name, "d", place, TEXTS["d"][100 * place : 100 * place + 100])
        for place, name in enumerate("abcdef")
    ]


def shown(rank: int, start: int, end: int, **done: Any) -> Shown:
    return Shown(rank, "d", start, end, chunk_id("d", start, end, TEXTS["d"][start:end]), 1.0, **done)


def search(query: str, *passages: Shown, time: str = "2026-01-01") -> Search:
    return Search(f"{query}{time}", time, query, "r0001", "dashboard", 1.0, passages)


def run_of(searches: list[Search], chunks: list[Chunk], renamed: dict[str, str] | None = None) -> Run:
    return passed_over(QUERIES, searches, chunks, TEXTS.get, renamed or {})


OPENED: dict[str, Any] = {"opened": True}
WRONG: dict[str, Any] = {"verdict": "wrong", "judged": "2026-01-01"}
CONFIRMED: dict[str, Any] = {"verdict": "confirmed", "judged": "2026-01-01"}


def test_skipped_counts_once_and_wrong_three_times(chunks: list[Chunk]) -> None:
    searches = [
        search("torque of M8", shown(1, 0, 100), shown(2, 100, 200, **WRONG), shown(3, 200, 300, **OPENED)),
        search(
            "TORQUE OF M8", shown(1, 0, 100), shown(2, 100, 200), shown(3, 300, 400, **CONFIRMED), time="2026-01-02"
        ),
        search("torque of M9", shown(1, 400, 500), shown(2, 500, 600, **OPENED)),
        search("torque of m10", shown(1, 0, 100, **OPENED), shown(2, 100, 200), shown(3, 200, 300)),
    ]
    # a was skipped twice, b marked once and skipped once: 3 + 1. After the opened one only its neighbour counts.
    assert run_of(searches, chunks) == {"q1": {"a": 2.0, "b": 4.0}, "q2": {"b": 1.0}}


def test_what_somebody_wanted_is_no_candidate_for_these_words(chunks: list[Chunk]) -> None:
    skipped = search("torque of M8", shown(1, 0, 100), shown(2, 100, 200), shown(3, 200, 300, **OPENED))
    opened = search("torque of M8", shown(1, 0, 100, **OPENED), time="2026-01-02")
    confirmed = search("torque of M8", shown(1, 100, 200, **CONFIRMED), time="2026-01-03")
    assert run_of([skipped], chunks) == {"q1": {"a": 1.0, "b": 1.0}}
    assert run_of([skipped, opened], chunks) == {"q1": {"b": 1.0}}
    assert run_of([skipped, opened, confirmed], chunks) == {}
    # Somebody opened it, somebody found it wrong: to find that out one opens it.
    wrong = search("torque of M8", shown(1, 0, 100, **WRONG), time="2026-01-04")
    assert run_of([skipped, opened, confirmed, wrong], chunks) == {"q1": {"a": 1.0 + 3.0}}


def test_spans_of_another_chunking_fall_on_the_chunks_of_now(chunks: list[Chunk]) -> None:
    # 0 to 200 is two chunks now; 260 to 320 is more than half of neither, but mostly in c: 40 of 60.
    searches = [search("torque of M8", shown(1, 0, 200), shown(2, 260, 320), shown(3, 500, 600, **OPENED))]
    assert run_of(searches, chunks) == {"q1": {"a": 1.0, "b": 1.0, "c": 1.0}}
    # What was wanted keeps every chunk that it shares from being a candidate.
    also = search("torque of M8", shown(1, 150, 250, **OPENED), time="2026-01-02")
    assert run_of([*searches, also], chunks) == {"q1": {"a": 1.0}}


def test_a_changed_document_tells_nothing_and_a_renamed_one_is_followed(chunks: list[Chunk]) -> None:
    searches = [search("torque of M8", shown(1, 0, 100, **WRONG))]
    assert passed_over(QUERIES, searches, chunks, {"d": "x" * 600}.get, {}) == {}
    renamed = [replace(chunk, document="new") for chunk in chunks]
    assert passed_over(QUERIES, searches, renamed, {"new": TEXTS["d"]}.get, {"d": "new"}) == {"q1": {"a": 3.0}}


def test_a_ledger_names_the_source_and_nothing_changes_without_a_log(
    world: SimpleNamespace, chunks: list[Chunk], home: Home
) -> None:
    by_id = {chunk.id: chunk for chunk in chunks}
    found = {"q1": {"a": 0.9, "b": 0.8}, "q2": {"c": 0.7}}
    searcher = world.TableSearcher(by_id, dict.fromkeys(("bm25", "minilm", "wordllama"), found))
    judged = world.projection({"q1": [by_id["a"]], "q2": [by_id["c"]]})

    def mined(sources: tuple[str, ...], feedback: Run | None = None) -> Any:
        settings = MineSettings(sources=sources, random_share=0.0, filters=())
        return read_ledger(home, mine(searcher, QUERIES, judged, None, settings, home, feedback=feedback).ledger)

    without = mined(("bm25", "encoder", "ensemble"))
    silent = mined(("bm25", "encoder", "ensemble", "feedback"))
    assert silent.rows == without.rows
    assert silent.manifest["feedback_fingerprint"] is None
    told = mined(("bm25", "encoder", "ensemble", "feedback"), {"q1": {"f": 4.0, "a": 1.0}})
    new = {(row.query, row.chunk): row for row in told.rows}.keys() - {(row.query, row.chunk) for row in without.rows}
    assert new == {("q1", "f")}
    kept = next(row for row in told.rows if row.chunk == "f")
    assert (kept.verdict, [(s.name, s.rank, s.score) for s in kept.sources]) == ("kept", [("feedback", 1, 4.0)])
    # The judged passage is none, whatever searchers said of it.
    assert next(row for row in told.rows if row.chunk == "a").verdict == "duplicate"
    assert told.manifest["feedback_fingerprint"]
