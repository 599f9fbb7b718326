"""What an ingest found, file by file, before anything is read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from chunking.discover import Found
from indexing.found_files import hash_files
from indexing.quarantine import Quarantined


def test_every_file_is_told_whatever_becomes_of_it(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for place in ("a.md", "one/a.md"):
        (tmp_path / place).write_text(place, encoding="utf-8")
    names = [("a.md", "a.md"), ("gone.md", "gone.md"), ("a.md", "one/a.md")]
    quarantine: list[Quarantined] = []
    told: list[tuple[str, int, int]] = []
    found = [Found(tmp_path / place, name, tmp_path) for name, place in names]
    hashes = hash_files(found, quarantine, lambda *step: told.append(step))
    assert hashes == {"a.md": hashlib.sha256(b"a.md").hexdigest()}
    assert [(entry.document, entry.reason.partition(";")[0]) for entry in quarantine] == [
        ("gone.md", "the file cannot be opened: No such file or directory"),
        ("a.md", "a second file of this name in the same ingest"),
    ]
    assert told == [("comparing", 1, 3), ("comparing", 2, 3), ("comparing", 3, 3)]
