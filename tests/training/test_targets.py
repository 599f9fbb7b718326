"""What is a positive, what is masked and what is a negative, on a few chunks laid out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from chunking.document import Chunk
from evaluation.judgements import Judgement, Query
from evaluation.projection import project
from mining.ledger import Ledger, LedgerRow
from training.targets import Examples, build_examples, masks_of, teacher_of


def make_chunk(
    name: str, document: str, ordinal: int, text: str = "", section: tuple[str, ...] = (), length: int = 100
) -> Chunk:
    """A chunk of ``length`` characters that begins at ``ordinal * length``."""
    start = ordinal * length
    text = text or f"text of {name}"
    return Chunk(name, document, document, ordinal, section, 1, 1, start, start + length, text, text, 10)


ONE, TWO = ("1 Scope",), ("2 Limits",)
CHUNKS = [
    make_chunk("a0", "a", 0, section=ONE),
    make_chunk("a1", "a", 1, section=ONE),
    make_chunk("a2", "a", 2, section=TWO),
    make_chunk("b0", "b", 0),
    make_chunk("b1", "b", 1),
    make_chunk("b2", "b", 2),
    make_chunk("b3", "b", 3),
    make_chunk("c0", "c", 0, text="Text  of A0", section=("9 Elsewhere",)),
]
ROWS = {chunk.id: row for row, chunk in enumerate(CHUNKS)}
QUERY = Query("q", "what?", "train")


def build(
    judgements: Sequence[Judgement],
    ledger: Sequence[LedgerRow] = (),
    needs_ledger: bool = False,
    queries: Sequence[Query] = (QUERY,),
    chunks: Sequence[Chunk] = CHUNKS,
) -> Examples:
    projection = project(judgements, chunks, lambda document: None)
    found = Ledger("l", tuple(ledger), (), {}) if ledger else None
    return build_examples(queries, judgements, projection, chunks, found, needs_ledger)


def row(chunk: str, verdict: str, reviewer: str | None = None, query: str = "q") -> LedgerRow:
    return LedgerRow(query, chunk, chunk[0], 0, 1, (), None, None, None, verdict, "because", reviewer)


def names(rows: np.ndarray) -> set[str]:
    return {CHUNKS[row].id for row in rows}


def test_siblings_in_the_section_and_equal_texts_are_masked() -> None:
    (example,) = build([Judgement("q", "a", start=0, end=100)]).examples
    assert names(example.positives) == {"a0"}
    # a1 is of the same section; c0 has the same text but for case and white space
    assert names(example.masked) == {"a1", "c0"}
    assert names(example.ledger) == set()


def test_without_sections_the_neighbours_are_masked() -> None:
    (example,) = build([Judgement("q", "b", start=100, end=200)]).examples
    assert names(example.positives) == {"b1"}
    assert names(example.masked) == {"b0", "b2"}


def test_what_touches_a_judged_span_is_masked() -> None:
    # 140 characters: all of a1, 40 of a2's 100, which are too few for a hit
    (example,) = build([Judgement("q", "a", start=100, end=240)]).examples
    assert names(example.positives) == {"a1"}
    assert names(example.masked) == {"a0", "a2"}


def test_a_section_over_several_chunks_has_several_positives() -> None:
    (example,) = build([Judgement("q", "a", section="1")]).examples
    assert names(example.positives) == {"a0", "a1"}
    assert names(example.masked) == {"c0"}


def test_every_known_positive_of_a_query_is_one() -> None:
    (example,) = build([Judgement("q", "a", start=0, end=100), Judgement("q", "b", start=300, end=400)]).examples
    assert names(example.positives) == {"a0", "b3"}


def test_a_passage_judged_not_relevant_is_no_positive_and_not_masked() -> None:
    judged = [Judgement("q", "a", start=0, end=100), Judgement("q", "b", grade=0, start=0, end=100)]
    (example,) = build(judged).examples
    assert "b0" not in names(example.positives) | names(example.masked)


@pytest.mark.parametrize(
    ("verdict", "reviewer", "masked", "negative"),
    [
        ("kept", None, False, True),
        ("random", None, False, True),
        ("false_negative", None, True, False),
        ("borderline", None, False, False),
        ("borderline", "ann", True, False),
        ("duplicate", None, True, False),
        ("too_easy", None, False, False),
        ("unselected", None, False, False),
        ("proposed_positive", None, True, False),
    ],
)
def test_what_the_ledger_says_of_a_chunk(verdict: str, reviewer: str | None, masked: bool, negative: bool) -> None:
    (example,) = build([Judgement("q", "a", start=0, end=100)], [row("b3", verdict, reviewer)]).examples
    assert ("b3" in names(example.masked)) == masked
    assert ("b3" in names(example.ledger)) == negative


def test_what_is_relevant_is_a_positive_and_its_siblings_are_masked() -> None:
    (example,) = build([Judgement("q", "b", start=300, end=400)], [row("a0", "relevant"), row("a1", "kept")]).examples
    assert names(example.positives) == {"b3", "a0"}
    # b2 adjoins b3; a1 is of the section of a0, c0 repeats it
    assert names(example.masked) == {"b2", "a1", "c0"}
    assert names(example.ledger) == set()


def test_rows_of_other_queries_say_nothing() -> None:
    (example,) = build([Judgement("q", "a", start=0, end=100)], [row("b3", "kept", query="other")]).examples
    assert names(example.ledger) == set()


def test_a_judged_passage_and_its_sibling_are_never_negatives_whatever_a_rule_says() -> None:
    (example,) = build([Judgement("q", "a", start=0, end=100)], [row("a0", "kept"), row("a1", "kept")]).examples
    assert names(example.ledger) == set()


def test_a_person_may_say_that_a_sibling_is_a_negative_but_not_a_judged_passage() -> None:
    rows = [row("a0", "kept", "ann"), row("a1", "kept", "ann")]
    (example,) = build([Judgement("q", "a", start=0, end=100)], rows).examples
    assert names(example.ledger) == {"a1"}
    assert "a1" not in names(example.masked)
    assert names(example.positives) == {"a0"}


def test_queries_that_cannot_train_are_counted() -> None:
    queries = [Query(name, name, "train") for name in ("q", "unmapped", "unjudged")]
    judged = [Judgement("q", "a", start=0, end=100), Judgement("unmapped", "gone", start=0, end=9)]
    built = build(judged, queries=queries)
    assert [example.query for example in built.examples] == ["q"]
    assert (built.without_passage, built.without_negative, built.lost_rows) == (2, 0, 0)


def test_a_loss_on_mined_negatives_leaves_out_queries_without_them() -> None:
    queries = [Query(name, name, "train") for name in ("q", "r")]
    judged = [Judgement(query.id, "a", start=0, end=100) for query in queries]
    rows = [row("b3", "kept"), row("gone", "kept"), row("b2", "borderline", query="r")]
    built = build(judged, rows, needs_ledger=True, queries=queries)
    assert [example.query for example in built.examples] == ["q"]
    assert (built.without_passage, built.without_negative, built.lost_rows) == (0, 1, 1)


def test_a_query_that_everything_answers_is_left_out() -> None:
    built = build([Judgement("q", "a")], chunks=CHUNKS[:3])
    assert built.examples == ()
    assert built.without_negative == 1


def test_masks_are_the_rows_of_the_examples() -> None:
    queries = [Query("q", "q", "train"), Query("r", "r", "train")]
    judged = [Judgement("q", "a", start=0, end=100), Judgement("r", "b", start=0, end=100)]
    built = build(judged, [row("b3", "kept"), row("a2", "random", query="r")], queries=queries)
    masks = masks_of(built.examples, len(CHUNKS))
    for place, example in enumerate(built.examples):
        assert masks.positives[place].nonzero().flatten().tolist() == example.positives.tolist()
        assert masks.ledger[place].nonzero().flatten().tolist() == example.ledger.tolist()
        hidden = sorted([*example.positives.tolist(), *example.masked.tolist()])
        assert (~masks.negatives[place]).nonzero().flatten().tolist() == hidden


def scored(chunk: str, verdict: str, cross: float | None) -> LedgerRow:
    return LedgerRow("q", chunk, chunk[0], 0, 1, (), None, cross, 4.0, verdict, "because", None)


def test_the_cross_encoders_scores_of_what_trains_are_kept() -> None:
    rows = [scored("b1", "kept", 1.5), scored("b2", "random", None), scored("b3", "false_negative", 5.0)]
    (example,) = build([Judgement("q", "a", start=0, end=100)], rows).examples
    assert dict(zip(names_in_order(example.taught), example.logits.tolist(), strict=True)) == {"a0": 4.0, "b1": 1.5}
    logits = teacher_of([example], len(CHUNKS))[0]
    assert int(logits.isfinite().sum()) == 2
    (alone,) = build([Judgement("q", "a", start=0, end=100)], [row("b1", "kept")]).examples
    assert len(alone.taught) == len(alone.logits) == 0


def names_in_order(rows: np.ndarray) -> list[str]:
    return [CHUNKS[number].id for number in rows]
