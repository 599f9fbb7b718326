import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.judgements import Query
from evaluation.leakage import near_copies
from evaluation.split import carve


def make(count: int, groups: int | None = None) -> list[Query]:
    """Queries unlike each other, in ``groups`` explicit groups or in none."""
    return [
        Query(
            f"q{i:03d}", f"question number {i * 7919} about {i * 104729}", "train", f"g{i % groups}" if groups else None
        )
        for i in range(count)
    ]


def test_whole_groups_are_held_and_about_the_share() -> None:
    queries = make(200, groups=40)
    train, held = carve(queries, share=0.1, seed=3)
    assert len(held) == 20  # 4 groups of 5 queries
    assert sorted(q.id for q in train + held) == [q.id for q in queries]
    assert {q.group for q in train}.isdisjoint(q.group for q in held)


def test_queries_without_group_stand_for_themselves() -> None:
    train, held = carve(make(200), share=0.1)
    assert (len(train), len(held)) == (180, 20)


def test_the_seed_decides_and_the_order_does_not() -> None:
    queries = make(100)
    first = {q.id for q in carve(queries, seed=1)[1]}
    assert first == {q.id for q in carve(queries[::-1], seed=1)[1]}
    assert any(first != {q.id for q in carve(queries, seed=seed)[1]} for seed in range(2, 6))


@given(st.integers(0, 50))
def test_near_copies_stay_together(seed: int) -> None:
    queries = make(40)
    copies = [Query(f"c{i}", queries[2 * i].text + "!", "train") for i in range(10)]
    train, held = carve(queries + copies, share=0.3, seed=seed)
    assert 0 < len(held) <= 15
    sides = {q.id: "train" for q in train} | {q.id: "held" for q in held}
    for a, b in near_copies(queries + copies):
        assert sides[a] == sides[b]


def test_the_smallest_group_is_held_where_all_are_larger_than_the_share() -> None:
    queries = make(9)
    queries += [Query("z1", "entirely different words", "train"), Query("z2", "yet more to be asked", "train")]
    queries = [Query(q.id, q.text, q.split, "big" if q.id.startswith("q") else "small") for q in queries]
    train, held = carve(queries, share=0.1)
    assert [q.id for q in held] == ["z1", "z2"]
    assert len(train) == 9


def test_one_group_cannot_be_carved() -> None:
    queries = [Query(str(i), f"question {i}", "train", "same") for i in range(5)]
    with pytest.raises(ValueError, match="one group"):
        carve(queries)
    with pytest.raises(ValueError, match="share"):
        carve(queries, share=1.0)
