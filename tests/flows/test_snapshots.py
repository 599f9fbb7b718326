"""A whole installation saved and restored: the same answers, and nothing that is damaged or comes from outside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from qdrant_client import QdrantClient

from evaluation.judgements import Judgement, Query
from flows import snapshots
from flows.opened import catalogue
from flows.settings import Settings, load_settings
from flows.stages import ingest
from indexing.home import Home, SpecmineError
from indexing.models.fetching import fetch
from indexing.releases import read_release
from indexing.search import Searcher
from indexing.snapshot import read_snapshot
from indexing.specs import WORDLLAMA

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect", "ignore:Failed to obtain server version"),
]
QUESTIONS = ("torque of the flange bolt", "start after the signal", "metres")

Configure = Callable[..., Settings]


def silent(stage: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Return a function that gives the settings of a home of this name below the test's folder."""

    def settings(name: str, *lines: str) -> Settings:
        file = tmp_path / f"{name}.toml"
        head = [f'home = "{tmp_path / name}"', "cross_encoder = false"]
        file.write_text("\n".join([*head, *lines]), encoding="utf-8")
        return load_settings(file).model_copy(update={"encoders": (WORDLLAMA,)})

    return settings


@pytest.fixture
def saved(configure: Configure, models_home: Home, tmp_path: Path) -> Settings:
    """An installation with two contents, of which the second lacks a document, and a judged query."""
    settings = configure("home")
    home = settings.open_home()
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir()
    (home.root / "models").mkdir()
    source = next(path for path in models_home.models.iterdir() if path.name.startswith("wordllama"))
    (home.root / "models" / source.name).symlink_to(source.resolve())
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "bolt.md").write_text("# Bolt\n\nThe torque of the flange bolt is 81 newton metres.\n")
    (folder / "pump.md").write_text("# Pump\n\nThe pump shall start three seconds after the signal.\n")
    (folder / "pipe.md").write_text("# Pipe\n\nThe pipe is four metres long.\n")
    ingest(settings, [folder], False, silent)
    (folder / "pump.md").unlink()
    (folder / "bolt.md").write_text("# Bolt\n\nThe torque of the flange bolt is 90 newton metres.\n")
    ingest(settings, [folder], True, silent)
    with catalogue(settings) as book:
        book.import_split("dev", [Query("q1", "torque", "dev")], [Judgement("q1", "bolt.md", quote="90 newton")])
    return settings


def answers(settings: Settings, release: str | None = None) -> list[list[dict[str, Any]]]:
    home = settings.open_home()
    searcher = Searcher.open(home, settings.index(), read_release(home, release) if release else None)
    found = [searcher.search(question).as_json()["results"] for question in QUESTIONS]
    searcher.close()
    return found


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/snapshots/first"
        return
    yield "memory://snapshots/first"
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize("target", ["file", "memory"], indirect=True)
def test_a_restored_installation_answers_as_the_saved_one(
    saved: Settings, configure: Configure, target: str, tmp_path: Path
) -> None:
    before = {release: answers(saved, release) for release in ("r0001", "r0002")}
    assert before["r0001"] != before["r0002"]
    report = snapshots.save(saved, target, silent)
    assert (report["release"], report["outside"]) == ("r0002", [])
    shutil.rmtree(saved.open_home().root)
    there = configure("elsewhere")
    restored = snapshots.restore(there, target, silent)
    assert restored["files"] == report["files"] > 20
    assert {release: answers(there, release) for release in before} == before
    assert answers(there) == before["r0002"]
    with catalogue(there) as book:
        assert [query.text for query in book.queries("dev")] == ["torque"]
        assert [run.stage for run in book.last_runs(2)] == ["snapshot restore", "ingest"]
    assert not list(there.open_home().root.rglob("*.partial"))
    taken = sum(path.stat().st_blocks * 512 for path in there.open_home().root.glob("generations/**/*"))
    assert taken < sum(path.stat().st_size for path in there.open_home().root.glob("generations/**/*")) / 4  # holes
    assert ingest(there, [tmp_path / "specs"], False, silent)["documents"]["unchanged"] == 2


def test_a_target_that_holds_something_is_refused_and_what_was_begun_goes_on(saved: Settings, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "letter.txt").write_text("dear")
    with pytest.raises(SpecmineError, match="is not empty: name a new folder"):
        snapshots.save(saved, str(target), silent)

    def stop(stage: str, done: int, total: int) -> None:
        if done > 10:
            raise KeyboardInterrupt

    (target / "letter.txt").unlink()
    with pytest.raises(KeyboardInterrupt):
        snapshots.save(saved, str(target), stop)
    with pytest.raises(SpecmineError, match=r"there is no snapshot in .*; it was not written to its end"):
        read_snapshot(str(target))
    snapshots.save(saved, str(target), silent)
    assert read_snapshot(str(target)).release == "r0002"
    with pytest.raises(SpecmineError, match="holds a snapshot already"):
        snapshots.save(saved, str(target), silent)
    with pytest.raises(SpecmineError, match="Protocol not known"):
        snapshots.save(saved, "nowhere://bucket/x", silent)


def test_damage_and_hostile_names_leave_nothing(saved: Settings, configure: Configure, tmp_path: Path) -> None:
    target = tmp_path / "target"
    snapshots.save(saved, str(target), silent)
    there = configure("elsewhere")
    root = there.open_home().root
    victim = next(target.glob("documents/*/text.txt"))
    name, text = victim.relative_to(target).as_posix(), victim.read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(SpecmineError, match=match):
            snapshots.restore(there, str(target), silent)
        assert not root.exists() and not list(tmp_path.glob("elsewhere*partial"))

    for damaged in (b"X" + text[1:], text[:-1], text + b"X" * 3_000_000):
        victim.write_bytes(damaged)
        refused(f"{name} of snapshot .* is damaged")
    victim.unlink()
    refused(f"{name} of snapshot .* is missing")
    victim.write_bytes(text)
    manifest = json.loads((target / "manifest.json").read_text())
    for hostile in ("../outside", "/etc/passwd", "a/../../b", "documents//x", "C:\\x", "a\nb", "./x", ""):
        wrong = {**manifest, "files": {**manifest["files"], hostile: {"sha256": "0" * 64, "bytes": 1}}}
        (target / "manifest.json").write_text(json.dumps(wrong))
        refused("would lie outside the home")
    for broken in ({}, [], {**manifest, "files": [1]}, {**manifest, "format": 99}):
        (target / "manifest.json").write_text(json.dumps(broken))
        refused("is damaged|made by a newer specmine")
    (target / "manifest.json").write_text(json.dumps(manifest))
    root.mkdir()
    (root / "mine.txt").write_text("mine")
    with pytest.raises(SpecmineError, match="is not empty"):
        snapshots.restore(there, str(target), silent)
    assert [path.name for path in root.iterdir()] == ["mine.txt"]
    (root / "mine.txt").unlink()
    assert snapshots.restore(there, str(target), silent)["release"] == "r0002"  # an empty folder is a new home


def test_a_server_gets_its_contents_back_from_documents_and_vectors(
    saved: Settings, configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {release: answers(saved, release) for release in ("r0001", "r0002")}
    target = str(tmp_path / "target")
    snapshots.save(saved, target, silent)
    servers = {url: QdrantClient(":memory:") for url in ("http://one:6333", "http://two:6333")}
    monkeypatch.setattr("indexing.stores.server.connect", lambda url, key: servers[url])
    server = configure("server", "[qdrant]", 'url = "http://one:6333"')
    snapshots.restore(server, target, silent)
    found = {release: _found(answers(server, release)) for release in before}
    assert found == {release: _found(answer) for release, answer in before.items()}
    with pytest.raises(SpecmineError, match="has a collection of generation"):
        snapshots.restore(configure("again", "[qdrant]", 'url = "http://one:6333"'), target, silent)
    snapshots.save(server, str(tmp_path / "from-server"), silent)
    assert not list((tmp_path / "from-server").glob("generations/*/contents"))
    for name, lines in (("other", ["[qdrant]", 'url = "http://two:6333"']), ("embedded", [])):
        there = configure(name, *lines)
        snapshots.restore(there, str(tmp_path / "from-server"), silent)
        assert {release: _found(answers(there, release)) for release in before} == found


def _found(answer: list[list[dict[str, Any]]]) -> list[list[tuple[str, str]]]:
    """What was found for each question, and not by which scores: BM25's statistics are each engine's own."""
    return [sorted((result["document"], result["text"]) for result in results) for results in answer]
