"""The inbox with real files and real ingests: what settles is taken, put away, and nothing is lost wherever it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import inbox_batches
from flows.documents import list_documents
from flows.inbox_batches import take_in, waiting, waiting_key
from flows.settings import Settings, load_settings
from indexing.home import Home, LockedHomeError, SpecmineError, read_json
from tests.conftest import MARKING, TORQUE

pytestmark = pytest.mark.models

HINGES = "# Hinges\n\n## 1 Scope\n\nHinges are greased every year.\n"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def inbox(workplace: Path) -> Path:
    (workplace / "inbox").mkdir()
    return workplace / "inbox"


@pytest.fixture
def settings(write_config: Callable[[str], Path], inbox: Path) -> Settings:
    return load_settings(write_config('[inbox]\nfolder = "inbox"\nsettle_seconds = 0\n'))


def quietly(*_: Any) -> None:
    pass


def below(folder: Path) -> dict[str, str]:
    """What lies where, without locks."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "writer.lock"
    }


def sources(settings: Settings) -> dict[str, str]:
    return {entry["document"]: entry["source"] for entry in list_documents(settings.open_home())["documents"]}


def test_files_are_ingested_and_put_away(settings: Settings, inbox: Path) -> None:
    assert not waiting(settings)
    (inbox / "pumps").mkdir()
    (inbox / "pumps" / "torque.md").write_text(TORQUE, encoding="utf-8")
    (inbox / "empty.pdf").write_bytes(b"")
    (inbox / "notes.zip").write_text("x", encoding="utf-8")
    (inbox / "coming.md.part").write_text("half", encoding="utf-8")
    (inbox / ".hidden.md").write_text("x", encoding="utf-8")
    (inbox / "link.md").symlink_to("/etc/hostname")
    assert waiting(settings)
    report = take_in(settings, quietly, quietly)
    (batch,) = report["batches"]
    assert batch["done"] == 1
    assert batch["failed"].keys() == {"empty.pdf", "notes.zip"}
    assert report["documents"]["indexed"] == 1
    name = batch["batch"]
    assert below(inbox).keys() == {
        ".hidden.md",
        "coming.md.part",
        "link.md",
        f"done/{name}/pumps/torque.md",
        f"failed/{name}/empty.pdf",
        f"failed/{name}/notes.zip",
        f"failed/{name}/reasons.json",
    }
    assert read_json(inbox / "failed" / name / "reasons.json") == batch["failed"]
    assert sources(settings) == {"pumps/torque.md": str(inbox / "done" / name / "pumps" / "torque.md")}
    assert not waiting(settings)
    assert take_in(settings, quietly, quietly)["batches"] == []


def test_a_file_that_still_changes_is_left(settings: Settings, inbox: Path) -> None:
    (inbox / "torque.md").write_text(TORQUE, encoding="utf-8")
    (inbox / "marking.md").write_text(MARKING[:50], encoding="utf-8")

    def goes_on(_: float) -> None:
        (inbox / "marking.md").write_text(MARKING, encoding="utf-8")

    first = waiting_key(settings)
    report = take_in(settings, quietly, goes_on)
    assert (report["batches"][0]["done"], report["left"]) == (1, 1)
    assert waiting_key(settings) != first
    assert sources(settings).keys() == {"torque.md"}
    take_in(settings, quietly, quietly)
    assert sources(settings).keys() == {"torque.md", "marking.md"}


def test_a_newer_file_takes_the_place_of_the_older_one(settings: Settings, inbox: Path) -> None:
    for text in (TORQUE, HINGES):
        (inbox / "same.md").write_text(text, encoding="utf-8")
        report = take_in(settings, quietly, quietly)
        assert report["batches"][0]["done"] == 1
    lie = below(inbox)
    assert sorted(path.split("/")[0] for path in lie) == ["done", "replaced"]
    assert next(text for path, text in lie.items() if path.startswith("replaced")) == TORQUE
    source = sources(settings)["same.md"]
    assert Path(source).read_text(encoding="utf-8") == HINGES


def test_one_works_on_the_inbox_at_a_time(settings: Settings, inbox: Path) -> None:
    inbox_batches.inbox_folder(settings)
    (inbox / "torque.md").write_text(TORQUE, encoding="utf-8")
    with Home(inbox / "batches").exclusive(), pytest.raises(LockedHomeError):
        take_in(settings, quietly, quietly)
    with Home(settings.open_home().root).exclusive(), pytest.raises(LockedHomeError):
        take_in(settings, quietly, quietly)  # another process writes to the index
    assert take_in(settings, quietly, quietly)["batches"][0]["done"] == 1


def test_folders_that_are_taken_away_while_it_looks(settings: Settings, inbox: Path) -> None:
    stop = threading.Event()

    def bring_and_take_away() -> None:
        while not stop.is_set():
            (inbox / "brought" / "within").mkdir(parents=True)
            (inbox / "brought" / "within").rmdir()
            (inbox / "brought").rmdir()

    person = threading.Thread(target=bring_and_take_away)
    person.start()
    try:
        assert not any(waiting(settings) for _ in range(2000))
    finally:
        stop.set()
        person.join()


def test_without_an_inbox_it_says_so(write_config: Callable[[str], Path]) -> None:
    with pytest.raises(SpecmineError, match=r"there is no inbox: set folder in \[inbox\]"):
        waiting(load_settings(write_config("")))


@pytest.mark.campaign
def test_nothing_is_lost_wherever_it_is_killed(
    settings: Settings, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each rename, ingest and removal in turn; the next run ends as an undisturbed one would."""
    texts = {"torque.md": TORQUE, "marking.md": MARKING, "empty.pdf": ""}
    steps = {"left": -1}

    def killed_at(step: Callable[..., Any]) -> Callable[..., Any]:
        def maybe(*arguments: Any, **named: Any) -> Any:
            steps["left"] -= 1
            if steps["left"] == 0:
                raise Killed
            return step(*arguments, **named)

        return maybe

    monkeypatch.setattr(Path, "rename", killed_at(Path.rename))
    monkeypatch.setattr(Path, "rmdir", killed_at(Path.rmdir))
    monkeypatch.setattr(inbox_batches.stages, "ingest", killed_at(inbox_batches.stages.ingest))
    deaths = 0
    for step in range(1, 100):
        for name, text in texts.items():
            (inbox / name).write_text(f"{text}\n{'' if not text else f'Edition {step}.'}", encoding="utf-8")
        there = sorted(below(inbox).values())
        steps["left"] = step
        try:
            take_in(settings, quietly, quietly)
        except Killed:
            deaths += 1
            lie = [text for path, text in below(inbox).items() if not path.endswith("reasons.json")]
            kept = [text for text in there if not text.startswith("{")]
            assert sorted(lie) == sorted(kept)  # each file is in exactly one place
            steps["left"] = -1
            take_in(settings, quietly, quietly)
        else:
            assert deaths == step - 1
            break
        finally:
            steps["left"] = -1
        assert not waiting(settings)
        served = sources(settings)
        assert served.keys() == {"torque.md", "marking.md"}
        for name, source in served.items():
            assert f"Edition {step}." in Path(source).read_text(encoding="utf-8"), name
        assert {path.name for path in (inbox / "batches").iterdir()} <= {"writer.lock"}
    assert deaths >= 10
