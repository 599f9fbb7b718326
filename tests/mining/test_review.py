"""The review queue: what waits, in which order, and what an answer does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest

from evaluation.catalogue import Catalogue
from evaluation.catalogue_decisions import Decision
from indexing.home import Home, SpecmineError
from mining.ledger import DECISIONS, FoundBy, Ledger, LedgerQuery, LedgerRow
from mining.review import ANSWERS, decide, review_queue

BELIEVED = {"auc": 0.9, "queries": 9, "pairs": 9, "distrust": ""}


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def row(
    chunk: str, verdict: str = "borderline", ranks: dict[str, int] | None = None, query: str = "q", **more: Any
) -> LedgerRow:
    sources = tuple(FoundBy(name, rank, 1 / rank) for name, rank in (ranks or {"bm25": 1, "minilm": 1}).items())
    given = {"ensemble_score": 0.5, "cross_score": None, "positive_cross_score": None, "reason": "why", **more}
    start = int(chunk[1:]) * 100
    return LedgerRow(query, chunk, "d", start, start + 100, sources, verdict=verdict, **given)


def ledger(*rows: LedgerRow, agreement: Any = None) -> Ledger:
    queries = tuple(LedgerQuery(query, f"what is {query}", "en", ("c9",)) for query in ("q", "r"))
    settings = {"borderline": 0.8, "rho": 0.95}
    manifest = {
        "encoders": {"minilm": {}, "e5": {}},
        "settings": settings,
        "agreement": {"en": BELIEVED} if agreement is None else agreement,
    }
    return Ledger("l", rows, queries, manifest)


def chunks_of(entries: list[Any]) -> list[str]:
    return [entry.row.chunk for entry in entries]


@pytest.fixture
def catalogue(home: Home) -> Iterator[Catalogue]:
    book = Catalogue(home.catalogue_url)
    yield book
    book.close()


def test_what_is_doubtful_and_undecided_waits() -> None:
    every = [
        row("c1", "borderline"),
        row("c2", "proposed_positive"),
        row("c3", "relevant"),  # accepted by a setting
        row("c4", "relevant", reviewer="ann"),
        row("c5", "borderline", reviewer="ann"),
        *(row(f"c{n}", verdict) for n, verdict in enumerate(("kept", "random", "too_easy", "false_negative"), start=6)),
    ]
    assert sorted(chunks_of(review_queue(ledger(*every), []))) == ["c1", "c2", "c3"]


@pytest.mark.parametrize(("start", "waits"), [(100, False), (149, False), (150, False), (151, True), (400, True)])
def test_a_decision_about_the_place_takes_it_from_the_queue(start: int, waits: bool) -> None:
    # c1 is 100 to 200; a decision about the 100 characters from ``start`` on holds where they share 50 of them.
    decided = Decision("2026-11-22T10:00:00.000Z", "q", "d", start, start + 100, "kept", "ann")
    assert chunks_of(review_queue(ledger(row("c1")), [decided])) == (["c1"] if waits else [])
    of_another = Decision("2026-11-22T10:00:00.000Z", "r", "d", start, start + 100, "kept", "ann")
    assert chunks_of(review_queue(ledger(row("c1")), [of_another])) == ["c1"]


def test_the_value_is_disagreement_times_how_often_retrieved() -> None:
    rows = [
        row("c1", ranks={"bm25": 1, "minilm": 10}),
        row("c2", ranks={"bm25": 10, "minilm": 99}),
        row("c3", ranks={"bm25": 5, "minilm": 5}),
        row("c2", "kept", ranks={"bm25": 3}, query="r"),
        row("c2", "random", ranks={"random": 3}, query="s"),  # chance retrieves nothing
    ]
    queue = review_queue(ledger(*rows), [])
    # What a retriever does not list stands at 100, behind the deepest rank, 99.
    spread = {"c1": math.log(10) / math.log(100), "c2": (math.log(99) - math.log(10)) / math.log(100), "c3": 0.0}
    assert [(entry.row.chunk, entry.retrieved) for entry in queue] == [("c2", 2), ("c1", 1), ("c3", 1)]
    assert [entry.value for entry in queue] == pytest.approx([2 * spread["c2"], spread["c1"], 0.0])


def test_a_retriever_that_lists_a_passage_alone_disagrees() -> None:
    rows = [row("c1", ranks={"bm25": 1}), row("c2", ranks={"minilm": 9, "ensemble": 1, "bm25": 9})]
    queue = {entry.row.chunk: entry.disagreement for entry in review_queue(ledger(*rows), [])}
    assert queue == {"c1": pytest.approx(1.0), "c2": 0.0}  # the vote of the same sources does not count


@pytest.mark.parametrize(
    ("ratio", "nearness"),
    [
        (0.95, 1.0),
        (0.8, 1.0),
        (math.sqrt(0.95 * 0.8), 0.5),  # the middle of the band, in logarithms
        (0.95 * math.sqrt(0.95 / 0.8), 0.5),
        (0.95 * 0.95 / 0.8, 0.0),  # one width above
        (1.9, 0.0),
    ],
)
def test_near_the_cross_encoders_bounds(ratio: float, nearness: float) -> None:
    scored = row("c1", cross_score=logit(0.5 * ratio), positive_cross_score=logit(0.5))
    (entry,) = review_queue(ledger(scored), [])
    assert entry.disagreement == pytest.approx(nearness, abs=1e-9)
    (entry,) = review_queue(ledger(scored, agreement={"ja": {**BELIEVED, "distrust": "blind"}, "en": BELIEVED}), [])
    assert entry.disagreement == pytest.approx(nearness, abs=1e-9)
    blind = {**BELIEVED, "distrust": "it is blind"}
    for distrusted in ({}, {"en": blind, "ja": BELIEVED}, {"ja": BELIEVED}):
        (entry,) = review_queue(ledger(scored, agreement=distrusted), [])
        assert entry.disagreement == 0.0


def test_every_answer_is_a_decision_that_mining_knows(catalogue: Catalogue) -> None:
    assert set(ANSWERS.values()) <= set(DECISIONS)
    for number, answer in enumerate(ANSWERS):
        made = decide(catalogue, ledger(row(f"c{number}")), "q", f"c{number}", answer, "ann")
        assert (made.query, made.document, made.start, made.end) == ("q", "d", number * 100, number * 100 + 100)
        assert made.verdict == ANSWERS[answer]
    assert len(catalogue.decisions()) == 4


def test_the_later_word_counts_and_the_earlier_is_kept(catalogue: Catalogue) -> None:
    for answer in ("negative", "relevant"):
        decide(catalogue, ledger(row("c1")), "q", "c1", answer, "ann")
    assert [decision.verdict for decision in catalogue.decisions()] == ["relevant"]
    assert [decision.verdict for decision in catalogue.decision_history()] == ["kept", "relevant"]


def test_what_a_person_confirmed_may_be_taken_back(catalogue: Catalogue) -> None:
    confirmed = row("c9", "relevant", reviewer="ann")  # mined again, it is among the positives
    assert decide(catalogue, ledger(confirmed), "q", "c9", "negative", "bob").verdict == "kept"


@pytest.mark.parametrize(
    ("query", "chunk", "answer", "reviewer", "problem"),
    [
        ("q", "c1", "kept", "ann", "there is no verdict 'kept': choose negative, relevant, duplicate, unsure"),
        ("q", "c7", "negative", "ann", "ledger l has no passage 'c7' for query 'q'"),
        ("r", "c1", "negative", "ann", "ledger l has no passage 'c1' for query 'r'"),
        ("q", "c1", "negative", " ", "reviewer is empty"),
        ("q", "c9", "negative", "ann", "passage c9 is judged for query 'q'"),
    ],
)
def test_refusals(catalogue: Catalogue, query: str, chunk: str, answer: str, reviewer: str, problem: str) -> None:
    with pytest.raises(SpecmineError, match=problem):
        decide(catalogue, ledger(row("c1"), row("c9", "duplicate")), query, chunk, answer, reviewer)
    assert catalogue.decision_history() == []
