"""Query generation as a whole, and its round trip, on runs written by hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chunking.document import Chunk, Document
from chunking.stored import save
from evaluation.catalogue import Catalogue
from evaluation.judgements import SYNTHETIC, Judgement, Query
from indexing.fusion import Run
from indexing.generations import IndexedDocument, document_folder
from indexing.home import Home, SpecmineError
from mining.drafts import Draft
from mining.generate import LIKE_JUDGED, LIKE_SYNTHETIC, GenerateReport, Scope, generate
from mining.generate_settings import GenerateSettings
from mining.round_trip import NOT_ACCEPTED, NOT_FOUND, ONE_SOURCE, Checked, RoundTrip
from mining.settings import MineSettings

HEADINGS = GenerateSettings(generators=("headings",), depth=3)
SOURCES = ("bm25", "minilm", "wordllama")


def passage(name: str, document: str, ordinal: int, heading: str, text: str) -> Chunk:
    return Chunk(name, document, document, ordinal, (heading,), 1, 1, ordinal * 100, ordinal * 100 + 90, text, "", 1)


@dataclass
class WordSearcher:
    """Finds passages by the words they share with the query, in every source alike but for those made ``blind``."""

    chunks: dict[str, Chunk]
    documents: dict[str, IndexedDocument] = field(default_factory=dict)
    blind: tuple[str, ...] = ()
    release: Any = field(
        default_factory=lambda: SimpleNamespace(
            id="r0001",
            encoders=dict.fromkeys(SOURCES[1:], "base"),
            fusion=SimpleNamespace(method="soft", weights=dict.fromkeys(SOURCES, 1.0)),
        )
    )
    generation: Any = None
    asked: list[str] = field(default_factory=list)

    def runs(self, queries: Mapping[str, str], depth: int = 200, only: Collection[str] | None = None) -> dict[str, Run]:
        self.asked.extend(queries.values())

        def search(source: str, text: str) -> dict[str, float]:
            words = set(text.lower().split())
            shared = {name: len(words & set(c.text.lower().split())) for name, c in self.chunks.items()}
            return {name: float(count) for name, count in shared.items() if count and source not in self.blind}

        return {source: {query: search(source, text) for query, text in queries.items()} for source in only or SOURCES}

    def embed(self, queries: Sequence[str]) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def read(self, chunks: Iterable[str]) -> dict[str, Chunk]:
        return {chunk: self.chunks[chunk] for chunk in chunks}

    def documents_of(self, chunks: Sequence[str]) -> list[str]:
        return [self.chunks[chunk].document for chunk in chunks]

    def chunk_vectors(self, encoder: str, chunks: Sequence[str]) -> np.ndarray:
        raise NotImplementedError


FILLER = " aaaa bbbb cccc dddd eeee ffff gggg hhhh"  # a section must say something
CLAUSES = {
    "a.md": {
        "Flange bolts of pumps": "torque for flange bolts of pumps in steps",
        "Grease for bearings": "grease for bearings every year twice",
    },
    "b.md": {
        "Paint for steam couplings": "paint for steam couplings shall be red",
        "Serial number of plates": "serial number of plates made from brass",
    },
}


class Place:
    """Two documents of two clauses each, laid down as an index, and an empty catalogue."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.book = Catalogue(self.home.catalogue_url)
        self.searcher = WordSearcher({})
        for name, clauses in CLAUSES.items():
            self.put(name, clauses)

    def put(self, name: str, clauses: Mapping[str, str], edition: int = 1) -> None:
        chunks = [
            passage(f"{name}{place}", name, place, f"{place + 1} {heading}", f"{heading} {text}{FILLER}")
            for place, (heading, text) in enumerate(clauses.items())
        ]
        key = f"{name}-{edition}"
        save(document_folder(self.home, key), Document(name, "", name, " " * 1000, (), ()), chunks)
        self.searcher.documents[name] = IndexedDocument(key, "", name, name, 1, 0, len(chunks))
        self.searcher.chunks.update({chunk.id: chunk for chunk in chunks})

    def run(self, settings: GenerateSettings = HEADINGS, scope: Scope | None = None, **more: Any) -> GenerateReport:
        given: dict[str, Any] = {"judged": [], "judge": None, "mining": MineSettings(), **more}
        self.searcher.asked.clear()
        return generate(
            self.searcher, self.book, given["judged"], given["judge"], settings, given["mining"], self.home,
            scope or Scope(),
        )  # fmt: skip

    def texts(self) -> set[str]:
        return {query.text for query in self.book.queries(SYNTHETIC)}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.book.close()


EVERY = {heading for clauses in CLAUSES.values() for heading in clauses}


def test_what_is_found_again_is_stored_with_its_place_and_what_made_it(place: Place) -> None:
    report = place.run()
    assert place.texts() == EVERY
    assert (report.kept, report.documents, report.unchanged) == (4, 2, 0)
    done = report.as_json()["generators"]["headings"]
    assert (done["made"], done["kept"], done["dropped"], done["ranks"]) == (4, 4, {}, {1: 4})
    (of_a, _) = place.book.generated()
    assert of_a.settings["seed"] == 13
    spans = {(entry.judgement.document, entry.judgement.start, entry.judgement.end) for entry in of_a.queries}
    assert spans == {("a.md", 0, 90), ("a.md", 100, 190)}


def test_a_second_run_makes_only_what_changed(place: Place) -> None:
    place.run()
    again = place.run()
    assert (again.kept, again.documents, again.unchanged, place.searcher.asked) == (0, 0, 2, [])
    place.put("b.md", {"Noise of fans at night": "noise of fans at night below forty"}, edition=2)
    changed = place.run()
    assert (changed.kept, changed.documents, changed.unchanged) == (1, 1, 1)
    assert place.texts() == {*CLAUSES["a.md"], "Noise of fans at night"}
    other_seed = place.run(GenerateSettings(generators=("headings",), depth=3, seed=14))
    assert (other_seed.documents, other_seed.unchanged) == (2, 0)


def test_queries_of_a_document_that_is_gone_are_removed(place: Place) -> None:
    place.run()
    del place.searcher.documents["b.md"]
    assert place.run().removed == 2
    assert place.texts() == set(CLAUSES["a.md"])


@pytest.mark.parametrize("split", ["train", "dev", "test", "guard"])
def test_what_repeats_a_judged_query_of_any_split_is_dropped(place: Place, split: str) -> None:
    text = "flange  bolts of PUMPS?"
    place.book.import_split(split, [Query("q", text, split)], [Judgement("q", "a.md")])
    report = place.run()
    assert report.generators["headings"].dropped == {LIKE_JUDGED: 1}
    assert place.texts() == EVERY - {"Flange bolts of pumps"}


def test_what_repeats_another_synthetic_query_is_dropped(place: Place) -> None:
    place.put(
        "c.md",
        {"Flange bolts of pumps": "torque for flange bolts of pumps in steps", "Flange bolts of the pumps": "x" * 50},
    )
    report = place.run(GenerateSettings(generators=("headings",), depth=10))
    assert report.generators["headings"].dropped[LIKE_SYNTHETIC] >= 1
    made = report.generators["headings"]
    assert made.made == made.kept + sum(made.dropped.values())


def test_a_dry_run_stores_nothing_and_a_limit_is_taken_up_again(place: Place) -> None:
    assert place.run(scope=Scope(dry_run=True)).kept == 4
    assert (place.texts(), place.book.generated()) == (set(), [])
    assert place.run(scope=Scope(limit=3)).kept == 3
    assert len(place.texts()) == 3
    assert place.run().documents == 1  # the one that the limit cut short
    assert place.texts() == EVERY


def test_documents_are_named_or_matched(place: Place) -> None:
    place.run(scope=Scope(documents=("b*",)))
    assert place.texts() == set(CLAUSES["b.md"])
    with pytest.raises(SpecmineError, match=r"no indexed document is called 'z\.md'"):
        place.run(scope=Scope(documents=("z.md",)))


def test_what_was_stored_before_a_failure_stands(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from mining import generators

    def fails_on_b(material: Any, settings: GenerateSettings) -> list[Draft]:
        if material.document.id == "b.md":
            raise SpecmineError("the model is gone")
        return headings(material, settings)

    headings = generators.GENERATORS["headings"]
    monkeypatch.setitem(generators.GENERATORS, "headings", fails_on_b)
    with pytest.raises(SpecmineError, match="the model is gone"):
        place.run()
    assert place.texts() == set(CLAUSES["a.md"])
    monkeypatch.undo()
    assert place.run().unchanged == 1
    assert place.texts() == EVERY


def logit_judge(world: SimpleNamespace, **logits: float) -> Any:
    return world.TableJudge(logits)


def trip(place: Place, judge: Any = None, searcher: WordSearcher | None = None) -> RoundTrip:
    return RoundTrip(searcher or place.searcher, judge, place.home, 3, MineSettings())


BOLTS = Draft("flange bolts pumps", 0, 90, ("a.md0",))


def test_a_query_whose_passage_is_not_among_the_first_is_dropped(place: Place) -> None:
    far = Draft("of in shall torque red", 100, 190, ("a.md1",))
    assert trip(place).check([BOLTS, far]) == [Checked(1, ""), Checked(None, NOT_FOUND)]


def test_a_near_duplicate_of_the_passage_counts_as_the_passage(place: Place) -> None:
    twin = passage("twin", "z.md", 0, "1 Flange", place.searcher.chunks["a.md0"].text)
    place.searcher.chunks["twin"] = twin
    place.searcher.chunks["gone"] = replace(twin, id="gone", ordinal=1)
    assert trip(place).check([Draft("flange bolts pumps", 0, 90, ("gone",))])[0].rank == 1


def test_without_a_judge_two_sources_must_find_the_passage(place: Place) -> None:
    one_eyed = WordSearcher(place.searcher.chunks, blind=SOURCES[1:])
    assert trip(place, searcher=one_eyed).check([BOLTS]) == [Checked(1, ONE_SOURCE)]
    two_eyed = WordSearcher(place.searcher.chunks, blind=SOURCES[2:])
    assert trip(place, searcher=two_eyed).check([BOLTS]) == [Checked(1, "")]


def test_a_judge_that_is_believed_decides_by_the_best_rival(place: Place, world: SimpleNamespace) -> None:
    # σ(-2) / σ(-1.9) = .1192 / .1301 = .916, above the borderline of .8; σ(-2) / σ(-1) = .443 is below.
    asked = [("grease bearings year of", ["a.md1"]), ("paint steam of", ["b.md0"])]
    for rival, reason in ((-1.9, ""), (-1.0, NOT_ACCEPTED)):
        judge = logit_judge(world, torque=-2.0, grease=rival, paint=rival, serial=-9.0)
        round_trip = trip(place, judge)
        round_trip.measure_trust(asked)
        assert round_trip.trust["en"].distrust == ""
        assert round_trip.check([Draft("torque of flange bolts twice", 0, 90, ("a.md0",))]) == [Checked(1, reason)]


def test_a_judge_that_ranks_answers_below_others_is_not_believed(place: Place, world: SimpleNamespace) -> None:
    judge = logit_judge(world, torque=-9.0, grease=-9.0, paint=1.0, serial=1.0)
    round_trip = trip(place, judge)
    round_trip.measure_trust([("torque for of", ["a.md0"]), ("grease for of", ["a.md1"])])
    # Each answer is compared with the two others that are found, of which one is as bad: (.5 + 0) / 2 at most.
    assert round_trip.trust["en"].auc == pytest.approx(0.25)
    assert "below 0.75" in round_trip.trust["en"].distrust
    assert round_trip.check([BOLTS]) == [Checked(1, "")]


def test_the_judge_is_measured_on_judged_queries_where_there_are_enough(place: Place, world: SimpleNamespace) -> None:
    judge = logit_judge(world, torque=5.0)
    judged = [(f"torque for flange bolts {number}", ["a.md0"]) for number in range(20)]
    assert place.run(judge=judge, judged=judged).as_json()["trust"]["en"]["measured_on"] == "judged"
    place.book.remove_generated([("headings", "a.md"), ("headings", "b.md")])
    few = place.run(judge=judge, judged=judged[:19])
    assert few.as_json()["trust"] == {} or few.trust_measured_on["en"] == "synthetic"
