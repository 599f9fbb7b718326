"""Reading hostile documents in processes that may die: a crash, a hang or a bomb costs one document, never the batch.

The parent starts ``python -m chunking.worker`` a few times and speaks JSON lines with it over pipes: first the
settings, then one job at a time. A worker bounds its own address space; the parent kills one that takes too long: more
than the limit of processor time, or five times as long by the wall clock.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import queue
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TextIO, cast

from chunking.accounting import Totals, account
from chunking.document import UnreadableError
from chunking.limits import ReadLimits
from chunking.ocr import OFF, OcrSettings
from chunking.progress import listen
from chunking.readers import read
from chunking.reading_settings import OWN, ReadingSettings
from chunking.splitters import ChunkSettings, chunk, shortened
from chunking.stored import save
from chunking.tokens import TokenCounter

_MEGABYTE = 1024 * 1024
_START_SECONDS = 60.0
_WAITING = 5  # how many times the processor time a document may take by the clock on the wall
_LOOK_EVERY = 0.5
_LONGEST_REASON = 500
_MOST_WARNINGS = 50
RARELY = (50_000, 20, 20)
"""Thresholds of the garbage collector while documents are read: they are hundreds of thousands of objects that live
until the document is written, and with Python's own thresholds a tenth of the time goes into looking for cycles."""
_PAGE = b"page "  # a line that begins so tells the page that is read, or 0


@dataclass(frozen=True)
class Job:
    """A document to read: its file, its id, and the directory that ``chunking.stored`` writes it to.

    ``root`` is the folder that the file must truly lie in, links followed; None where any place will do. The pages of a
    PDF that ``pictures`` names are drawn into the directory as well (``chunking.pdf_pictures``).
    """

    path: Path
    document_id: str
    directory: Path
    root: Path | None = None
    pictures: tuple[int, ...] = ()


@dataclass(frozen=True)
class Read:
    """A document that was read, cut and stored. ``totals`` are those of its account (``chunking.accounting``)."""

    job: Job
    pages: int
    pages_without_text: int
    chunks: int
    warnings: tuple[str, ...]
    totals: Totals


@dataclass(frozen=True)
class Unread:
    """A document that could not be read, with the reason and, where known, the page.

    ``passing``: the reason was the machine's at that time; the same bytes may be read at another.
    """

    job: Job
    reason: str
    page: int | None = None
    passing: bool = False


# -- the parent's side -----------------------------------------------------------------------------------------------


def read_and_chunk_all(
    jobs: Sequence[Job],
    limits: ReadLimits,
    chunk_settings: ChunkSettings,
    tokenizers: Sequence[Path],
    workers: int = 2,
    ocr: OcrSettings = OFF,
    reading: ReadingSettings = OWN,
) -> Iterator[Read | Unread]:
    """Read, cut and store every job, the largest file first; yield one result for each, as they are done.

    Without tokenizers the documents are read and stored, but not cut.
    Raises ValueError if ``workers`` is below 1, RuntimeError where no worker can be started (a tokenizer file that
    cannot be read, for one), and OSError where what was read cannot be written: the disk is full. Closing the iterator
    ends the workers.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers}")
    settings = {
        "limits": asdict(limits),
        "chunks": asdict(chunk_settings),
        "tokenizers": [str(path.resolve()) for path in tokenizers],
        "ocr": asdict(ocr),
        "reading": asdict(reading),
    }
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in sorted(jobs, key=_size, reverse=True):  # a large one left to the end would keep one process alone
        waiting.put(job)
    done: queue.SimpleQueue[Read | Unread | BaseException] = queue.SimpleQueue()
    processes = [_Process(settings, limits.seconds) for _ in range(min(workers, len(jobs)))]
    threads = [threading.Thread(target=_serve, args=(process, waiting, done), daemon=True) for process in processes]
    try:
        for thread in threads:
            thread.start()
        for _ in jobs:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        for process in processes:
            process.close()
        for thread in threads:
            thread.join()


def _size(job: Job) -> int:
    """Return the bytes of the job's file, 0 where it cannot be asked: reading it tells why."""
    try:
        return job.path.stat().st_size
    except OSError:
        return 0


def _serve(
    process: _Process, waiting: queue.SimpleQueue[Job], done: queue.SimpleQueue[Read | Unread | BaseException]
) -> None:
    """Let one process do jobs until none is waiting or it is closed."""
    try:
        while not process.closed:
            done.put(process.read(waiting.get_nowait()))
    except queue.Empty:
        pass
    except BaseException as error:
        done.put(error)
    finally:
        process.end()


class _Process:
    """One worker process, started when first needed and again after it died."""

    def __init__(self, settings: dict[str, Any], seconds: float) -> None:
        self.closed = False
        self._settings = settings
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._page: int | None = None  # that the process said it reads
        self._lock = threading.Lock()

    def read(self, job: Job) -> Read | Unread:
        """Have one document read; never raises for the document's sake."""
        process = self._process or self._start()
        message = {
            "path": str(job.path),
            "document_id": job.document_id,
            "directory": str(job.directory),
            "root": str(job.root) if job.root is not None else None,
            "pictures": job.pictures,
        }
        answer = self._ask(process, message, self._seconds)
        if isinstance(answer, _Ending):
            return Unread(job, answer.reason, self._page, answer.passing)
        if answer["retired"]:
            self.end()
        if "unwritten" in answer:
            raise OSError(*answer["unwritten"], str(job.directory))
        if "reason" in answer:
            return Unread(job, answer["reason"], answer["page"])
        totals = answer["totals"]
        return Read(
            job,
            pages=totals["pages"],
            pages_without_text=totals["pages_without_text"],
            chunks=totals["chunks"],
            warnings=tuple(answer["warnings"]),
            totals=totals,
        )

    def close(self) -> None:
        """Have the process die and not come back; may be called from any thread."""
        with self._lock:
            self.closed = True
            if self._process is not None:
                self._process.kill()

    def end(self) -> int:
        """End the process, if there is one, and return how it ended: the exit code, or minus the signal."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)  # one that died of itself tells why
        process.kill()
        for pipe in _pipes(process):
            with contextlib.suppress(OSError):
                pipe.close()
        return process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": _import_path()}
        with self._lock:
            if self.closed:
                raise queue.Empty
            # -P keeps the working directory off the import path: it may be a folder of documents.
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "chunking.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        self._buffer = b""
        answer = self._ask(process, self._settings, _START_SECONDS)
        if isinstance(answer, _Ending) or "reason" in answer:
            reason = answer.reason if isinstance(answer, _Ending) else answer["reason"]
            raise RuntimeError(f"no reader process: {reason}")
        return process

    def _ask(
        self, process: subprocess.Popen[bytes], message: dict[str, Any], seconds: float
    ) -> dict[str, Any] | _Ending:
        """Send a line and wait for the answer; if none comes, end the process and return how it ended."""
        send, receive = _pipes(process)
        self._page = None
        try:
            send.write(json.dumps(message).encode() + b"\n")
            send.flush()
            line = self._last_line(process.pid, receive, seconds)
        except BrokenPipeError:
            line = b""
        except TimeoutError as error:
            process.kill()
            self.end()
            return _Ending(str(error), passing=not isinstance(error, _TooLongError))
        if not line:
            return _ending(self.end(), self._settings["limits"]["memory_mb"])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_line(self, pid: int, receive: IO[bytes], seconds: float) -> bytes:
        """Return the answer, b"" if the process closed its end, minding the pages told before. Raises TimeoutError.

        Processor time counts, so that a busy machine does not make documents unreadable; the wall clock ends a process
        that only waits.
        """
        began, used = time.monotonic(), _processor_seconds(pid)
        with selectors.DefaultSelector() as selector:
            selector.register(receive, selectors.EVENT_READ)
            while True:
                while b"\n" in self._buffer:
                    line, self._buffer = self._buffer.split(b"\n", 1)
                    if not line.startswith(_PAGE):
                        return line
                    self._page = int(line.removeprefix(_PAGE)) or None
                ready = selector.select(_LOOK_EVERY)
                if _processor_seconds(pid) - used > seconds:
                    raise _TooLongError(f"took more than {seconds:g} seconds of processor time")
                if time.monotonic() - began > _WAITING * seconds:
                    raise TimeoutError(f"took longer than {_WAITING * seconds:g} seconds")
                if not ready:
                    continue
                received = os.read(receive.fileno(), 65536)
                if not received:
                    return b""
                self._buffer += received


def _processor_seconds(pid: int) -> float:
    """Return the processor time a process has used so far (Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:  # it has ended; reading its pipe tells
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime: fields 14 and 15 of proc(5)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    return cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)


def _import_path() -> str:
    here = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))


@dataclass(frozen=True)
class _Ending:
    """Why a process gave no answer; ``passing`` as in ``Unread``."""

    reason: str
    passing: bool = False


class _TooLongError(TimeoutError):
    """A document took more processor time than it may."""


def _ending(code: int, memory_mb: int) -> _Ending:
    """Tell why a process ended, by its exit code or minus the signal."""
    if code == -signal.SIGABRT:  # how pdfium and all C++ and Rust end where no memory is left
        return _Ending(f"needs more than {memory_mb} MB of memory, most likely: the reader process gave up (SIGABRT)")
    if code == -signal.SIGKILL:
        reason = "the reader process was killed (SIGKILL), by the system if that was short of memory"
        return _Ending(reason, passing=True)
    if code < 0:
        return _Ending(f"the reader process crashed ({signal.Signals(-code).name})")
    return _Ending(f"the reader process ended with exit code {code}")


# -- the worker's side -----------------------------------------------------------------------------------------------


def main() -> int:
    """Serve jobs from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    lines = iter(sys.stdin.buffer)
    try:
        settings = json.loads(next(lines))
        limits = ReadLimits(**settings["limits"])
        chunk_settings = ChunkSettings(**settings["chunks"])
        ocr = OcrSettings(**{**settings["ocr"], "languages": tuple(settings["ocr"]["languages"])})
        reading = ReadingSettings(**settings["reading"])
        tokenizers = [Path(path) for path in settings["tokenizers"]]
        counter = TokenCounter.load(tokenizers) if tokenizers else None
        limit = limits.memory_mb * _MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ValueError, OSError) as error:
        _answer(answers, {"reason": _first_line(error)})
        return 1
    gc.set_threshold(*RARELY)
    _answer(answers, {"ready": True})
    teller = _PageTeller(answers)
    listen(teller.tell)
    for line in lines:
        message = json.loads(line)
        root = Path(message["root"]) if message["root"] else None
        pictures = tuple(message["pictures"])
        job = Job(Path(message["path"]), message["document_id"], Path(message["directory"]), root, pictures)
        signal.alarm(int(_WAITING * limits.seconds) + 30)  # ends a hanging worker whose parent is gone
        teller.page = None
        result = _read_and_chunk(job, limits, chunk_settings, counter, ocr, reading, teller)
        signal.alarm(0)
        # A heap that has grown large would count against the documents to come: leave, and a fresh process takes over.
        retired = _resident_bytes() > limit // 2
        _answer(answers, {**result, "retired": retired})
        if retired:
            return 0
    return 0


def _resident_bytes() -> int:
    """Return the memory this process holds now (Linux); the kernel's peak figure would count its parent's as well."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _answer(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


class _PageTeller:
    """Tells the parent which page is read, so that it knows when this process is no more, and remembers it."""

    def __init__(self, answers: TextIO) -> None:
        self.page: int | None = None
        self._answers = answers

    def tell(self, page: int | None) -> None:
        self.page = page
        self._answers.write(f"{_PAGE.decode()}{page or 0}\n")
        self._answers.flush()


def _read_and_chunk(
    job: Job,
    limits: ReadLimits,
    settings: ChunkSettings,
    counter: TokenCounter | None,
    ocr: OcrSettings,
    reading: ReadingSettings,
    teller: _PageTeller,
) -> dict[str, Any]:
    try:
        document = read(job.path, job.document_id, limits, job.root, ocr, reading)
        chunks = chunk(document, settings, counter) if counter else []
        if counter and not chunks:
            raise UnreadableError("no text that could be cut into chunks")
        try:
            save(job.directory, document, chunks)
        except OSError as error:  # no fault of the document
            return {"unwritten": [error.errno, error.strerror]}
        if job.pictures and document.metadata.get("format") == "pdf":
            from chunking.pdf_pictures import draw_pages

            draw_pages(job.path, job.pictures, job.directory)
    except UnreadableError as error:
        return {"reason": error.reason[:_LONGEST_REASON], "page": error.page}
    except MemoryError:
        return {"reason": f"needs more than {limits.memory_mb} MB of memory", "page": teller.page}
    except Exception as error:  # whatever a parser throws at a hostile file is that file's fault
        return {"reason": f"could not be read: {_first_line(error)}", "page": teller.page}
    warnings = list(document.warnings[:_MOST_WARNINGS])
    if more := len(document.warnings) - len(warnings):
        warnings.append(f"and {more} more warnings: `specmine inspect` shows them all")
    if count := shortened(chunks):
        warnings.append(f"{count} chunks: title or section path shortened for the encoders")
    return {
        "totals": account(document, chunks).totals,
        "warnings": [warning[:_LONGEST_REASON] for warning in warnings],
    }


def _first_line(error: BaseException) -> str:
    words = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {words}"[:_LONGEST_REASON] if words else type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
