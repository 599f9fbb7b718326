"""Copies keep the bytes and the holes of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.sparse import copy_sparse

MEGABYTE = 1_000_000


def test_a_hole_stays_a_hole(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        file.write(b"head")
        file.seek(30 * MEGABYTE)
        file.write(b"tail")
        file.truncate(40 * MEGABYTE)
    source.chmod(0o640)
    if source.stat().st_blocks * 512 > MEGABYTE:
        pytest.skip("the file system of the tests keeps no holes")
    copy_sparse(source, target)
    assert target.stat().st_size == 40 * MEGABYTE
    assert target.stat().st_blocks * 512 < MEGABYTE
    assert target.stat().st_mode & 0o7777 == 0o640
    assert source.read_bytes() == target.read_bytes()


@settings(max_examples=30)
@given(
    parts=st.lists(st.tuples(st.integers(0, 20_000), st.binary(max_size=5000)), max_size=5), rest=st.integers(0, 9000)
)
def test_what_is_copied_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, bytes]], rest: int
) -> None:
    folder = tmp_path_factory.mktemp("sparse")
    source = folder / "source"
    with source.open("wb") as file:
        for skipped, data in parts:
            file.seek(skipped, os.SEEK_CUR)
            file.write(data)
        file.truncate(file.tell() + rest)
    copy_sparse(source, folder / "target")
    assert (folder / "target").read_bytes() == source.read_bytes()
