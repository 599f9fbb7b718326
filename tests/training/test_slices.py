"""Slices of queries on a few passages whose words are counted by hand."""

from __future__ import annotations

from typing import Any

from chunking.document import Chunk
from evaluation.judgements import Judgement, Query
from evaluation.projection import Projection
from training.leakage import leakage_json
from training.slices import SLICES, Asked, slice_queries
from training.splits import split_queries


def passage(name: str, document: str, end: int, text: str) -> Chunk:
    return Chunk(name, document, document, 0, (), 1, 1, 0, end, text, text, 1)


CHUNKS = {
    chunk.id: chunk
    for chunk in [
        passage("a", "short.txt", 100, "tighten the bolts of the pump"),
        passage("b", "long.txt", 300, "tighten the bolts of the valve"),
        passage("c", "long.txt", 900, "tighten the zerk of the valve"),
    ]
}


def answered_by(**chunks: str) -> Projection:
    hits = {query: {chunk: (f"unit {chunk}",)} for query, chunk in chunks.items()}
    units = {query: {f"unit {chunk}": 1} for query, chunk in chunks.items()}
    return Projection(units, hits, (), [])


def sliced(family: str, texts: dict[str, str], **chunks: str) -> dict[str, str]:
    trained = answered_by(t1="b")
    return SLICES[family](Asked(texts, answered_by(**(chunks or dict.fromkeys(texts, "a"))), CHUNKS, trained))


def test_documents_are_long_from_the_median_of_those_asked_for() -> None:
    found = sliced("document length", dict.fromkeys("pqr", "x"), p="a", q="a", r="b")
    assert found == {"p": "shorter documents", "q": "shorter documents", "r": "documents above 100 characters"}


def test_queries_are_long_by_words_that_are_no_stop_words() -> None:
    texts = {"p": "the bolts of it", "q": "bolts and pumps", "r": "bolts, pumps, valves, plates"}
    found = sliced("query length", texts)
    assert found == {"p": "shorter queries", "q": "shorter queries", "r": "queries above 2 words"}


def test_a_term_of_one_passage_in_three_is_rare_and_one_of_none_is_not() -> None:
    texts = {"p": "a zerk", "q": "bolts", "r": "unheard of"}
    assert sliced("rare terms", texts) == {
        "p": "with rare terms",
        "q": "without rare terms",
        "r": "without rare terms",
    }


def test_identifiers_are_words_that_must_be_found_to_the_letter() -> None:
    identifiers = ["bolt M12", "clause 5.2.1", "MAX_DATA frame", "the maxAge directive", "0x1F"]
    words = ["TLS over UDP", "Content-Type", "a bolt", "ボルトの締め付け"]
    texts = {text: text for text in identifiers + words}
    found = sliced("exact identifiers", texts)
    assert [text for text in texts if found[text] == "with exact identifiers"] == identifiers


def test_languages_are_told_by_their_script() -> None:
    found = sliced("language", {"p": "torque of M8 bolts", "q": "M8ボルトの締付けトルク"})
    assert found == {"p": "English", "q": "Japanese"}


def test_answers_that_training_saw_are_told_from_new_ones() -> None:
    found = sliced("training", {"p": "x", "q": "y"}, p="b", q="c")
    assert found == {"p": "answers seen in training", "q": "answers new to the training"}


def test_every_family_names_a_slice_of_every_query(world: Any) -> None:
    searcher = world.searcher()
    splits = split_queries(searcher, world.catalogue)
    found = slice_queries(splits.verdict, splits, searcher.chunks)
    assert found.keys() == SLICES.keys()
    for of_query in found.values():
        assert of_query.keys() == splits.verdict.texts.keys()
    assert set(found["training"].values()) == {"answers new to the training"}  # every split asks for its own documents


def test_what_the_parts_share_is_told(world: Any) -> None:
    splits = split_queries(world.searcher(), world.catalogue)
    told = leakage_json(splits)
    assert (told["near_copies"], told["deciding"], told["shared"], told["pairs"]) == (0, 40, 0, [])
    copied = world.catalogue.queries("dev")[0]
    world.catalogue.import_split(
        "train",
        [Query("copy", copied.text.upper(), "train"), Query("same answer", "something else", "train")],
        [Judgement("copy", "d100.txt"), Judgement("same answer", "d101.txt")],
    )
    told = leakage_json(split_queries(world.searcher(), world.catalogue))
    assert (told["near_copies"], told["shared"]) == (1, 1)
    assert told["pairs"] == [{"train": "copy", "held_out": copied.id, "similarity": 1.0}]
    assert told["told"] == (
        "1 training query nearly repeats a held-out one and did not train; "
        "1 of 40 deciding queries are answered by a passage that answers a training query too"
    )
