from __future__ import annotations

from dataclasses import replace
from typing import Any

from evaluation.judgements import SYNTHETIC, Judgement, Query, synthetic_id
from evaluation.synthetic import Generated, SyntheticQuery
from training.splits import split_queries


def test_every_guard_holds_its_own_queries_and_none_of_them_trains(world: Any) -> None:
    copied = world.catalogue.queries("train")[0]
    (judgement, *_) = [one for one in world.catalogue.judgements("train") if one.query == copied.id]
    named = "guard:drawings"
    asked = Query("drawn", copied.text, named)
    world.catalogue.import_split(named, [asked], [replace(judgement, query=asked.id)])
    splits = split_queries(world.searcher(), world.catalogue)
    assert set(splits.guards) == {"guard", named}
    assert splits.guards[named].texts == {"drawn": copied.text}
    assert copied.id not in {query.id for query in splits.train}
    assert {leak.held_out for leak in splits.copies} == {"drawn"}


def test_without_a_test_split_dev_decides_and_all_of_train_trains(world: Any) -> None:
    splits = split_queries(world.searcher(), world.catalogue)
    train = {query.id for query in splits.train}
    assert set(splits.verdict.texts) == {query.id for query in world.catalogue.queries("dev")}
    assert set(splits.guards) == {"guard"}
    assert set(splits.guards["guard"].texts) == {query.id for query in world.catalogue.queries("guard")}
    assert splits.stopping is None
    assert train == {query.id for query in world.catalogue.queries("train")}
    assert {judgement.query for judgement in splits.train_judgements} == train
    assert splits.train_projection.units.keys() == train
    assert (splits.leaks, splits.stopping_leaks) == (0, 0)


def test_with_a_test_split_test_decides_and_dev_stops(world: Any) -> None:
    catalogue = world.catalogue
    catalogue.import_split("test", [Query("t", "something else entirely", "test")], [Judgement("t", "d005.txt")])
    splits = split_queries(world.searcher(), catalogue)
    assert set(splits.verdict.texts) == {"t"}
    assert splits.stopping is not None
    assert splits.stopping.name == "dev"
    assert len(splits.stopping.texts) == 40
    assert len(splits.train) == 200


def test_a_share_of_train_is_set_aside_to_choose_with_where_nothing_else_is(world: Any) -> None:
    whole = split_queries(world.searcher(), world.catalogue)
    splits = split_queries(world.searcher(), world.catalogue, development=0.3)
    assert whole.development is None
    assert splits.development is not None
    aside, train = set(splits.development.texts), {query.id for query in splits.train}
    assert splits.development.name == "train"
    assert 40 <= len(aside) <= 80  # .3 of 200, drawn one by one
    assert aside.isdisjoint(train)
    assert aside | train | {query.id for query in whole.train} == {query.id for query in whole.train}
    assert splits.leaks == 200 - len(aside) - len(train)  # those that nearly repeat one that was set aside
    assert splits.train_projection.units.keys() == train
    assert aside == {query for query in aside if splits.development.projection.units[query]}
    more = split_queries(world.searcher(), world.catalogue, development=0.4)
    assert more.development is not None
    assert aside < set(more.development.texts)  # each query is drawn for itself
    few = split_queries(world.searcher(), world.catalogue, development=0.05)
    assert few.development is None
    assert len(few.train) == 200


def test_nothing_is_set_aside_where_dev_stops(world: Any) -> None:
    test = [Query("t", "something else entirely", "test")]
    world.catalogue.import_split("test", test, [Judgement("t", "d005.txt")])
    splits = split_queries(world.searcher(), world.catalogue, development=0.3)
    assert splits.development is None
    assert len(splits.train) == 200


def test_near_copies_of_held_out_queries_are_dropped_and_counted(world: Any) -> None:
    catalogue = world.catalogue
    texts = {split: [query.text for query in catalogue.queries(split)] for split in ("train", "dev", "guard")}
    tested = [Query("t0", texts["train"][0].upper(), "test"), Query("t1", f"{texts['dev'][0]}!", "test")]
    catalogue.import_split("test", tested, [Judgement("t0", "d000.txt"), Judgement("t1", "d100.txt")])
    catalogue.import_split(
        "train",
        [Query("copy-of-guard", texts["guard"][0], "train"), Query("copy-of-dev", texts["dev"][1], "train")],
        [Judgement("copy-of-guard", "d140.txt"), Judgement("copy-of-dev", "d101.txt")],
    )
    splits = split_queries(world.searcher(), catalogue)
    train = {query.id for query in splits.train}
    assert {"train-000-0", "copy-of-guard", "copy-of-dev"}.isdisjoint(train)
    assert splits.leaks == 202 - len(train)
    assert 3 <= splits.leaks <= 4  # the other query of d000 may be as near
    assert splits.stopping is not None
    assert "dev-100-0" not in splits.stopping.texts
    assert splits.stopping_leaks == 1
    named = {(copy.train, copy.held_out) for copy in splits.copies}
    assert {("train-000-0", "t0"), ("copy-of-guard", "guard-140-0"), ("dev-100-0", "t1")} <= named
    assert [copy.similarity for copy in splits.copies] == sorted((c.similarity for c in splits.copies), reverse=True)


def test_a_test_split_that_nothing_answers_decides_nothing(world: Any) -> None:
    world.catalogue.import_split("test", [Query("t", "of a document", "test")], [Judgement("t", "gone.txt")])
    splits = split_queries(world.searcher(), world.catalogue)
    assert splits.verdict.name == "dev"


def test_what_people_found_relevant_trains_and_never_judges(world: Any) -> None:
    train, dev = "train-000-0", "dev-100-0"
    for query in (train, dev):
        world.catalogue.record_decision(query, "d050.txt", 0, 20, "relevant", "ann")
    world.catalogue.record_decision(train, "d051.txt", 0, 20, "relevant", "ann")
    world.catalogue.record_decision(train, "d051.txt", 5, 20, "kept", "bob")  # later, of the same place
    splits = split_queries(world.searcher(), world.catalogue)
    of_document = {chunk.document: chunk.id for chunk in world.searcher().chunks.values()}
    assert set(splits.train_projection.positives(train)) == {of_document["d000.txt"], of_document["d050.txt"]}
    assert splits.verdict.projection.positives(dev) == [of_document["d100.txt"]]


def test_synthetic_queries_train_only_when_told_and_never_decide(world: Any) -> None:
    def entry(text: str, document: str) -> SyntheticQuery:
        made = Query(synthetic_id("headings", document, 0, 5, text), text, SYNTHETIC)
        return SyntheticQuery(made, Judgement(made.id, document, 1, 0, 5), 1)

    catalogue = world.catalogue
    held_out = catalogue.queries("dev")[0].text
    queries = (entry("what a program asked of this clause", "d000.txt"), entry(held_out, "d001.txt"))
    catalogue.store_generated(Generated("headings", "d000.txt", "f", {}, 2, {}, queries))
    without = split_queries(world.searcher(), catalogue)
    told = split_queries(world.searcher(), catalogue, synthetic=True)
    made = {query.query.id for query in queries}
    assert made.isdisjoint(query.id for query in without.train)
    assert {query.id for query in told.train} - {query.id for query in without.train} == {queries[0].query.id}
    assert told.leaks == 1  # the one that repeats a held-out query
    # What answers a synthetic query counts as seen in training.
    assert queries[0].query.id in told.train_projection.units
    aside = split_queries(world.searcher(), catalogue, synthetic=True, development=0.5).development
    for held in (without.verdict, told.verdict, *without.guards.values(), *told.guards.values(), aside):
        assert held is not None
        assert made.isdisjoint(held.texts)
