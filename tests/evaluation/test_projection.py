import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk
from evaluation.judgements import Judgement
from evaluation.projection import project

Make = Callable[..., Chunk]


def no_text(document: str) -> str | None:
    raise AssertionError("only quotes need the text")


def test_a_chunk_hits_when_half_of_the_shorter_one_overlaps(make_chunk: Make) -> None:
    chunks = [
        make_chunk("a", start=0, end=100),
        make_chunk("b", start=100, end=200),
        make_chunk("c", start=200, end=300),
    ]
    cases = {
        (10, 20): ["a"],  # a small span inside a chunk
        (90, 110): ["a", "b"],  # 10 of 20 in each: exactly half
        (89, 109): ["a"],  # 11 of 20 in a, 9 of 20 in b
        (0, 300): ["a", "b", "c"],  # a long span: all chunks inside
        (50, 300): ["a", "b", "c"],  # 50 of 100 of chunk a: exactly half
        (51, 300): ["b", "c"],  # 49 of 100
    }
    for (start, end), expected in cases.items():
        projection = project([Judgement("q", "d", 1, start, end)], chunks, no_text)
        assert projection.positives("q") == expected, (start, end)
        assert projection.units == {"q": {f"d#{start}-{end}": 1}}
        assert projection.hits["q"] == dict.fromkeys(expected, (f"d#{start}-{end}",))


def test_the_most_exact_locator_decides(make_chunk: Make) -> None:
    text = "alpha beta gamma delta"
    chunks = [
        make_chunk("one", start=0, end=10, section=("1 First",), pages=(1, 1)),
        make_chunk("two", start=11, end=22, section=("2 Second",), pages=(2, 3)),
    ]
    for judgement, expected, unit in [
        (Judgement("q", "d", 1, 0, 10, 2, 2, "2", "gamma"), ["one"], "d#0-10"),
        (Judgement("q", "d", 1, None, None, 1, 1, None, "gamma"), ["two"], "d#11-16"),
        (Judgement("q", "d", 1, None, None, 1, 1, "2"), ["two"], "d#section:2"),
        (Judgement("q", "d", 1, None, None, 3, 4), ["two"], "d#pages:3-4"),
        (Judgement("q", "d", 1), ["one", "two"], "d"),
    ]:
        projection = project([judgement], chunks, lambda document: text)
        assert projection.positives("q") == expected
        assert list(projection.units["q"]) == [unit]


def test_a_quote_counts_everywhere_unless_a_section_tells_its_places_apart(make_chunk: Make) -> None:
    text = "contents torque ... body torque"
    chunks = [make_chunk("toc", start=0, end=15), make_chunk("body", start=20, end=31, section=("2 Body",))]
    both = project([Judgement("q", "d", quote="torque")], chunks, lambda document: text)
    assert both.positives("q") == ["body", "toc"]
    assert both.units == {"q": {"d#9-15": 1}}
    one = project([Judgement("q", "d", quote="torque", section="2")], chunks, lambda document: text)
    assert one.positives("q") == ["body"]
    unknown_section = project([Judgement("q", "d", quote="torque", section="9")], chunks, lambda document: text)
    assert unknown_section.positives("q") == ["body", "toc"]


def test_what_does_not_map_is_reported_with_its_reason(make_chunk: Make) -> None:
    chunks = [make_chunk("a", start=0, end=10, section=("1 First",))]
    judgements = [
        Judgement("gone", "other"),
        Judgement("beyond", "d", start=20, end=30),
        Judgement("unsaid", "d", quote="nothing"),
        Judgement("elsewhere", "d", section="9"),
        Judgement("late", "d", first_page=7, last_page=8),
    ]
    projection = project(judgements, chunks, lambda document: "a text")
    assert [(lost.judgement.query, lost.reason) for lost in projection.unmapped] == [
        ("gone", "document not indexed"),
        ("beyond", "span covers no chunk"),
        ("unsaid", "quote not found"),
        ("elsewhere", "section not found"),
        ("late", "no chunk on these pages"),
    ]
    assert projection.excluded == ("gone", "beyond", "unsaid", "elsewhere", "late")
    assert projection.units == {} == projection.hits
    assert projection.positives("gone") == []


def test_grade_zero_makes_no_unit_and_repeats_take_the_higher_grade(make_chunk: Make) -> None:
    chunks = [make_chunk("a", start=0, end=10), make_chunk("b", start=10, end=20)]
    judgements = [
        Judgement("q", "d", 1, 0, 10),
        Judgement("q", "d", 3, 0, 10),
        Judgement("q", "d", 2, 0, 20),
        Judgement("q", "d", 0, 10, 20),
        Judgement("none", "d", 0, 0, 10),
    ]
    projection = project(judgements, chunks, no_text)
    assert projection.units == {"q": {"d#0-10": 3, "d#0-20": 2}}
    assert projection.hits == {"q": {"a": ("d#0-10", "d#0-20"), "b": ("d#0-20",)}}
    assert projection.positives("q") == ["a", "b"]
    assert projection.excluded == ("none",)
    assert projection.unmapped == []


spans = st.tuples(st.integers(0, 200), st.integers(1, 80)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(spans, min_size=1, max_size=20), st.lists(spans, min_size=1, max_size=5))
def test_the_index_finds_what_comparing_everything_finds(
    chunk_spans: list[tuple[int, int]], judged: list[tuple[int, int]]
) -> None:
    chunks = [Chunk(str(i), "d", "d", i, (), 1, 1, start, end, "", "", 1) for i, (start, end) in enumerate(chunk_spans)]
    projection = project([Judgement("q", "d", 1, start, end) for start, end in judged], chunks, no_text)
    expected = set()
    for i, (a, b) in enumerate(chunk_spans):
        for c, d in judged:
            overlap = len(set(range(a, b)) & set(range(c, d)))
            if overlap and overlap >= min(b - a, d - c) / 2:
                expected.add((str(i), f"d#{c}-{d}"))
    found = {(chunk, unit) for chunk, units in projection.hits.get("q", {}).items() for unit in units}
    assert found == expected


def test_thirty_thousand_chunks_take_well_under_a_second(make_chunk: Make) -> None:
    chunks = [
        make_chunk(f"{document}-{i}", str(document), 700 * i, 700 * i + 800)
        for document in range(150)
        for i in range(200)
    ]
    source = random.Random(0)
    judgements = []
    for query in range(3500):
        start = source.randrange(139_000)
        judgements.append(
            Judgement(str(query), str(source.randrange(150)), 1, start, start + source.randrange(50, 9000))
        )
    before = time.process_time()
    projection = project(judgements, chunks, no_text)
    assert time.process_time() - before < 3.0
    assert len(projection.units) + len(projection.unmapped) == 3500
    assert len(projection.units) == pytest.approx(3500, abs=70)
