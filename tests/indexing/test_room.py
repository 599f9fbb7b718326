"""A full disk: what would end the process is refused before it begins, and what is served is searched all the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import qdrant_edge as edge

from indexing import room
from indexing.home import SpecmineError
from indexing.room import RESERVE, require_room
from indexing.stores import edge as edge_store
from indexing.stores.edge import EdgeStore
from tests.indexing.stores.test_stores import make_batch


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda folder: Usage(10**12, 10**12 - free, free))


def test_room_is_what_is_needed_and_a_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(monkeypatch, RESERVE + 1_000_000)
    require_room(tmp_path, 1_000_000)
    with pytest.raises(SpecmineError, match=r"35 MB are needed below .*, 35 MB free; make room"):
        require_room(tmp_path, 1_000_001)


def test_an_index_is_not_written_to_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = EdgeStore(tmp_path / "contents")
    store.write(1, None, [make_batch(["a"], 1)], [])
    leave(monkeypatch, RESERVE)
    for base in (None, 1):
        with pytest.raises(SpecmineError, match="the disk is full"):
            store.write(2, base, [make_batch(["b"], 2)], [])
    assert [path.name for path in (tmp_path / "contents").iterdir()] == ["1"]
    assert store.reader(1).count() == 8


def test_what_is_served_is_searched_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(["a"], 1)
    store = EdgeStore(tmp_path / "contents")
    store.write(1, None, [batch], [])
    opened = []

    def load(path: str) -> Any:
        opened.append(path)
        if path.startswith(str(tmp_path)):  # what the engine says when it cannot write a shard's configuration
            raise Exception("Failed to save structure on disk with error: No space left on device (os error 28)")
        return edge.EdgeShard.load(path)

    with monkeypatch.context() as patched:
        patched.setattr(edge_store, "edge", SimpleNamespace(**vars(edge) | {"EdgeShard": SimpleNamespace(load=load)}))
        reader = store.reader(1)
        assert {chunk for chunk, _ in reader.vectors("alpha")} == {chunk.id for chunk in batch.chunks}
        assert set(reader.chunks([batch.chunks[3].id])) == {batch.chunks[3].id}
        reader.close()
    assert len(opened) == 2
    assert not os.path.lexists(opened[1])
    shutil.rmtree(tmp_path / "contents" / "1" / "shard")
    with pytest.raises(Exception, match="does not exist"):  # any other error stays what it is
        store.reader(1)
