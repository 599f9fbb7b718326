"""What is learned from the log: worked out by hand, for texts that are there, changed and gone."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import chunk_id
from evaluation.searches import Feedback, QueryFeedback, Search, Shown, feedback, new_search_id, normalise_query

TEXT = "".join(f"passage number {n}." for n in range(6)) + " " * 20
LENGTH = len("passage number 0.")
NAMES = "abcdef"


def passage(rank: int, name: str, document: str = "d", done: str = "", judged: str = "2026-01-01") -> Shown:
    """The n-th passage of TEXT at a rank; ``done`` holds o (opened) and c (confirmed) or w (wrong)."""
    start = NAMES.index(name) * LENGTH
    id = chunk_id(document, start, start + LENGTH, TEXT[start : start + LENGTH])
    verdict = "confirmed" if "c" in done else "wrong" if "w" in done else None
    return Shown(rank, document, start, start + LENGTH, id, 1.0, "o" in done, verdict, judged if verdict else None)


def search(*shown: str, query: str = "q", time: str = "2026-01-01", judged: str = "2026-01-01") -> Search:
    """A search that showed passages: "a", or "a:oc" with what was done."""
    made = [
        passage(rank, name, done=done, judged=judged)
        for rank, (name, _, done) in enumerate((entry.partition(":") for entry in shown), start=1)
    ]
    return Search(new_search_id(), time, query, "r0001", "dashboard", 1.0, tuple(made))


def learned(*searches: Search) -> dict[str, Feedback]:
    """The feedback on the query q by the passages' letters."""
    (found,) = feedback(searches, {"d": TEXT}.get, {}).values()
    assert found.lost == 0
    return {NAMES[start // LENGTH]: told for (_, start, _), told in found.places.items()}


def test_skipped_is_what_stands_above_a_wanted_one_or_just_below() -> None:
    skipped = Feedback(skipped=1)
    assert learned(search("a", "b", "c:o", "d", "e")) == {
        "a": skipped,
        "b": skipped,
        "c": Feedback(opened=1),
        "d": skipped,
    }
    # The last wanted one decides how far a person looked, and what was opened above it was not skipped.
    assert learned(search("a:o", "b", "c:oc", "d", "e", "f")) == {
        "a": Feedback(opened=1),
        "b": skipped,
        "c": Feedback(opened=1, verdict="confirmed", judged="2026-01-01"),
        "d": skipped,
    }


def test_a_wrong_one_tells_nothing_of_those_above_it() -> None:
    wrong = Feedback(opened=1, wrong=1, verdict="wrong", judged="2026-01-01")
    assert learned(search("a", "b:ow", "c")) == {"b": wrong}


def test_nothing_is_learned_where_nothing_was_done() -> None:
    assert feedback([search("a", "b")], {"d": TEXT}.get, {}) == {}


def test_searches_for_the_same_words_count_together() -> None:
    first = search("a", "b:o", query="Torque  of M8", time="2026-01-01")
    second = search("a", "c", "b:c", query=" torque of ｍ８", time="2026-01-02")
    other = search("b", "a:o", query="torque of M9", time="2026-01-03")
    found = feedback([other, second, first], {"d": TEXT}.get, {})
    assert {query: told.text for query, told in found.items()} == {
        "torque of m8": "Torque  of M8",
        "torque of m9": "torque of M9",
    }
    places = found["torque of m8"].places
    assert places["d", 0, LENGTH] == Feedback(skipped=2)
    assert places["d", LENGTH, 2 * LENGTH] == Feedback(opened=1, verdict="confirmed", judged="2026-01-01")
    assert places["d", 2 * LENGTH, 3 * LENGTH] == Feedback(skipped=1)


@pytest.mark.parametrize(
    ("earlier", "later", "verdict"), [("a:c", "a:w", "wrong"), ("a:w", "a:c", "confirmed"), ("a:w", "a", "wrong")]
)
def test_the_newest_verdict_counts(earlier: str, later: str, verdict: str) -> None:
    # The search came first, its verdict last.
    told = learned(search(later, judged="2026-02-02", time="2026-01-01"), search(earlier, time="2026-01-02"))["a"]
    assert (told.verdict, told.wrong) == (verdict, 1)


def test_only_what_still_says_the_same_there_counts() -> None:
    shown = search("a:c", "b:w")
    assert feedback([shown], {"d": "#" + TEXT}.get, {}) == {"q": QueryFeedback("q", {}, 2)}
    changed = TEXT.replace("number 1", "NUMBER 1")
    found = feedback([shown], {"d": changed}.get, {})["q"]
    assert (set(found.places), found.lost) == ({("d", 0, LENGTH)}, 1)
    assert feedback([shown], dict[str, str]().get, {})["q"].lost == 2


def test_a_renamed_document_is_followed() -> None:
    renamed = search("a:o")
    after = Search("x", "2026-03-01", "q", "r0002", "dashboard", 1.0, (passage(1, "a", "new", "o"),))
    found = feedback([renamed, after], {"new": TEXT}.get, {"d": "new"})["q"]
    assert found == QueryFeedback("q", {("new", 0, LENGTH): Feedback(opened=2)}, 0)


def test_each_document_is_read_once() -> None:
    asked = []

    def text_of(document: str) -> str | None:
        asked.append(document)
        return TEXT

    feedback([search("a:o", "b"), search("c:o", query="r")], text_of, {})
    assert asked == ["d"]


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise_query(normalise_query(text)) == normalise_query(text)


SPELLINGS: tuple[Callable[[str], str], ...] = (
    str.casefold,
    str.upper,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: unicodedata.normalize("NFKC", text),
    lambda text: f"\t{text}\u3000\n",
    lambda text: text.replace(" ", " \N{NO-BREAK SPACE} "),
)


@given(st.text("aZß ıéＡｶﾞか゛ﬁ㎡12 \t") | st.text("aᾴΑᾳς "), st.sampled_from(SPELLINGS))
def test_spellings_of_a_query_are_one(text: str, spelling: Callable[[str], str]) -> None:
    if spelling is str.upper and "ı" in text:  # dotless i has the capital of i
        return
    assert normalise_query(spelling(text)) == normalise_query(text)


def test_what_differs_in_words_stays_apart() -> None:
    assert normalise_query("ＢＯＬＴ  Ｍ１２") == "bolt m12"
    assert normalise_query("bolt M12") != normalise_query("bolt M1 2")
    assert normalise_query("締付 トルク") == "締付 トルク"
