"""Folders that are copied, measured and cleared while somebody opens what is in them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from indexing.files_in_use import bytes_in, copy_folder
from indexing.home import remove_partials


@contextmanager
def opened_again_and_again(folder: Path) -> Iterator[None]:
    """Write a file the way the engine does: in a folder of its own beside it, then renamed."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            beside = folder / f".atomicwrite{number:06}"
            beside.mkdir()
            (beside / "tmpfile.tmp").write_text("{}", encoding="utf-8")
            (beside / "tmpfile.tmp").rename(folder / "edge_config.json")
            beside.rmdir()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    shard = tmp_path / "shard"
    (shard / "segments" / "one").mkdir(parents=True)
    (shard / "segments" / "one" / "vectors.dat").write_bytes(b"x" * 8192)
    (shard / "edge_config.json").write_text("{}", encoding="utf-8")
    return shard


def test_what_others_open_is_measured_and_copied(shard: Path, tmp_path: Path) -> None:
    alone = bytes_in(shard)
    assert alone >= 8192 + 512
    with opened_again_and_again(shard):
        for number in range(200):
            assert 8192 <= bytes_in(shard) <= 2 * alone
            target = tmp_path / "copies" / str(number)
            copy_folder(shard, target)
            assert sorted(path.name for path in target.rglob("*") if path.is_file()) == [
                "edge_config.json",
                "vectors.dat",
            ]
            shutil.rmtree(target)


def test_what_others_open_is_cleared_of_what_was_left_over(shard: Path) -> None:
    with opened_again_and_again(shard):
        for number in range(200):
            left = shard / "segments" / "two" / f"{number}.partial"
            (left / "three.partial").mkdir(parents=True)
            assert remove_partials(shard.parent) == 1
            assert not left.exists()
    assert (shard / "segments" / "one" / "vectors.dat").stat().st_size == 8192


def test_a_folder_that_is_missing_takes_nothing(tmp_path: Path) -> None:
    assert bytes_in(tmp_path / "absent") == 0
    assert remove_partials(tmp_path / "absent") == 0
