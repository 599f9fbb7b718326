"""docling run over the pages of a PDF, a range at a time, each in a process of its own with bounded memory.

A range that fails is halved until the pages that fail stand alone, so that one of them costs no other.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunking.docling_install import PROGRAM, interpreter
from chunking.document import UnreadableError
from chunking.limits import ReadLimits
from chunking.ocr import OcrSettings
from chunking.progress import at_page
from chunking.reading_settings import ReadingSettings

_PAGES = 32  # of a range: docling and its models are loaded for each, which takes as long as a few pages
_SHARE = 3  # times the limit of processor time: by the clock, so that the rest has its time
_LONGEST_REASON = 300
_SHORT_OF_MEMORY = ("MemoryError", "alloc", "failed to map")  # as Python, C++ and torch, and the dynamic linker say it


@dataclass
class Converted:
    """What docling made of pages: its items in reading order (``chunking.docling_pages``), and what became of pages.

    ``failed`` holds the reason for every page that could not be read; on ``recognised`` ones characters were.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    recognised: set[int] = field(default_factory=set)


def convert(path: Path, pages: int, limits: ReadLimits, ocr: OcrSettings, settings: ReadingSettings) -> Converted:
    """Have docling read all pages of a PDF. Raises UnreadableError where it cannot be used or takes too long."""
    deadline = time.monotonic() + _SHARE * limits.seconds
    whole = Converted()
    for first in range(1, pages + 1, _PAGES):
        last = min(first + _PAGES - 1, pages)
        for part in _converted(path, range(first, last + 1), deadline, limits, ocr, settings):
            whole.items += part.items
            whole.failed |= part.failed
            whole.recognised |= part.recognised
    at_page(None)
    return whole


def _converted(
    path: Path,
    pages: Sequence[int],
    deadline: float,
    limits: ReadLimits,
    ocr: OcrSettings,
    settings: ReadingSettings,
) -> Iterator[Converted]:
    """Yield what docling makes of neighbouring pages, in parts where it fails on the whole."""
    at_page(pages[0])
    left = deadline - time.monotonic()
    if left <= 0:
        raise _too_slow(pages[0], limits)
    try:
        answer = _run(path, _message(pages, limits, ocr, settings), left, interpreter(settings))
    except subprocess.TimeoutExpired:
        raise _too_slow(pages[0], limits) from None
    if isinstance(answer, str):
        answer = {"failed": dict.fromkeys(pages, answer), "recognised": [], "items": []}
    failed = {int(number): reason for number, reason in answer["failed"].items()}
    if not failed or len(pages) == 1:
        yield Converted(answer["items"], failed, set(answer["recognised"]))
        return
    # One page may have taken the others' memory, or the process with it: fewer are tried again.
    if len(failed) == len(pages):
        again = [pages[: len(pages) // 2], pages[len(pages) // 2 :]]
    else:
        yield Converted(answer["items"], {}, set(answer["recognised"]))
        again = [[number] for number in sorted(failed)]
    for part in again:
        yield from _converted(path, part, deadline, limits, ocr, settings)


def trial(limits: ReadLimits, ocr: OcrSettings, settings: ReadingSettings) -> str:
    """Load docling and its models as for a document; return what is wrong in one line, "" if nothing is."""
    try:
        _run(Path(os.devnull), _message([1], limits, ocr, settings), limits.seconds, interpreter(settings))
    except UnreadableError as error:
        return error.reason
    except subprocess.TimeoutExpired:
        return f"docling was not loaded after {limits.seconds:g} seconds"
    return ""


def _message(pages: Sequence[int], limits: ReadLimits, ocr: OcrSettings, settings: ReadingSettings) -> dict[str, Any]:
    """Return the settings of ``chunking.docling_pages``."""
    return {
        "first": pages[0],
        "last": pages[-1],
        "memory_mb": limits.memory_mb,
        "artifacts": str(settings.artifacts),
        "languages": list(ocr.languages) if ocr.enabled else [],
    }


def _run(path: Path, message: dict[str, Any], seconds: float, python: str) -> dict[str, Any] | str:
    """Return docling's answer, or in words how its process ended without one.

    Raises TimeoutExpired, and UnreadableError if the process ends before docling's models are loaded.
    """
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",  # models come from the folder given, never from the internet
        "MALLOC_ARENA_MAX": "2",  # glibc's arenas, one a thread, count against the bound on memory without being used
    }
    with path.open("rb") as file:
        process = subprocess.Popen(
            [python, "-I", str(PROGRAM), json.dumps(message)],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
    # Ends it even where this process is ended first.
    processor = int(seconds * (os.cpu_count() or 1)) + 1
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (processor, processor))
    try:
        output, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()
    ready, _, answer = output.decode().partition("\n")
    if process.returncode == 0 and answer:
        found: dict[str, Any] = json.loads(answer)
        return found
    told = _ending(process.returncode, errors, message["memory_mb"])
    if not ready:
        raise UnreadableError(f"docling cannot be used: {told}")
    return f"docling gave up: {told}"


def _ending(code: int, errors: bytes, memory_mb: int) -> str:
    """Tell why docling's process ended, by its exit code, or minus the signal, and the last line that it wrote."""
    told = errors.decode("utf-8", "replace").strip().split("\n")[-1][:_LONGEST_REASON]
    if code < 0:
        told = f"its process died ({signal.Signals(-code).name})"
    if code < 0 or any(word in told for word in _SHORT_OF_MEMORY):
        return f"{told}: it needs more than {memory_mb} MB of memory, most likely; raise memory_mb in [limits]"
    return told or f"its process ended with exit code {code}"


def _too_slow(page: int, limits: ReadLimits) -> UnreadableError:
    reason = f"docling took longer than {_SHARE * limits.seconds:g} seconds: raise seconds in [limits]"
    return UnreadableError(reason, page)
