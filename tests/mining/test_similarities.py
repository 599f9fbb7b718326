"""Cosines between vectors in the plane: the angle between query and passage is written into their texts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mining.ledger import Ledger, LedgerQuery, LedgerRow
from mining.similarities import measure_similarities


def made(
    world: SimpleNamespace, angles: dict[str, tuple[str, int]], queries: int = 1
) -> tuple[Ledger, SimpleNamespace]:
    """A ledger of queries at 0°, with a row for each name: its verdict and its angle in degrees; "p" is judged."""
    chunks = {name: world.chunk(name, "d", n, f"at {angle}") for n, (name, (_, angle)) in enumerate(angles.items())}
    asked = tuple(LedgerQuery(f"q{n}", "at 0", "en", ("p",)) for n in range(queries))
    rows = tuple(
        LedgerRow(query.id, name, "d", 0, 1, (), None, None, None, verdict, "")
        for query in asked
        for name, (verdict, _) in angles.items()
    )
    return Ledger("l", rows, asked, {"settings": {"seed": 13}}), world.TableSearcher(chunks, {})


def test_groups_are_measured_by_every_encoder(world: SimpleNamespace) -> None:
    ledger, searcher = made(
        world,
        {"p": ("duplicate", 0), "k": ("kept", 60), "f": ("false_negative", 30), "b": ("borderline", 45)}
        | {"r": ("random", 40), "u": ("unselected", 10)},
    )
    first, second = measure_similarities(ledger, searcher)
    assert (first.encoder, second.encoder, first.queries) == ("minilm", "wordllama", 1)
    assert {name: group.pairs for name, group in first.groups.items()} == {
        "judged": 1, "kept": 1, "removed": 2, "random": 1,
    }  # fmt: skip
    assert first.groups["judged"].median == pytest.approx(1.0)
    assert first.groups["kept"].median == pytest.approx(0.5)  # cos 60°
    assert first.groups["removed"].median == pytest.approx((0.75**0.5 + 0.5**0.5) / 2)  # of cos 30° and cos 45°
    assert second.groups["kept"].median == pytest.approx(-0.5)  # this encoder doubles the angle
    assert (first.edges[0], first.edges[-1]) == pytest.approx((0.5, 1.0))
    assert first.overlap == 0.0


def test_alike_groups_overlap_wholly_and_an_empty_one_not_at_all(world: SimpleNamespace) -> None:
    alike, searcher = made(world, {"p": ("duplicate", 20), "k": ("kept", 20)})
    assert measure_similarities(alike, searcher)[0].overlap == pytest.approx(1.0)
    alone, searcher = made(world, {"p": ("duplicate", 20)})
    assert measure_similarities(alone, searcher)[0].overlap is None
    assert measure_similarities(Ledger("l", (), (), {"settings": {"seed": 1}}), searcher) == []


def test_a_sample_of_the_queries_is_drawn_by_the_seed(world: SimpleNamespace) -> None:
    ledger, searcher = made(world, {"p": ("duplicate", 0), "k": ("kept", 60)}, queries=9)
    measured = measure_similarities(ledger, searcher, most=4)[0]
    assert (measured.queries, measured.groups["kept"].pairs) == (4, 4)
    assert measure_similarities(ledger, searcher, most=4)[0] == measured


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["kept", "random", "borderline"]), st.integers(0, 180)), max_size=12))
def test_shares_sum_to_one_and_overlap_is_a_share(world: SimpleNamespace, angles: list[tuple[str, int]]) -> None:
    ledger, searcher = made(world, {"p": ("duplicate", 10), **{f"c{n}": angle for n, angle in enumerate(angles)}})
    for measured in measure_similarities(ledger, searcher):
        for group in measured.groups.values():
            assert sum(group.shares) == pytest.approx(1.0)
        assert measured.overlap is None or 0 <= measured.overlap <= 1 + 1e-9
