"""Shadowing and monitoring on a real index: a trained release that is better, and an untrained one that is worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chunking.document import chunk_id
from evaluation.judgements import Judgement, Query
from evaluation.searches import Search, Shown
from evaluation.verdict import PromotionRule
from indexing.home import SpecmineError
from indexing.ingest import ingest
from indexing.releases import Fusion, Release, list_releases, publish, served
from indexing.search import Searcher
from training.composition import CompositionSettings
from training.live import LiveQueries, live_queries
from training.monitor import Monitored, monitor, predecessor
from training.monitor_settings import MonitorSettings
from training.retrain import RetrainReport, retrain
from training.shadow import shadow
from training.train_settings import TrainSettings
from training.versions import read_version

RULE = PromotionRule()
TRAINING = TrainSettings(
    learning_rate=5e-2, temperature=0.1, batch_size=16, epochs=6, evaluations=1, patience=6, precision="float32"
)


def silent(stage: str, done: int, total: int) -> None:
    pass


def search(number: int, query: str, places: Sequence[tuple[str, int, int, str]], opened: int | None = None) -> Search:
    shown = tuple(Shown(rank, *place, score=1.0, opened=rank == opened) for rank, place in enumerate(places, start=1))
    return Search(f"{number:032x}", f"2026-01-01T00:00:{number:02d}.000Z", query, "r0001", "cli", 1.0, shown)


def test_live_queries_are_the_latest_each_once_with_what_was_wanted() -> None:
    text = "one two three"
    one, two = (("d", a, b, chunk_id("d", a, b, text[a:b])) for a, b in ((0, 3), (4, 7)))
    log = [
        search(1, "oldest", [one]),
        search(2, "Bolt  torque", [one, two], opened=2),
        search(3, "valve", [one]),
        search(4, "bolt torque", [one, two]),
    ]
    found = live_queries(log, {"d": text}.get, {}, limit=2)
    assert list(found.texts.values()) == ["bolt torque", "valve"]
    (judgement,) = found.judgements
    assert (judgement.document, judgement.start, judgement.end) == ("d", 4, 7)
    assert found.texts[judgement.query] == "bolt torque"
    assert live_queries(log, {"d": "other text here"}.get, {}).judgements == ()  # the document says something else now
    late = live_queries(log, {"d": text}.get, {}, since="2026-01-01T00:00:03")
    assert list(late.texts.values()) == ["bolt torque", "valve"] and late.judgements == ()


def test_the_predecessor_searched_otherwise_in_the_same_index(home: Any) -> None:
    def released(generation: str, content: int, **encoders: str) -> Release:
        return publish(home, Release(generation, content, encoders, Fusion("soft", {"bm25": 1.0})))

    released("g1", 1, one="a")
    second = released("g1", 2, one="b")
    released("g1", 3, one="c")
    last = released("g1", 4, one="c")  # documents came in
    assert predecessor(home, last) is not None
    assert predecessor(home, last).id == second.id  # type: ignore[union-attr]
    assert predecessor(home, released("g2", 1, one="c")) is None  # cut and embedded anew


def retrained(world: Any) -> RetrainReport:
    composition = CompositionSettings(methods=(), reranker_queries=0)
    return retrain(world.searcher(), world.catalogue, None, TRAINING, composition, RULE)


@pytest.fixture
def fallen(world: Any) -> Any:
    """A world whose second release was trained, and whose third serves the untrained encoders again."""
    untrained = served(world.home)
    assert retrained(world).published == "r0002"
    publish(world.home, replace(untrained, note="a mistake"))
    return world


def watch(world: Any, **settings: Any) -> Monitored:
    return monitor(world.home, world.settings, world.catalogue, MonitorSettings(**settings), RULE, silent)


def test_a_release_that_fell_is_replaced_by_the_one_before(fallen: Any, tmp_path: Path) -> None:
    home = fallen.home
    (tmp_path / "late.txt").write_text("A late document.\n", encoding="utf-8")
    ingest([tmp_path / "late.txt"], home, fallen.settings)  # r0004: the same encoders, one document more

    told = watch(fallen, rollback=False)
    assert (told.served, told.against, told.on, told.fell, told.returned) == ("r0004", "r0002", "dev", True, None)
    assert told.test is not None and told.test.difference < -0.1
    assert "it fell: roll back" in told.reason
    assert served(home).id == "r0004"

    done = watch(fallen)
    assert done.returned == served(home).id == "r0005"
    trained = list_releases(home)[1]
    assert served(home).encoders == trained.encoders
    assert served(home).content == list_releases(home)[3].content > trained.content  # the late document stays
    assert "r0004 fell by" in served(home).note

    again = watch(fallen)
    assert (again.fell, again.returned, again.against) == (False, None, "r0004")
    assert again.reason.endswith("it stands")
    assert served(home).id == "r0005"


def test_what_fell_is_not_promoted_by_the_next_retraining(world: Any) -> None:
    assert retrained(world).published == "r0002"
    fell = served(world.home).encoders
    # Now the judged answers are other ones, which the untrained encoders find first: the trained ones are worse there.
    untrained = Searcher.open(world.home, world.settings, list_releases(world.home)[0])
    queries = world.catalogue.queries("dev")
    runs = untrained.runs({query.id: query.text for query in queries})["fusion"]
    best = {query: max(run, key=lambda chunk: (run[chunk], chunk)) for query, run in runs.items()}
    answers = [Judgement(query, untrained.chunks[chunk].document) for query, chunk in best.items()]
    tested = [Query(f"test-{query.id}", query.text, "test") for query in queries]
    moved = [replace(answer, query=f"test-{answer.query}") for answer in answers]
    world.catalogue.import_split("test", tested, moved)
    assert watch(world).returned == "r0003"
    assert set(served(world.home).encoders.values()) == {"base"}
    for version in fell.values():
        assert "r0002 fell by" in read_version(world.home, version).withdrawn

    world.catalogue.remove_split("test")
    report = retrained(world)
    assert [outcome.trained for outcome in report.outcomes] == [False, False]
    for outcome in report.outcomes:
        assert outcome.verdict.difference > 0.1  # it would win on dev as it did before
        assert not outcome.verdict.promoted
        assert "withdrawn (r0002 fell by" in outcome.verdict.reason.splitlines()[2]
    assert report.published is None


def test_a_release_is_monitored_on_what_people_opened(fallen: Any) -> None:
    with pytest.raises(SpecmineError, match="no query of 'searches' has a known answer"):
        watch(fallen, on="searches")
    searcher = fallen.searcher()
    chunks = {chunk.document: chunk for chunk in searcher.chunks.values()}
    for number, query in enumerate(fallen.catalogue.queries("dev")):
        chunk = chunks[f"d{query.id[4:7]}.txt"]
        place = (chunk.document, chunk.start, chunk.end, chunk.id)
        fallen.catalogue.record_search(search(number, query.text, [place], opened=1), 100_000)
    told = watch(fallen, on="searches")
    assert told.test is not None and told.test.queries == 40
    assert told.returned == "r0004"


def test_without_an_earlier_release_there_is_nothing_to_compare(world: Any) -> None:
    told = watch(world)
    assert (told.fell, told.test, told.returned) == (False, None, None)
    assert "no earlier release" in told.reason
    with pytest.raises(ValueError, match="on must be"):
        MonitorSettings(on="train")


def test_another_release_is_scored_beside_the_served_one(fallen: Any) -> None:
    queries: list[Query] = fallen.catalogue.queries("dev")
    before = fallen.searcher()
    after = Searcher.open(fallen.home, fallen.settings, list_releases(fallen.home)[1])
    texts = {query.id: query.text for query in queries}
    judgements = tuple(replace(j, start=0, end=10) for j in fallen.catalogue.judgements("dev"))
    live = LiveQueries(texts, judgements)
    same = shadow(before, before, live, RULE, silent)
    assert (same.overlap, same.same_first, same.changed) == (1.0, 1.0, ())
    assert same.wanted is not None and same.wanted.difference == 0
    found = shadow(before, after, live, RULE, silent)
    assert found.queries == 40
    assert found.overlap < 0.9 and found.same_first < 0.9
    assert found.wanted is not None and found.wanted.difference > 0.1
    assert found.changed[0][1] == min(overlap for _, overlap in found.changed)
    unknown = shadow(before, after, LiveQueries(texts, ()), RULE, silent)
    assert unknown.wanted is None
    assert unknown.overlap == found.overlap
    with pytest.raises(SpecmineError, match="no search is logged"):
        shadow(before, after, LiveQueries({}, ()), RULE, silent)
    before.close()
    after.close()
