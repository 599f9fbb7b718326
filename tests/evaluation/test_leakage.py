import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.judgements import Judgement, Query
from evaluation.leakage import NearCopies, find_leaks, groups, near_copies, split_seen
from evaluation.projection import Projection


def query(id: str, text: str = "text", group: str | None = None) -> Query:
    return Query(id, text, "train", group)


def test_texts_equal_but_for_form_are_leaks() -> None:
    train = [query("t1", "What is the TORQUE, of bolt M8?"), query("t2", "\uff34orque of nut")]
    held_out = [query("h1", "what is the torque of bolt  m8"), query("h2", "torque of nut!"), query("h3", "pressure")]
    leaks = find_leaks(train, held_out)
    assert [(leak.held_out, leak.train, leak.similarity) for leak in leaks] == [("h1", "t1", 1.0), ("h2", "t2", 1.0)]


def test_similarity_by_hand() -> None:
    # "abcdefghij" has the 7 shingles abcd … ghij; "abcdefghijk" has these and hijk: 7/8.
    assert find_leaks([query("t", "abcdefghij")], [query("h", "abcdefghijk")])[0].similarity == 7 / 8
    assert find_leaks([query("t", "abcdefghij")], [query("h", "abcdefghijk")], threshold=7 / 8) != []
    assert find_leaks([query("t", "abcdefghij")], [query("h", "abcdefghijk")], threshold=0.9) == []


def test_texts_without_letters_are_only_like_themselves() -> None:
    assert [leak.held_out for leak in find_leaks([query("t", "???")], [query("h", "???"), query("i", "!!!!!!")])] == [
        "h"
    ]


texts = st.lists(st.text("abc ", min_size=1, max_size=14).filter(str.strip), min_size=1, max_size=8)


@given(texts, texts, st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_finds_exactly_what_comparing_all_pairs_finds(left: list[str], right: list[str], threshold: float) -> None:
    def shingles(text: str) -> set[str]:
        text = " ".join(text.split())
        return {text[i : i + 4] for i in range(len(text) - 3)} or {text}

    expected = set()
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            similarity = len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b))
            if similarity >= threshold:
                expected.add((f"t{i}", f"h{j}", similarity))
    leaks = find_leaks(
        [query(f"t{i}", a) for i, a in enumerate(left)], [query(f"h{j}", b) for j, b in enumerate(right)], threshold
    )
    assert {(leak.train, leak.held_out, leak.similarity) for leak in leaks} == expected
    assert len(leaks) == len(expected)


def test_thousands_of_queries_take_seconds() -> None:
    source = random.Random(0)
    words = ["".join(source.choices("etaoinshrdlu", k=source.randint(2, 9))) for _ in range(3000)]
    train = [query(str(i), " ".join(source.choices(words, k=25))) for i in range(3250)]
    held_out = [
        query(f"h{i}", train[i].text + " x" if i < 40 else " ".join(source.choices(words, k=25))) for i in range(514)
    ]
    before = time.process_time()
    leaks = find_leaks(train, held_out)
    assert time.process_time() - before < 8.0
    assert {leak.held_out for leak in leaks} == {f"h{i}" for i in range(40)}


def test_near_copies_are_named_once() -> None:
    copies = list(near_copies([query("a", "the same text"), query("b", "another thing"), query("c", "The same text.")]))
    assert copies == [("a", "c")]


def test_seen_and_unseen() -> None:
    train = Projection({"t": {"d#0-90": 1}}, {"t": {"c1": ("d#0-90",), "c2": ("d#0-90",)}}, (), [])
    held_out = Projection(
        {"inside": {"d#50-60": 1}, "same": {"d#0-90": 1}, "other": {"e#0-9": 1}},
        {"inside": {"c2": ("d#50-60",)}, "same": {"c1": ("d#0-90",), "c2": ("d#0-90",)}, "other": {"c3": ("e#0-9",)}},
        (),
        [],
    )
    split = split_seen(held_out, train)
    assert split.seen == ("inside", "same")
    assert split.unseen == ("other",)


def test_queries_are_grouped_by_connected_documents() -> None:
    queries = [query(id) for id in "abcdefgh"] + [query("x", group="set 7")]
    judgements = [
        Judgement("a", "d2"),
        Judgement("b", "d2"),
        Judgement("b", "d1"),
        Judgement("c", "d3"),
        Judgement("d", "d4"),
        Judgement("e", "d4", 0),  # not relevant: says nothing about where e comes from
        Judgement("e", "d5"),
        Judgement("f", "d6"),
        Judgement("x", "d1"),
        Judgement("x", "d3"),
        Judgement("unknown", "d1"),
    ]
    assert groups(queries, judgements) == {
        "a": "d1",
        "b": "d1",
        "c": "d3",
        "d": "d4",
        "e": "d5",
        "f": "d6",
        "g": "g",
        "h": "h",
        "x": "set 7",
    }


def test_a_component_of_most_queries_is_taken_apart_by_best_document() -> None:
    queries = [query(id) for id in "abcd"]
    judgements = [
        Judgement("a", "d1", 1),
        Judgement("a", "d2", 3),
        Judgement("b", "d2", 1),
        Judgement("b", "d1", 1),
        Judgement("c", "d2", 2),
        Judgement("d", "d9", 1),
    ]
    assert groups(queries, judgements) == {"a": "d2", "b": "d1", "c": "d2", "d": "d9"}


@pytest.mark.parametrize("threshold", [0.0, 1.1])
def test_refuses_an_impossible_threshold(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        find_leaks([query("a")], [query("b")], threshold)


@given(
    st.lists(st.text(alphabet="abc?", min_size=1, max_size=12), max_size=8), st.text("abc?", min_size=1, max_size=12)
)
def test_copies_found_one_by_one_are_those_found_together(known: list[str], text: str) -> None:
    copies = NearCopies()
    for place, one in enumerate(known):
        copies.add(str(place), one)
    found = copies.find(text)
    together = find_leaks([query(str(place), one) for place, one in enumerate(known)], [query("new", text)])
    best = max((leak.similarity for leak in together), default=0.0)
    assert found in {leak.train for leak in together if leak.similarity == best} | ({None} if not together else set())
