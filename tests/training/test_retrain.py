"""The whole story on a real index: promoted, harmful, killed, overtaken; with real encoders trained by real losses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.catalogue import Catalogue
from evaluation.judgements import Judgement
from evaluation.projection import project
from evaluation.verdict import PromotionRule
from indexing.home import Home, SpecmineError
from indexing.ingest import ingest
from indexing.releases import Fusion, list_releases, publish, served
from mining.ledger import Ledger, LedgerRow
from training.composition import CompositionSettings
from training.referee import evaluate_release, verdict_json
from training.retrain import RetrainReport, retrain
from training.train_settings import TrainSettings
from training.versions import list_versions, load_version, read_version

SETTINGS = TrainSettings(
    learning_rate=5e-2, temperature=0.1, batch_size=16, epochs=6, evaluations=1, patience=6, precision="float32"
)
# The fusion has its own tests; here the served one stays, so that the encoders alone decide.
SERVED_FUSION = CompositionSettings(methods=(), reranker_queries=0)
RULE = PromotionRule()


class Killed(Exception):
    pass


def run(world: Any, **changes: Any) -> RetrainReport:
    given = {
        "ledger": None,
        "settings": SETTINGS,
        "composition": SERVED_FUSION,
        "rule": RULE,
        "progress": None,
        **changes,
    }
    return retrain(world.searcher(), world.catalogue, **given)


def quality(world: Any, split: str = "dev") -> dict[str, float]:
    searcher = world.searcher()
    judgements = world.catalogue.judgements(split)
    projection = project(judgements, searcher.chunks.values(), searcher.document_text)
    measures = evaluate_release(searcher, world.catalogue.queries(split), projection)
    return {name: found.mean["nDCG@10"] for name, found in measures.items()}


def test_better_encoders_are_published_in_one_release(world: Any) -> None:
    before = quality(world)
    assert set(before) == {"bm25", "one", "two", "fusion"}
    assert before["bm25"] == 0
    assert before["fusion"] < 0.15
    searcher = world.searcher()
    checksums = {name: searcher.vector_checksum(name) for name in ("one", "two")}
    vectors = {name: searcher.document_vectors(name).copy() for name in ("one", "two")}

    report = run(world).as_json()

    json.dumps(report)
    assert [entry["encoder"] for entry in report["versions"]] == ["one", "two"]
    assert set(report["versions"][0]) >= {
        "encoder", "version", "loss", "before", "after", "difference", "interval", "p_value", "verdict", "reason",
    }  # fmt: skip
    assert all(entry["verdict"] == "promoted" for entry in report["versions"])
    assert report["queries"]["train"] == 200
    assert "stopping" not in report["queries"]  # dev decides, and no other split is there
    assert report["queries"]["verdict"] == {"split": "dev", "queries": 40}
    assert report["queries"]["guard"] == {"split": "guard", "queries": 20}
    assert report["leakage"]["shared"] == 0
    for entry in report["versions"]:
        assert entry["systems"] == 2
        assert entry["p_value"] <= entry["p_holm"] <= 2 * entry["p_value"]
        assert entry["slices"] == []  # all queries here are alike
        assert len(entry["reason"].splitlines()) == 3

    assert [release.id for release in list_releases(world.home)] == ["r0001", "r0002"]
    assert served(world.home).encoders == {entry["encoder"]: entry["version"] for entry in report["versions"]}
    assert report["release"] == "r0002"
    after = quality(world)
    for entry in report["versions"]:
        assert before[entry["encoder"]] == pytest.approx(entry["before"])
        assert after[entry["encoder"]] == pytest.approx(entry["after"])
        assert entry["after"] > entry["before"] + 0.1
        assert entry["overlap"]["after"] < entry["overlap"]["before"]
        assert entry["document_checksum"] == dict.fromkeys(("before", "after"), checksums[entry["encoder"]])
    assert after["fusion"] > before["fusion"] + 0.1

    searcher = world.searcher()
    for name in ("one", "two"):
        assert searcher.vector_checksum(name) == checksums[name]
        assert np.array_equal(searcher.document_vectors(name), vectors[name])

    version = read_version(world.home, served(world.home).encoders["one"])
    assert version.verdict["promoted"] is True
    assert version.verdict["reason"] == report["versions"][0]["reason"]
    assert version.measures["before"]["verdict"]["nDCG@10"] == pytest.approx(before["one"])
    assert version.measures["after"]["verdict"]["nDCG@10"] == pytest.approx(after["one"])
    assert set(version.measures["after"]) == {"verdict", "guard"}
    assert len(version.lineage["code"]["sources"]) == 64
    assert set(version.lineage["data"]) == {"documents", "train", "stopping", "averaging", "verdict", "guard", "ledger"}
    assert version.lineage["release"] == "r0001"
    assert version.lineage["settings"]["seed"] == SETTINGS.seed
    assert version.training["best"] == version.training["history"][-1]  # nothing stopped it: the last weights are kept
    assert sum(version.histograms["after"]["positive"]) == pytest.approx(1, abs=1e-5)
    loaded = load_version(world.home, world.settings.encoders[0], version.id)
    question = world.catalogue.queries("dev")[0].text
    np.testing.assert_array_equal(loaded.embed([question]), searcher.embed([question])["one"])

    # The same again: nothing is trained, registered or published.
    again = run(world)
    assert [outcome.trained for outcome in again.outcomes] == [False, False]
    assert [entry["verdict"] for entry in again.as_json()["versions"]] == ["kept", "kept"]
    assert "served already" in again.outcomes[0].verdict.reason
    assert again.published is None
    assert len(list_versions(world.home)) == 2
    assert served(world.home).id == "r0002"


def test_a_harmful_training_is_registered_and_not_published(world: Any) -> None:
    assert run(world).published == "r0002"
    best = quality(world)
    # Now the training judgements are all wrong: every query is said to be answered by another document.
    queries = world.catalogue.queries("train")
    wrong = [Judgement(query.id, f"d{(int(query.id[6:9]) + 37) % 100:03}.txt") for query in queries]
    world.catalogue.import_split("train", queries, wrong)
    report = run(world)
    assert [outcome.trained for outcome in report.outcomes] == [True, True]
    for outcome in report.outcomes:
        assert not outcome.verdict.promoted
        assert outcome.verdict.difference < -0.05
        assert read_version(world.home, outcome.version.id).verdict["promoted"] is False
    assert report.published is None
    assert served(world.home).id == "r0002"
    assert quality(world) == best


def test_the_fusion_is_learned_on_training_queries_that_were_set_aside(world: Any) -> None:
    with world.home.exclusive():
        publish(world.home, replace(served(world.home), fusion=Fusion("soft", {"one": 1.0, "two": 0.0, "bm25": 1.0})))
    composition = CompositionSettings(methods=("soft",), weights=(0.0, 1.0), development=0.3, reranker_queries=0)
    report = run(world, composition=composition).as_json()
    queries, found = report["queries"], report["composition"]
    assert queries["development"]["split"] == "train"
    assert queries["train"] + queries["development"]["queries"] + queries["leaks"] == 200
    learned = found["learned"]
    assert (learned["split"], learned["queries"]) == ("train", queries["development"]["queries"])
    assert learned["weights"]["two"] == 1.0
    assert learned["held_out"] > learned["before"]
    # Judged like an encoder, on the queries that decide, and published with the encoders.
    assert found["fusion"]["queries"] == 40
    assert found["fusion"]["promoted"]
    assert served(world.home).fusion == Fusion("soft", learned["weights"])
    assert "fusion by soft" in served(world.home).note
    assert quality(world)["fusion"] == pytest.approx(found["release"]["after"])


def test_a_killed_retraining_goes_on_with_the_next_encoder(world: Any) -> None:
    def kill(stage: str, done: int, total: int) -> None:
        if stage == "training two" and done == 20:
            raise Killed

    with pytest.raises(Killed):
        run(world, progress=kill)
    assert served(world.home).id == "r0001"
    (first,) = list_versions(world.home)
    assert first.encoder == "one"
    assert first.verdict == {}  # it is compared with the others when these are there
    steps: list[int] = []

    def watch(stage: str, done: int, total: int) -> None:
        assert stage != "training one"
        if stage == "training two":
            steps.append(done)

    report = run(world, progress=watch)
    assert steps[0] > 12  # an epoch has 12 steps: it went on after the checkpoint
    assert [outcome.trained for outcome in report.outcomes] == [False, True]
    assert report.outcomes[0].version == replace(first, verdict=verdict_json(report.outcomes[0].verdict))
    assert read_version(world.home, first.id).verdict["systems"] == 2
    assert report.published == "r0002"
    assert not list(world.home.encoders.glob("*/unfinished-*"))


def test_a_second_retraining_at_the_same_time_is_refused(world: Any) -> None:
    with Home(world.home.encoders).exclusive(), pytest.raises(SpecmineError, match="is locked by process"):
        run(world)


def after_training(world: Any, change: Any) -> Any:
    """Call ``change`` once, when the second encoder begins to train."""
    changed: list[bool] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "training two" and not changed:
            changed.append(True)
            change()

    return progress


def test_documents_that_came_in_meanwhile_are_served_with_the_new_encoders(world: Any, tmp_path: Path) -> None:
    def ingest_one_more() -> None:
        (tmp_path / "late.txt").write_text("A late document.\n", encoding="utf-8")
        ingest([tmp_path / "late.txt"], world.home, world.settings)

    report = run(world, progress=after_training(world, ingest_one_more))
    release = served(world.home)
    assert report.published == release.id == "r0003"
    assert release.content == 2
    assert "late.txt" in world.searcher().documents


def test_a_release_that_was_changed_meanwhile_is_not_overwritten(world: Any) -> None:
    def change_the_fusion() -> None:
        publish(world.home, replace(served(world.home), fusion=Fusion("rrf", {"one": 1.0})))

    with pytest.raises(SpecmineError, match="r0002 was published while this training ran from r0001"):
        run(world, progress=after_training(world, change_the_fusion))
    assert served(world.home).id == "r0002"
    assert len(list_versions(world.home)) == 2
    report = run(world)  # the next run takes them up
    assert [outcome.trained for outcome in report.outcomes] == [False, False]
    assert report.published == "r0003"
    assert served(world.home).fusion == Fusion("rrf", {"one": 1.0})


def ledger_of(world: Any) -> Ledger:
    """Seven chance negatives for each training query."""
    random = np.random.default_rng(0)
    chunks = world.searcher().chunks
    rows = [
        LedgerRow(query.id, chunk, chunks[chunk].document, 0, 1, (), None, None, None, "kept", "drawn")
        for query in world.catalogue.queries("train")
        for chunk in random.choice(sorted(chunks), 7, replace=False).tolist()
    ]
    return Ledger("20260101T000000-abcdef", tuple(rows), (), {})


def test_mined_negatives_train_too(world: Any) -> None:
    settings = replace(SETTINGS, loss="lce")
    with pytest.raises(SpecmineError, match="needs mined negatives: run `specmine mine` first"):
        run(world, settings=settings)
    report = run(world, settings=settings, ledger=ledger_of(world))
    for outcome in report.outcomes:
        assert outcome.version.loss == "lce"
        assert outcome.version.lineage["ledger"] == "20260101T000000-abcdef"
        assert outcome.verdict.difference > 0.05


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        ({"loss": "hyperbolic"}, "hyperbolic"),
        ({"loss": "hyperbolic", "geometry": "cosine"}, "cosine"),
        ({"form": "head:8"}, "cosine"),
    ],
)
def test_other_systems_go_the_whole_way(world: Any, chosen: dict[str, Any], kind: str) -> None:
    report = run(world, settings=replace(SETTINGS, **chosen), ledger=ledger_of(world))
    assert report.published == "r0002"
    release = served(world.home)
    assert {name: release.geometry_of(name).kind for name in ("one", "two")} == {"one": kind, "two": kind}
    measured = quality(world)  # what is served is what was judged
    for outcome in report.outcomes:
        assert measured[outcome.version.encoder] == pytest.approx(outcome.verdict.after, abs=1e-6)
        assert outcome.verdict.difference > 0.02
        assert outcome.checksums[0] == outcome.checksums[1]
        version = load_version(world.home, outcome_spec(world, outcome.version.encoder), outcome.version.id)
        assert version.form == chosen.get("form", "full")


def outcome_spec(world: Any, name: str) -> Any:
    return world.searcher().generation.encoder(name).spec


def test_without_held_out_or_training_queries_it_says_what_to_do(world: Any, tmp_path: Path) -> None:
    for split in ("guard", "train"):
        world.catalogue.remove_split(split)
    with pytest.raises(SpecmineError, match="no training query is left"):
        run(world)
    empty = Catalogue(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(SpecmineError, match="no dev or test query has a judged passage"):
        retrain(world.searcher(), empty, None, SETTINGS, SERVED_FUSION, RULE)
    empty.close()
