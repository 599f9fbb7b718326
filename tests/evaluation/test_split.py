import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.judgements import Judgement, Query
from evaluation.leakage import near_copies
from evaluation.split import carve


def make(count: int, documents: int) -> tuple[list[Query], list[Judgement]]:
    queries = [Query(f"q{i:03d}", f"question number {i * 7919} about {i * 104729}", "train") for i in range(count)]
    return queries, [Judgement(f"q{i:03d}", f"d{i % documents}") for i in range(count)]


def test_whole_documents_are_held_and_about_the_share() -> None:
    queries, judgements = make(200, 40)
    train, held = carve(queries, judgements, share=0.1, seed=3)
    assert len(held) == 20  # 4 documents of 5 queries
    assert sorted(q.id for q in train + held) == [q.id for q in queries]
    document = {j.query: j.document for j in judgements}
    assert {document[q.id] for q in train}.isdisjoint(document[q.id] for q in held)


def test_the_seed_decides_and_the_order_does_not() -> None:
    queries, judgements = make(100, 50)
    first = {q.id for q in carve(queries, judgements, seed=1)[1]}
    assert first == {q.id for q in carve(queries[::-1], judgements[::-1], seed=1)[1]}
    assert any(first != {q.id for q in carve(queries, judgements, seed=seed)[1]} for seed in range(2, 6))


@given(st.integers(0, 50))
def test_near_copies_stay_together(seed: int) -> None:
    queries, judgements = make(40, 40)
    copies = [Query(f"c{i}", queries[2 * i].text + "!", "train") for i in range(10)]
    judgements += [Judgement(f"c{i}", f"other{i}") for i in range(10)]
    train, held = carve(queries + copies, judgements, share=0.3, seed=seed)
    assert 0 < len(held) <= 15
    sides = {q.id: "train" for q in train} | {q.id: "held" for q in held}
    for a, b in near_copies(queries + copies):
        assert sides[a] == sides[b]


def test_the_smallest_group_is_held_where_all_are_larger_than_the_share() -> None:
    queries, judgements = make(9, 1)
    queries += [Query("z1", "entirely different words", "train"), Query("z2", "yet more to be asked", "train")]
    queries = [Query(q.id, q.text, q.split, "big" if q.id.startswith("q") else "small") for q in queries]
    train, held = carve(queries, judgements, share=0.1)
    assert [q.id for q in held] == ["z1", "z2"]
    assert len(train) == 9


def test_one_group_cannot_be_carved() -> None:
    queries = [Query(str(i), f"question {i}", "train", "same") for i in range(5)]
    with pytest.raises(ValueError, match="one group"):
        carve(queries, [])
    with pytest.raises(ValueError, match="share"):
        carve(queries, [], share=1.0)
