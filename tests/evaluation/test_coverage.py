"""Coverage against characters counted one by one."""

from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk
from evaluation.coverage import span_coverage


def passage(document: str, start: int, end: int) -> Chunk:
    id = f"{document}/{start}-{end}"
    return Chunk(id, document, document, 0, (), 1, 1, start, end, "", "", 1)


def by_id(*chunks: Chunk) -> dict[str, Chunk]:
    return {chunk.id: chunk for chunk in chunks}


def test_characters_of_judged_spans_count_once_and_only_in_their_document() -> None:
    chunks = by_id(passage("a", 0, 60), passage("a", 40, 80), passage("b", 0, 100))
    run = {"q": dict.fromkeys(chunks, 1.0)}
    assert span_coverage(run, {"q": ["a#50-100"]}, chunks) == {"q": 30 / 50}
    assert span_coverage(run, {"q": ["a#50-100", "a#70-110"]}, chunks) == {"q": 30 / 60}
    assert span_coverage(run, {"q": ["a#50-100", "b#90-110"]}, chunks) == {"q": (30 + 10) / (50 + 20)}
    assert span_coverage(run, {"q": ["c#0-10"]}, chunks) == {"q": 0.0}


def test_only_the_first_passages_count_and_a_query_without_results_covers_nothing() -> None:
    chunks = by_id(passage("a", 0, 10), passage("a", 10, 20))
    run = {"q": {"a/0-10": 0.2, "a/10-20": 0.9}, "empty": {}}
    units = {"q": ["a#0-20"], "empty": ["a#0-20"], "missing": ["a#0-20"]}
    assert span_coverage(run, units, chunks, depth=1) == {"q": 0.5, "empty": 0.0, "missing": 0.0}


def test_units_without_a_span_are_left_out() -> None:
    chunks = by_id(passage("a", 0, 10))
    units = {"q": ["a#section:4.2", "a#pages:1-2", "a"], "r": ["a", "a#5-15"]}
    assert span_coverage({"q": {"a/0-10": 1.0}, "r": {"a/0-10": 1.0}}, units, chunks) == {"r": 5 / 10}


spans = st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 20))


@given(st.lists(spans, min_size=1, max_size=4), st.lists(spans, max_size=6))
def test_it_is_the_share_of_characters_counted_one_by_one(
    judged: list[tuple[str, int, int]], found: list[tuple[str, int, int]]
) -> None:
    chunks = by_id(*(passage(document, start, start + length) for document, start, length in found))
    units = {"q": [f"{document}#{start}-{start + length}" for document, start, length in judged]}
    wanted = {(document, at) for document, start, length in judged for at in range(start, start + length)}
    held = {(document, at) for document, start, length in found for at in range(start, start + length)}
    covered = span_coverage({"q": dict.fromkeys(chunks, 1.0)}, units, chunks)
    assert covered == {"q": len(wanted & held) / len(wanted)}
