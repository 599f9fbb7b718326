"""The reading processes: hostile files cost themselves alone, whatever they do to the process."""

from __future__ import annotations

import os
import signal
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdf
import pytest

from chunking.limits import ReadLimits
from chunking.splitters import ChunkSettings
from chunking.stored import load
from chunking.worker import Job, Read, Unread, _Process, read_and_chunk_all

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154")
SETTINGS = {
    "limits": {"seconds": 60.0, "memory_mb": 1024, "pages": 9, "megabytes": 9, "characters": 999},
    "chunks": {"splitter": "section", "max_tokens": 240, "overlap": 0},
}
LIMITS = ReadLimits(seconds=200, memory_mb=1024)


def read_all(paths: list[Path], tokenizers: list[Path], out: Path, **options: Any) -> dict[str, Read | Unread]:
    jobs = [Job(path, path.name, out / str(i)) for i, path in enumerate(paths)]
    limits = options.pop("limits", LIMITS)
    results = list(read_and_chunk_all(jobs, limits, ChunkSettings(), tokenizers[:1], **options))
    assert sorted(result.job.document_id for result in results) == sorted(path.name for path in paths)
    return {result.job.document_id: result for result in results}


def pdf(*objects: bytes, trailer: bytes = b"<</Root 1 0 R>>") -> bytes:
    """Write a PDF by hand, with a correct cross-reference table."""
    data, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n%s\nstartxref\n%d\n%%%%EOF" % (
        size, table, trailer, len(data)
    )  # fmt: skip


def bomb(megabytes: int) -> bytes:
    """Return a content stream that inflates a thousandfold: text operators without end."""
    packed = zlib.compress(b"(boom) Tj " * (megabytes * 100_000), 9)
    return b"<</Length %d /Filter /FlateDecode>>stream\n%s\nendstream" % (len(packed), packed)


PAGE = b"<</Type/Page /Parent 2 0 R /MediaBox[0 0 595 842] /Contents 4 0 R /Resources<</Font<</F 5 0 R>>>> >>"
CATALOG, PAGES = b"<</Type/Catalog /Pages 2 0 R>>", b"<</Type/Pages /Kids[3 0 R] /Count 1>>"
FONT = b"<</Type/Font /Subtype/Type1 /BaseFont/Helvetica>>"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty.pdf": lambda: b"",
    "empty.txt": lambda: b"",
    "png.pdf": lambda: PNG,
    "png.txt": lambda: PNG,
    "png.html": lambda: PNG,
    "header_only.pdf": lambda: b"%PDF-1.7\n",
    "garbage.pdf": lambda: b"%PDF-1.7\n" + bytes(range(1, 256)) * 40,
    "no_pages.pdf": lambda: pdf(CATALOG, b"<</Type/Pages /Kids[] /Count 0>>"),
    "own_parent.pdf": lambda: pdf(CATALOG, b"<</Type/Pages /Kids[2 0 R] /Count 1>>"),
    "huge_count.pdf": lambda: pdf(CATALOG, b"<</Type/Pages /Kids[3 0 R] /Count 900000>>", PAGE),
    "self_length.pdf": lambda: pdf(CATALOG, PAGES, PAGE, b"<</Length 4 0 R>>stream\nx\nendstream", FONT),
    "blank.pdf": lambda: pdf(CATALOG, PAGES, PAGE, b"<</Length 0>>stream\n\nendstream", FONT),
    "shift_jis.txt": lambda: "日本語の文書".encode("shift_jis"),
    "utf16.txt": lambda: "text in the wrong encoding".encode("utf-16"),
    "blanks.txt": lambda: b" \n\t\r\n\x0c" * 500,
    "deep.html": lambda: b"<div>" * 100_000,
    "nothing.html": lambda: b"<!-- x -->" * 10_000,
    "nul.md": lambda: b"# Title\0\n",
}
ENDURED: dict[str, Callable[[], bytes]] = {
    "one_word.txt": lambda: b"x" * 2_000_000,
    "one_line.txt": lambda: b"word " * 20_000,
    "newlines.txt": lambda: b"a" + b"\n" * 200_000 + b"b",
    "dots.txt": lambda: b"Contents\n\n" + (b". " * 5000 + b"x\n") * 20,
    "combining.txt": lambda: ("a" + "\u0301" * 100_000).encode(),
    "brackets.md": lambda: b"[" * 5_000,
    "quotes.md": lambda: b"> " * 5000 + b"text",
    "unclosed.html": lambda: b"<p" * 20_000,
    "open_tags.html": lambda: b"<b>" * 300 + b"text",
    "entities.html": lambda: b"<p>" + b"&nbsp;&#x1F600;&bogus;" * 20_000,
}


def test_every_hostile_file_is_refused_with_a_reason_and_the_rest_is_read(
    tmp_path: Path, tokenizer_files: list[Path]
) -> None:
    for name, make in (HOSTILE | ENDURED).items():
        (tmp_path / name).write_bytes(make())
    (tmp_path / "folder.txt").mkdir()
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    (tmp_path / "unknown.docx").write_bytes(b"PK")
    (tmp_path / "good.txt").write_text("1. Scope\n\nA good document.\n")
    others = ["folder.txt", "pipe.txt", "loop.txt", "unknown.docx", "missing.pdf"]
    names = [*HOSTILE, *ENDURED, *others, "good.txt"]
    results = read_all([tmp_path / name for name in names], tokenizer_files, tmp_path / "out")
    refused = {name: result.reason for name, result in results.items() if isinstance(result, Unread)}
    assert set(refused) == {*HOSTILE, *others}
    assert all(reason and "\n" not in reason and "Traceback" not in reason for reason in refused.values())
    assert refused["empty.pdf"] == refused["empty.txt"] == "the file is empty (0 bytes)"
    assert refused["png.pdf"].startswith("not a PDF: the file begins with '\\x89PNG")
    assert refused["png.txt"].startswith("not UTF-8: byte 0 is 0x89") or "NUL" in refused["png.txt"]
    assert refused["no_pages.pdf"] == "the PDF has no pages"
    assert refused["blank.pdf"].startswith("none of the 1 pages has text")
    assert refused["pipe.txt"] == refused["folder.txt"] == "not a regular file"
    assert refused["missing.pdf"] == "cannot be opened: No such file or directory"
    assert refused["deep.html"] == "elements are nested more than 400 deep"
    good = results["good.txt"]
    assert isinstance(good, Read)
    assert (good.pages, good.pages_without_text, good.chunks, good.warnings) == (1, 0, 1, ())
    document, chunks = load(good.job.directory)
    assert document.id == "good.txt"
    assert chunks[0].section == ("1. Scope",)


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
    (tmp_path / "bomb.pdf").write_bytes(pdf(CATALOG, PAGES, PAGE, bomb(600), FONT))
    (tmp_path / "heavy.txt").write_bytes(b"several words here. " * 2_000_000)
    (tmp_path / "good.txt").write_text("Fine.")
    paths = [tmp_path / name for name in ("bomb.pdf", "heavy.txt", "good.txt")]
    limits = ReadLimits(seconds=30, memory_mb=512)
    results = read_all(paths, tokenizer_files, tmp_path / "out", workers=1, limits=limits)
    assert isinstance(results["good.txt"], Read)
    for name in ("bomb.pdf", "heavy.txt"):
        result = results[name]
        assert isinstance(result, Unread)
        assert any(words in result.reason for words in ("memory", "more than 30 seconds", "ended")), result


def test_what_takes_too_long_is_ended(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "long.txt").write_text("".join(f"word{i} " for i in range(400_000)))
    (tmp_path / "good.txt").write_text("Fine.")
    limits = ReadLimits(seconds=1)
    paths = [tmp_path / "long.txt", tmp_path / "good.txt"]
    results = read_all(paths, tokenizer_files, tmp_path / "out", workers=1, limits=limits)
    assert results["long.txt"] == Unread(results["long.txt"].job, "took more than 1 seconds of processor time")
    assert isinstance(results["good.txt"], Read)


def test_what_only_waits_is_ended_by_the_wall_clock(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "a.txt").write_text("Fine.")
    job = Job(tmp_path / "a.txt", "a.txt", tmp_path / "out")
    process = _Process(SETTINGS | {"tokenizers": [str(tokenizer_files[0])]}, seconds=0.2)
    try:
        assert isinstance(process.read(job), Read)
        assert process._process is not None
        os.kill(process._process.pid, signal.SIGSTOP)
        assert process.read(job) == Unread(job, "took longer than 1 seconds")  # five times .2
        assert isinstance(process.read(job), Read)
    finally:
        process.close()
        process.end()


def test_a_process_that_is_killed_is_replaced(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    (tmp_path / "a.txt").write_text("Fine.")
    job = Job(tmp_path / "a.txt", "a.txt", tmp_path / "out")
    process = _Process(SETTINGS | {"tokenizers": [str(tokenizer_files[0])]}, seconds=60)
    try:
        assert isinstance(process.read(job), Read)
        assert process._process is not None
        os.kill(process._process.pid, signal.SIGSEGV)
        crashed = process.read(job)
        assert isinstance(crashed, Unread)
        assert crashed.reason == "the reader process was ended by signal SIGSEGV"
        assert isinstance(process.read(job), Read)
    finally:
        process.close()
        assert process.end() == -signal.SIGKILL


def test_closing_the_iterator_ends_the_processes(tmp_path: Path, tokenizer_files: list[Path]) -> None:
    for i in range(6):
        (tmp_path / f"{i}.txt").write_text("Fine.")
    jobs = [Job(tmp_path / f"{i}.txt", f"{i}.txt", tmp_path / "out" / str(i)) for i in range(6)]
    results = read_and_chunk_all(jobs, LIMITS, ChunkSettings(), tokenizer_files)
    assert isinstance(next(results), Read)
    results.close()  # type: ignore[attr-defined]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if b"chunking.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


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
