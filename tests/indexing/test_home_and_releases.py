"""Artifacts are whole or absent, the home has one writer, the pointer moves atomically."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from indexing.home import (
    MANIFEST,
    Home,
    LockedHomeError,
    SpecmineError,
    is_whole,
    read_json,
    remove_partials,
    write_artifact,
    write_json,
)
from indexing.releases import Fusion, Release, current, list_releases, publish, read_release, rollback, served


def release(content: int) -> Release:
    return Release(
        "gabc", content, {"minilm": "base"}, Fusion("soft", {"minilm": 1.0, "bm25": 2.0}), note=f"c{content}"
    )


def test_an_artifact_appears_whole(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "a" / "b") as partial:
        write_json(partial / MANIFEST, {"x": 1})
        assert not (tmp_path / "a" / "b").exists()
    assert is_whole(tmp_path / "a" / "b")
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "b"]


def test_whoever_may_read_the_manifest_may_read_the_artifact(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "b") as partial:
        (partial / "model").mkdir()
        save_file({"weights": torch.zeros(1)}, partial / "model" / "model.safetensors")
        write_json(partial / MANIFEST, {})
    wanted = (tmp_path / "b" / MANIFEST).stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / "b").rglob("*") if path.is_file()} == {wanted}


def test_a_failed_artifact_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), write_artifact(tmp_path / "b") as partial:
        write_json(partial / MANIFEST, {})
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_artifact_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=MANIFEST), write_artifact(tmp_path / "b"):
        pass


def test_whoever_came_first_stays(tmp_path: Path) -> None:
    for value in (1, 2):
        with write_artifact(tmp_path / "b") as partial:
            write_json(partial / MANIFEST, value)
    assert read_json(tmp_path / "b" / MANIFEST) == 1


def test_partials_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "x.1.partial").mkdir()
    (tmp_path / "x.1.partial" / "y.2.partial").write_text("")
    (tmp_path / "kept").mkdir()
    remove_partials(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


TAKE_THE_LOCK = """
import sys
from pathlib import Path
from indexing.home import Home, LockedHomeError
try:
    with Home(Path(sys.argv[1])).exclusive():
        print("held")
except LockedHomeError as error:
    print(error)
"""


def test_one_writer(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKE_THE_LOCK, str(tmp_path)]
    with Home(tmp_path).exclusive():
        other = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "is locked by process" in other.stdout and "wait until it ends" in other.stdout
        with pytest.raises(LockedHomeError), Home(tmp_path).exclusive():
            pass
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == "held"


def test_publish_and_roll_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert current(home) is None
    with pytest.raises(SpecmineError, match="specmine ingest"):
        served(home)
    first, second = publish(home, release(1)), publish(home, release(2))
    assert (first.id, second.id, second.previous) == ("r0001", "r0002", "r0001")
    assert served(home) == second == read_release(home, "r0002")
    assert rollback(home) == first == served(home)
    with pytest.raises(SpecmineError, match="nothing to roll back to"):
        rollback(home)
    third = publish(home, release(3))
    assert (third.id, third.previous) == ("r0003", "r0001")
    assert [item.id for item in list_releases(home)] == ["r0001", "r0002", "r0003"]


def test_what_a_killed_publication_left_goes_with_the_next(tmp_path: Path) -> None:
    home = Home(tmp_path)
    publish(home, release(1))
    (home.releases / "r0002.json.1a2b3c4d.partial").write_text("{")
    assert publish(home, release(2)).id == "r0002"
    assert sorted(path.name for path in home.releases.iterdir()) == ["CURRENT", "r0001.json", "r0002.json"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "r1", "CURRENT", "r9999"])
def test_unknown_releases_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecmineError, match="there is no release"):
        read_release(Home(tmp_path), name)


def test_a_damaged_release_is_one_line(tmp_path: Path) -> None:
    home = Home(tmp_path)
    publish(home, release(1))
    (home.releases / "CURRENT").write_text("{")
    with pytest.raises(SpecmineError, match=r"CURRENT cannot be read: [^\n]*$"):
        current(home)
