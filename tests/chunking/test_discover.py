"""Finding documents: ids, hidden files, links that lead out, and nothing skipped without a word."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from chunking.discover import discover


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("text")
    return path


def test_ids_are_paths_below_the_folder_given(tmp_path: Path) -> None:
    for name in ("b.TXT", "a/x.pdf", "a/日本 語.md", "a/notes.odt", ".hidden.txt", ".git/x.txt", "a/.x/y.txt"):
        touch(tmp_path / "root" / name)
    lone = touch(tmp_path / "elsewhere" / "lone.html")
    found, refused = discover([tmp_path / "root", lone])
    assert [item.document_id for item in found] == ["a/x.pdf", "a/日本 語.md", "b.TXT", "lone.html"]
    assert {item.root for item in found} == {tmp_path / "root", lone.parent}
    assert refused == []
    assert found[0].path.is_file()


def test_links(tmp_path: Path) -> None:
    root = tmp_path / "root"
    secret = touch(tmp_path / "secret" / "s.txt")
    inside = touch(root / "real" / "r.txt")
    (root / "out.txt").symlink_to(secret)
    (root / "out").symlink_to(secret.parent)
    (root / "up.txt").symlink_to("../secret/s.txt")
    (root / "broken.txt").symlink_to("nothing.txt")
    (root / "loop.txt").symlink_to("loop.txt")
    (root / "same").symlink_to(inside.parent)
    (root / "again.txt").symlink_to(inside)
    found, refused = discover([root])
    assert [item.document_id for item in found] == ["again.txt", "real/r.txt"]
    assert [item.document_id for item in refused] == ["broken.txt", "loop.txt", "out", "out.txt", "up.txt"]
    assert {item.reason for item in refused} == {"a link that leads out of the folder given, or nowhere"}
    (tmp_path / "linked_root").symlink_to(root)
    assert len(discover([tmp_path / "linked_root"])[0]) == 2  # the folder given may itself be a link


def test_refusals(tmp_path: Path) -> None:
    root = tmp_path / "root"
    touch(root / "a.txt")
    os.mkfifo(root / "pipe.txt")
    os.close(os.open(os.fsencode(root) + b"/bad\xff.txt", os.O_CREAT))
    touch(root / "line\nbreak.txt")
    other = touch(tmp_path / "other" / "a.txt")
    found, refused = discover([root, tmp_path / "missing", other.parent, touch(tmp_path / "x.odt"), root])
    assert [item.document_id for item in found] == ["a.txt"]
    reasons = {item.path.name: item.reason for item in refused if item.path.name != "pipe.txt"}
    assert reasons["missing"] == "no such file or folder"
    assert reasons["x.odt"].startswith("no reader for .odt; known: .pdf")
    assert reasons["a.txt"] == f"another document has this id: {root / 'a.txt'}"
    assert "control characters" in reasons["line\nbreak.txt"]
    assert "not UTF-8" in reasons["bad\udcff.txt"]
    assert {item.reason for item in refused if item.path.name == "pipe.txt"} == {"not a regular file"}
    assert all("\n" not in item.document_id for item in refused)


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "open" / "a.txt")
    touch(tmp_path / "shut" / "b.txt")
    scandir = os.scandir

    def refusing(path: Path) -> object:  # permissions do not bind root, who may run the tests
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found, refused = discover([tmp_path])
    assert [item.document_id for item in found] == ["open/a.txt"]
    assert [(item.document_id, item.reason) for item in refused] == [
        ("shut", "folder cannot be read: Permission denied")
    ]


def test_deep_folders(tmp_path: Path) -> None:
    deep = "/".join("d" * 400)  # no more: the clean-up after the tests recurses
    touch(tmp_path / deep / "a.txt")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        found, refused = discover([tmp_path])
    finally:
        sys.setrecursionlimit(limit)
    assert [item.document_id for item in found] == [f"{deep}/a.txt"]
    assert refused == []
