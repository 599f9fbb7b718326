"""Every hostile file ends as read or refused for its own reason, through the real processes; the pool goes on."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from chunking.discover import discover
from chunking.limits import ReadLimits
from chunking.splitters import ChunkSettings
from chunking.stored import load
from chunking.worker import Job, Read, Unread, read_and_chunk_all
from tests.chunking.hostile import CORPUS
from tests.chunking.hostile.case import WORDS

LIMITS = ReadLimits(seconds=60, memory_mb=1024, unpacked_megabytes=200)


def read_all(jobs: list[Job], tokenizers: list[Path], workers: int = 2) -> dict[str, Read | Unread]:
    results = list(read_and_chunk_all(jobs, LIMITS, ChunkSettings(), tokenizers[:1], workers=workers))
    assert sorted(result.job.document_id for result in results) == sorted(job.document_id for job in jobs)
    return {result.job.document_id: result for result in results}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, tokenizer_files: list[Path]) -> dict[str, Read | Unread]:
    """The whole corpus in one pool of two processes, a good file after every hostile one."""
    folder = tmp_path_factory.mktemp("hostile")
    jobs = []
    for name, case in CORPUS.items():
        (folder / name).write_bytes(case.make())
        (folder / f"{name}.good.txt").write_text(f"1. Scope\n\n{WORDS}\n")
        jobs += [Job(folder / each, each, folder / "out" / each, folder) for each in (name, f"{name}.good.txt")]
    return read_all(jobs, tokenizer_files)


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("name", CORPUS)
def test_each_hostile_file_ends_as_it_must(name: str, results: dict[str, Read | Unread]) -> None:
    case, result, good = CORPUS[name], results[name], results[f"{name}.good.txt"]
    assert isinstance(good, Read)
    assert (good.pages, good.chunks, good.warnings) == (1, 1, ())
    if case.reason:
        assert isinstance(result, Unread), f"was read, with {result.warnings}"
        assert re.fullmatch(case.reason, result.reason), result.reason
        assert result.page == case.page
    else:
        assert isinstance(result, Read), result.reason
        assert case.finds in load(result.job.directory)[0].text
        assert not case.warning or any(re.fullmatch(case.warning, each) for each in result.warnings), result.warnings


def test_links_pipes_and_folders_among_the_documents(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    root = tmp_path / "root"
    (root / "deeper").mkdir(parents=True)
    (root / "good.txt").write_text(WORDS)
    (tmp_path / "secret.txt").write_text("a secret")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "loop.txt").symlink_to("loop.txt")
    (root / "up").symlink_to("..")
    (root / "deeper" / "round").symlink_to(root)
    (root / "ping.txt").symlink_to("pong.txt")
    (root / "pong.txt").symlink_to("ping.txt")
    (root / "null.txt").symlink_to("/dev/null")
    os.mkfifo(root / "pipe.txt")
    (root / "folder.txt").mkdir()
    (root / "folder.txt" / "inner.txt").write_text(WORDS)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.txt"))
        found, refused = discover([root])
    assert [file.document_id for file in found] == ["folder.txt/inner.txt", "good.txt"]
    leads_out = "a link that leads out of the folder given, or nowhere"
    assert {file.document_id: file.reason for file in refused} == {
        **dict.fromkeys(["out.txt", "loop.txt", "up", "ping.txt", "pong.txt", "null.txt"], leads_out),
        **dict.fromkeys(["pipe.txt", "socket.txt"], "not a regular file"),
    }
    # The same asked of the reader itself, which sees what stands there later.
    names = ["good.txt", "out.txt", "loop.txt", "null.txt", "pipe.txt", "folder.txt", "missing.txt"]
    ends = read_all([Job(root / name, name, tmp_path / "read" / name, root) for name in names], tokenizer_files)
    assert isinstance(ends["good.txt"], Read)
    reasons = {name: result.reason for name, result in ends.items() if isinstance(result, Unread)}
    assert reasons == {
        "out.txt": "the file leads out of the folder given",
        "loop.txt": "cannot be opened: Too many levels of symbolic links",
        "null.txt": "not a regular file",
        "pipe.txt": "not a regular file",
        "folder.txt": "not a regular file",
        "missing.txt": "cannot be opened: No such file or directory",
    }


def test_a_file_changed_for_a_link_or_a_pipe_after_it_was_found(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in (root / "link.txt", root / "pipe.txt", root / "folder" / "a.txt", tmp_path / "elsewhere" / "a.txt"):
        path.write_text(WORDS)
    found, refused = discover([root])
    assert (len(found), refused) == (3, [])
    (root / "link.txt").unlink()
    (root / "link.txt").symlink_to(tmp_path / "elsewhere" / "a.txt")
    (root / "pipe.txt").unlink()
    os.mkfifo(root / "pipe.txt")
    shutil.rmtree(root / "folder")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    jobs = [Job(file.path, file.document_id, tmp_path / "out" / str(i), file.root) for i, file in enumerate(found)]
    ends = read_all(jobs, tokenizer_files)
    assert {name: result.reason for name, result in ends.items() if isinstance(result, Unread)} == {
        "link.txt": "the file leads out of the folder given",
        "folder/a.txt": "the file leads out of the folder given",
        "pipe.txt": "not a regular file",
    }


def test_a_link_that_was_given_by_name_is_followed(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text(WORDS)
    (tmp_path / "link.txt").symlink_to("real/a.txt")
    [file], refused = discover([tmp_path / "link.txt"])
    assert (file.document_id, refused) == ("link.txt", [])
    ends = read_all([Job(file.path, file.document_id, tmp_path / "out", file.root)], tokenizer_files)
    assert isinstance(ends["link.txt"], Read)


# -- as somebody whom permissions bind --------------------------------------------------------------------------------

SHOW = """
import json, sys
from pathlib import Path
from chunking.discover import discover
from chunking.limits import ReadLimits
from chunking.splitters import ChunkSettings
from chunking.worker import Job, Read, read_and_chunk_all

root, out, tokenizer = map(Path, sys.argv[1:])
found, refused = discover([root])
ends = {item.document_id: item.reason for item in refused}
jobs = [Job(file.path, file.document_id, out / file.document_id, file.root) for file in found]
for result in read_and_chunk_all(jobs, ReadLimits(), ChunkSettings(), [tokenizer]):
    ends[result.job.document_id] = "read" if isinstance(result, Read) else result.reason
print(json.dumps(ends))
"""


def test_folders_and_files_without_permission(
    bound: tuple[list[str], dict[str, Any]], tokenizer_files: list[Path]
) -> None:
    prefix, options = bound
    # Not below tmp_path, which only its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        root, tokenizer = place / "root", place / "tokenizer.json"
        for name in ("good.txt", "shut.txt", "shut/a.txt", "listed/b.txt", "hidden/c.txt"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(WORDS)
        shutil.copy(tokenizer_files[0], tokenizer)
        (place / "out").mkdir()
        for path in (place, root, place / "out", *place.rglob("*")):
            if "user" in options:
                os.chown(path, options["user"], options["group"])
        (root / "shut.txt").chmod(0)
        (root / "shut").chmod(0)
        (root / "listed").chmod(0o444)  # its names may be seen, nothing in it may be opened
        (root / "hidden").chmod(0o111)  # it may be entered by who knows a name
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ["PATH"]}
        run = subprocess.run(
            [*prefix, sys.executable, "-c", SHOW, str(root), str(place / "out"), str(tokenizer)],
            capture_output=True, text=True, env=environment, cwd="/", timeout=120, **options,
        )  # fmt: skip
        for name in ("shut", "listed", "hidden"):
            (root / name).chmod(0o700)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "good.txt": "read",
        "shut.txt": "cannot be opened: Permission denied",
        "shut": "folder cannot be read: Permission denied",
        "listed/b.txt": "the file cannot be opened: Permission denied",
        "hidden": "folder cannot be read: Permission denied",
    }
