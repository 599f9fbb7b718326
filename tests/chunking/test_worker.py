"""The reading processes: hostile files cost themselves alone, whatever they do to the process."""

from __future__ import annotations

import errno
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdf
import pytest

from chunking.limits import ReadLimits
from chunking.splitters import ChunkSettings
from chunking.worker import Job, Read, Unread, _Process, read_and_chunk_all
from tests.chunking.hostile.pdfs import inflating, one_page

SETTINGS = {
    "limits": {"seconds": 60.0, "memory_mb": 1024, "pages": 9, "megabytes": 9, "characters": 999},
    "chunks": {"splitter": "section", "max_tokens": 240, "overlap": 0},
    "ocr": {"enabled": False, "languages": ["eng"]},
    "reading": {"pdf": "specmine"},
}
LIMITS = ReadLimits(seconds=200, memory_mb=1024)


TOO_LONG = "took more than 30 seconds of processor time"


def read_all(paths: list[Path], tokenizers: list[Path], out: Path, **options: Any) -> dict[str, Read | Unread]:
    jobs = [Job(path, path.name, out / str(i)) for i, path in enumerate(paths)]
    limits = options.pop("limits", LIMITS)
    results = list(read_and_chunk_all(jobs, limits, ChunkSettings(), tokenizers[:1], **options))
    assert sorted(result.job.document_id for result in results) == sorted(path.name for path in paths)
    return {result.job.document_id: result for result in results}


def test_truncated_and_encrypted_pdfs(tmp_path: Path, tokenizer_files: list[Path], draw_pdf: Any) -> None:
    whole = draw_pdf(
        tmp_path / "whole.pdf", [[(f"Page {i} of the text.", 72, 700, 10, "Times-Roman")] for i in range(9)]
    )
    data = whole.read_bytes()
    for share in (1, 2, 3):
        (tmp_path / f"cut{share}.pdf").write_bytes(data[: len(data) * share // 4])
    writer = pypdf.PdfWriter(whole)
    writer.encrypt("word", algorithm="RC4-128")
    writer.write(tmp_path / "encrypted.pdf")
    paths = [whole, tmp_path / "encrypted.pdf", *(tmp_path / f"cut{share}.pdf" for share in (1, 2, 3))]
    results = read_all(paths, tokenizer_files, tmp_path / "out")
    good, encrypted = results["whole.pdf"], results["encrypted.pdf"]
    assert isinstance(good, Read)
    assert (good.pages, good.pages_without_text) == (9, 0)
    assert isinstance(encrypted, Unread)
    assert encrypted.reason == "encrypted: it opens only with a password"
    for share in (1, 2, 3):  # what is left may be read or not, but no page may be lost without a word
        result = results[f"cut{share}.pdf"]
        assert isinstance(result, Unread) or result.pages < 9


def test_a_bomb_ends_at_a_limit_and_the_pool_goes_on(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "bomb.pdf").write_bytes(one_page(inflating(300)))
    (tmp_path / "heavy.txt").write_bytes(b"several words here. " * 2_000_000)
    (tmp_path / "good.txt").write_text("Fine.")
    paths = [tmp_path / name for name in ("bomb.pdf", "heavy.txt", "good.txt")]
    limits = ReadLimits(seconds=30, memory_mb=512)
    results = read_all(paths, tokenizer_files, tmp_path / "out", workers=1, limits=limits)
    assert isinstance(results["good.txt"], Read)
    bomb, heavy = results["bomb.pdf"], results["heavy.txt"]
    assert isinstance(bomb, Unread)
    assert isinstance(heavy, Unread)
    assert (bomb.page, heavy.page) == (1, None)  # a text is one page, and not read page by page
    assert re.fullmatch(f"needs more than 512 MB of memory.*|{TOO_LONG}", bomb.reason), bomb.reason
    assert re.fullmatch(f"needs more than 512 MB of memory.*|{TOO_LONG}", heavy.reason), heavy.reason


def test_what_takes_too_long_is_ended(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "long.txt").write_text("".join(f"word{i} " for i in range(400_000)))
    (tmp_path / "good.txt").write_text("Fine.")
    limits = ReadLimits(seconds=1)
    paths = [tmp_path / "long.txt", tmp_path / "good.txt"]
    results = read_all(paths, tokenizer_files, tmp_path / "out", workers=1, limits=limits)
    long = results["long.txt"]
    assert isinstance(long, Unread)
    # A machine too busy to give a second of processor time in five ends it by the clock.
    assert long.reason in ("took more than 1 seconds of processor time", "took longer than 5 seconds")
    assert isinstance(results["good.txt"], Read)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    (tmp_path / "a.txt").write_text("Fine.")
    return Job(tmp_path / "a.txt", "a.txt", tmp_path / "out")


@pytest.fixture
def process(job: Job, tokenizer_files: list[Path], request: pytest.FixtureRequest) -> Iterator[_Process]:
    """One process that has read a document; the parameter is its limit in seconds."""
    process = _Process(SETTINGS | {"tokenizers": [str(tokenizer_files[0])]}, seconds=request.param)
    assert isinstance(process.read(job), Read)
    yield process
    process.close()
    assert process.end() == -signal.SIGKILL


@pytest.mark.parametrize("process", [0.2], indirect=True)
def test_what_only_waits_is_ended_by_the_wall_clock(process: _Process, job: Job) -> None:
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGSTOP)
    # Five times .2; another time the machine may be less busy.
    assert process.read(job) == Unread(job, "took longer than 1 seconds", passing=True)
    assert isinstance(process.read(job), Read)


@pytest.mark.parametrize("process", [60], indirect=True)
@pytest.mark.parametrize(
    ("sent", "reason", "passing"),
    [
        (signal.SIGSEGV, "the reader process crashed (SIGSEGV)", False),
        # The system's choice, which says nothing of the document.
        (signal.SIGKILL, "the reader process was killed (SIGKILL), by the system if that was short of memory", True),
    ],
)
def test_a_process_that_dies_is_replaced(
    process: _Process, job: Job, sent: signal.Signals, reason: str, passing: bool
) -> None:
    assert process._process is not None
    os.kill(process._process.pid, sent)
    assert process.read(job) == Unread(job, reason, passing=passing)
    assert isinstance(process.read(job), Read)


def test_a_full_disk_is_no_fault_of_the_document(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "a.txt").write_text("Fine.")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "document.json").symlink_to("/dev/full")
    job = Job(tmp_path / "a.txt", "a.txt", tmp_path / "out")
    with pytest.raises(OSError, match="No space left on device") as caught:
        list(read_and_chunk_all([job], LIMITS, ChunkSettings(), tokenizer_files))
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "out"))


def test_closing_the_iterator_ends_the_processes(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    for i in range(6):
        (tmp_path / f"{i}.txt").write_text("Fine.")
    jobs = [Job(tmp_path / f"{i}.txt", f"{i}.txt", tmp_path / "out" / str(i)) for i in range(6)]
    results = read_and_chunk_all(jobs, LIMITS, ChunkSettings(), tokenizer_files)
    assert isinstance(next(results), Read)
    results.close()  # type: ignore[attr-defined]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if b"chunking.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_the_largest_is_read_first(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    for length in (3, 900, 40):
        (tmp_path / f"{length}.txt").write_text("Fine. " * length)
    jobs = [Job(tmp_path / name, name, tmp_path / "out" / name) for name in ("3.txt", "900.txt", "gone.txt", "40.txt")]
    results = read_and_chunk_all(jobs, LIMITS, ChunkSettings(), tokenizer_files, workers=1)
    assert [result.job.document_id for result in results] == ["900.txt", "40.txt", "3.txt", "gone.txt"]


def test_wrong_settings_are_told_at_once(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    job = Job(tmp_path / "a.txt", "a.txt", tmp_path / "out")
    with pytest.raises(ValueError, match="workers must be 1 or more, not 0"):
        next(read_and_chunk_all([job], LIMITS, ChunkSettings(), tokenizer_files, workers=0))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(RuntimeError, match=r"tokenizer\.json is not a tokenizer\.json"):
        next(read_and_chunk_all([job], LIMITS, ChunkSettings(), [tmp_path / "tokenizer.json"]))
    assert list(read_and_chunk_all([], LIMITS, ChunkSettings(), tokenizer_files)) == []
    with pytest.raises(ValueError, match="read limit pages must be above 0, not 0"):
        ReadLimits(pages=0)


def test_a_module_in_the_working_directory_is_not_imported(
    tmp_path: Path, tokenizer_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizers.py").write_text("raise SystemExit('imported from a folder of documents')")
    (tmp_path / "a.txt").write_text("Fine.")
    monkeypatch.chdir(tmp_path)
    assert isinstance(read_all([tmp_path / "a.txt"], tokenizer_files, tmp_path / "out")["a.txt"], Read)


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_file_without_permission(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "a.txt").write_text("Fine.")
    (tmp_path / "a.txt").chmod(0)
    result = read_all([tmp_path / "a.txt"], tokenizer_files, tmp_path / "out")["a.txt"]
    assert result == Unread(result.job, "cannot be opened: Permission denied")
