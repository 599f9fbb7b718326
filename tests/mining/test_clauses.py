"""The same clause elsewhere: by number, by title, by words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mining.clauses import ClauseIndex
from mining.shingles import jaccard, shingles

TEXT = "the preload of the bolt shall be 81 newton metres"


@pytest.fixture
def chunks(world: SimpleNamespace) -> dict[str, Any]:
    made = [
        world.chunk("clause", "b-2019", 0, TEXT, section=("5 Bolts", "5.2 Preload")),
        world.chunk("same section", "b-2019", 1, TEXT, section=("5 Bolts", "5.2 Preload")),
        world.chunk("copy within", "b-2019", 2, TEXT, section=("Annex A Examples",)),
        world.chunk("edition", "b-2024", 0, TEXT.replace("81", "85"), section=("5 Bolts", "5.2 PRELOAD")),
        world.chunk("renumbered", "b-2024", 1, "see the table", section=("7.9 Preload",)),
        world.chunk("number alone", "n-1", 0, "the preload of a spring", section=("5.2 Springs",)),
        world.chunk("unlike", "n-2", 0, "a colour is given by its number", section=("5.2 Colours",)),
        world.chunk("copied away", "n-3", 0, TEXT, section=()),
        world.chunk("elsewhere", "n-3", 1, "nothing to see", section=("8 Ends",)),
    ]
    return {chunk.id: chunk for chunk in made}


def test_number_title_and_words(chunks: dict[str, Any]) -> None:
    # Ten words have eight shingles; 81 stands in three of them, and 85 makes three others.
    assert ClauseIndex(chunks).like(chunks["clause"]) == {
        "copied away": 1.0,
        "copy within": 1.0,
        "edition": 5 / (8 + 3),
        "number alone": 1 / (8 + 2),  # "the preload of"
        "renumbered": 0.0,  # by its title
    }


def test_a_passage_without_section_has_its_words_alone(chunks: dict[str, Any]) -> None:
    found = ClauseIndex(chunks).like(chunks["copied away"])
    assert {name for name, likeness in found.items() if likeness == 1} == {"clause", "same section", "copy within"}


def test_nothing_is_like_what_stands_alone(chunks: dict[str, Any]) -> None:
    assert ClauseIndex(chunks).like(chunks["elsewhere"]) == {}
    assert ClauseIndex({}).like(chunks["elsewhere"]) == {}


@given(words=st.lists(st.sampled_from("abcdefghij"), min_size=8, max_size=30), cut=st.integers(0, 4))
def test_what_repeats_most_of_the_words_is_found(world: SimpleNamespace, words: list[str], cut: int) -> None:
    whole = world.chunk("whole", "d", 0, " ".join(words), section=())
    part = world.chunk("part", "e", 0, " ".join(words[cut:]), section=())
    likeness = jaccard(shingles(whole.text), shingles(part.text))
    if likeness > 0.8:  # a chance of (1 - .8)^8, three in a million, to miss it
        assert ClauseIndex({"whole": whole, "part": part}).like(whole) == {"part": likeness}
