import math
import random
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.judgements import Judgement
from evaluation.measures import MEASURES, Measures, measure
from evaluation.projection import Projection, Unmapped


def projection(units: dict[str, dict[str, int]], hits: dict[str, dict[str, tuple[str, ...]]]) -> Projection:
    return Projection(units, hits, ("lost",), [Unmapped(Judgement("lost", "d"), "document not indexed")])


def run_of(*chunks: str) -> dict[str, float]:
    return {chunk: float(-rank) for rank, chunk in enumerate(chunks)}


def test_hand_arithmetic() -> None:
    """Ranking x, a1, a2, b, y: a1 and a2 hit unit A (grade 2), b hits B (grade 1); C (grade 3) is never found."""
    judged = projection({"q": {"A": 2, "B": 1, "C": 3}}, {"q": {"a1": ("A",), "a2": ("A",), "b": ("B",), "c": ("C",)}})
    values = measure({"q": run_of("x", "a1", "a2", "b", "y")}, judged).per_query["q"]
    # a2 is dropped, so the ranks are x, A, B, y.
    gained = 2 / math.log2(2 + 1) + 1 / math.log2(3 + 1)
    ideal = 3 / math.log2(1 + 1) + 2 / math.log2(2 + 1) + 1 / math.log2(3 + 1)
    assert values["nDCG@10"] == pytest.approx(gained / ideal)
    assert values["RR@10"] == pytest.approx(1 / 2)
    assert values["R@10"] == pytest.approx(2 / 3)
    assert values["R@100"] == pytest.approx(2 / 3)


def test_a_chunk_that_answers_two_units_takes_one_rank_and_finds_both() -> None:
    judged = projection({"q": {"A": 1, "B": 3}}, {"q": {"ab": ("A", "B"), "a": ("A",)}})
    values = measure({"q": run_of("ab", "a")}, judged).per_query["q"]
    assert values["nDCG@10"] == pytest.approx(3 / (3 + 1 / math.log2(3)))
    assert values["RR@10"] == 1.0
    assert values["R@10"] == 1.0


def test_a_chunk_with_one_fresh_unit_gains_only_that() -> None:
    judged = projection({"q": {"A": 1, "B": 3}}, {"q": {"b": ("B",), "ab": ("A", "B")}})
    values = measure({"q": run_of("b", "ab")}, judged).per_query["q"]
    assert values["nDCG@10"] == pytest.approx(1.0)
    assert values["R@10"] == 1.0


def test_cutoffs_count_collapsed_ranks() -> None:
    """Ten chunks of one unit before the other unit's chunk still leave it at rank 2; ten misses do not."""
    judged = projection({"q": {"A": 1, "B": 1}}, {"q": {**{f"a{i}": ("A",) for i in range(20)}, "b": ("B",)}})
    near = measure({"q": run_of(*(f"a{i}" for i in range(20)), "b")}, judged).per_query["q"]
    assert near["R@10"] == 1.0
    assert near["nDCG@10"] == pytest.approx(1.0)
    far = measure({"q": run_of(*(f"x{i}" for i in range(10)), "a0", "b")}, judged).per_query["q"]
    assert far == {"nDCG@10": 0.0, "RR@10": 0.0, "R@10": 0.0, "R@100": 1.0}
    hundredth = measure({"q": run_of(*(f"x{i}" for i in range(99)), "a0", "b")}, judged).per_query["q"]
    assert hundredth["R@100"] == 0.5


def test_a_query_without_results_scores_zero_and_others_are_ignored() -> None:
    judged = projection({"q": {"A": 1}, "r": {"A": 1}, "s": {"A": 1}}, {id: {"a": ("A",)} for id in "qrs"})
    measured = measure({"q": run_of("a"), "s": {}, "unjudged": run_of("a")}, judged)
    assert set(measured.per_query) == {"q", "r", "s"}
    assert measured.mean == pytest.approx(dict.fromkeys(MEASURES, 1 / 3))
    assert measured.excluded == ("lost",)


def test_ties_are_broken_by_chunk_id_whatever_the_order() -> None:
    judged = projection({"q": {"A": 1}}, {"q": {"m": ("A",)}})
    for chunks in (["z", "m", "b"], ["b", "m", "z"], ["m", "z", "b"]):
        assert measure({"q": dict.fromkeys(chunks, 0.5)}, judged).mean["RR@10"] == 1 / 2


def test_ids_of_chunks_and_units_may_coincide() -> None:
    judged = projection({"q": {"x": 1}}, {"q": {"a": ("x",)}})
    assert measure({"q": run_of("x", "a")}, judged).mean["RR@10"] == 1 / 2


def test_refuses_scores_that_are_not_numbers_and_nothing_to_measure() -> None:
    judged = projection({"q": {"A": 1}}, {"q": {"a": ("A",)}})
    with pytest.raises(ValueError, match="query 'q': the score of chunk 'a' is not a number"):
        measure({"q": {"a": math.nan}}, judged)
    with pytest.raises(ValueError, match="no judgement maps"):
        measure({}, projection({}, {}))


def test_column_names_the_known_measures() -> None:
    measured = Measures({"q": dict.fromkeys(MEASURES, 0.5)}, dict.fromkeys(MEASURES, 0.5), ())
    assert measured.column("RR@10") == {"q": 0.5}
    with pytest.raises(ValueError, match=r"nDCG@10, RR@10, R@10, R@100"):
        measured.column("MAP")


def by_numpy(scores: dict[str, float], grades: dict[str, int], hits: dict[str, tuple[str, ...]]) -> dict[str, float]:
    """The same definition, written independently: a matrix of ranks by units."""
    chunks = np.array(sorted(scores))
    order = (
        np.argsort(-np.array([scores[c] for c in chunks], float), kind="stable") if len(chunks) else np.array([], int)
    )
    names = sorted(grades)
    table = np.array([[unit in hits.get(chunk, ()) for unit in names] for chunk in chunks[order]], bool)
    table = table.reshape(len(chunks), len(names))
    before = np.cumsum(table, axis=0) - table > 0
    fresh = table & ~before
    kept = fresh.any(axis=1) | ~table.any(axis=1)
    fresh = fresh[kept]
    weight = np.array([grades[name] for name in names], float)
    gain = (fresh * weight).max(axis=1, initial=0.0)
    discount = 1 / np.log2(np.arange(2, 12))
    ideal = np.sort(weight)[::-1][:10] @ discount[: min(10, len(weight))]
    first = np.flatnonzero(gain[:10])
    return {
        "nDCG@10": float(gain[:10] @ discount[: len(gain[:10])] / ideal),
        "RR@10": float(1 / (first[0] + 1)) if len(first) else 0.0,
        "R@10": float(fresh[:10].sum() / len(names)),
        "R@100": float(fresh[:100].sum() / len(names)),
    }


units = st.dictionaries(st.sampled_from("ABCDEFGHIJKLMNOP"), st.integers(1, 4), min_size=1)


@given(units, st.data())
def test_agrees_with_an_independent_implementation(grades: dict[str, int], data: st.DataObject) -> None:
    hits = {unit.lower(): (unit,) for unit in grades}
    more = st.lists(st.sampled_from(sorted(grades)), min_size=1, unique=True).map(sorted).map(tuple)
    hits |= data.draw(st.dictionaries(st.sampled_from([f"c{i}" for i in range(8)]), more))
    chunks = sorted(hits) + [f"x{i}" for i in range(12)]
    scores = data.draw(st.dictionaries(st.sampled_from(chunks), st.integers(-3, 3).map(float)))
    values = measure({"q": scores}, projection({"q": grades}, {"q": hits})).per_query["q"]
    assert values == pytest.approx(by_numpy(scores, grades, hits), abs=1e-9)
    assert all(0.0 <= value <= 1.0 + 1e-9 for value in values.values())


def test_three_thousand_queries_of_depth_two_hundred_take_under_five_seconds() -> None:
    source = random.Random(0)
    ids = [f"{i:08d}-0000-0000-0000-000000000000" for i in range(30_000)]
    hits = {f"q{q}": dict.fromkeys(source.sample(ids, 5), (f"u{q}",)) for q in range(3000)}
    judged = projection({query: {f"u{query[1:]}": 1} for query in hits}, hits)
    run = {query: {chunk: source.random() for chunk in source.sample(ids, 200)} for query in hits}
    before = time.process_time()
    measure(run, judged)
    assert time.process_time() - before < 5.0
