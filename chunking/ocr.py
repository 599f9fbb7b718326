"""Character recognition for scanned pages, by the program tesseract where it is installed and wanted."""

from __future__ import annotations

import os
import re
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = "tesseract"
_DOTS_PER_INCH = 300
_LONGEST_SIDE = 6000  # pixels; larger sheets are read more coarsely
_PAGE_SECONDS = 120  # that tesseract may take for a page, by the clock and of processor time
_LEAST_CONFIDENCE = 30  # percent; below it is what tesseract sees in photographs and dirt
_ALIKE = 0.25  # sizes of lines that differ less are those of one font: recognised sizes are uneven
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]{1,31}")
_BOX = re.compile(r"bbox (-?\d+) (-?\d+) (-?\d+) (-?\d+)")
_BASELINE = re.compile(r"baseline (-?[\d.]+) (-?[\d.]+)")
_NUMBER = r" (-?[\d.]+)"


@dataclass(frozen=True)
class OcrSettings:
    """Whether scanned pages are recognised, and in which languages (tesseract's names, all at once)."""

    enabled: bool = False
    languages: tuple[str, ...] = ("eng", "jpn")

    def __post_init__(self) -> None:
        wrong = [name for name in self.languages if not _LANGUAGE.fullmatch(name)]
        if wrong or not self.languages:
            raise ValueError(f"languages must be tesseract's names, such as eng and jpn, not {list(self.languages)}")


OFF = OcrSettings()


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    """A word in a picture: its box in points from the lower left corner of the page as displayed, and its base line.

    ``bottom`` and ``top`` are those of its line, so that all words of a line are of one size.
    """

    text: str
    left: float
    right: float
    bottom: float
    top: float
    base: float


class RecognitionError(Exception):
    """A page that was not recognised, and why."""


def version() -> str:
    """Return tesseract's name and version, "" where it is not on the PATH."""
    return next(iter(_told("--version")), "")


def installed_languages() -> set[str]:
    """Return the languages that tesseract has here; none where it is not on the PATH."""
    return set(_told("--list-langs")[1:])


def _told(option: str) -> list[str]:
    program = shutil.which(PROGRAM)
    if program is None:
        return []
    told = subprocess.run([program, option], capture_output=True, text=True, timeout=60, check=False)
    return [line.strip() for line in (told.stdout or told.stderr).splitlines() if line.strip()]


def recognise(
    path: Path, numbers: Sequence[int], settings: OcrSettings, seconds: float
) -> tuple[dict[int, list[RecognisedWord]], list[str]]:
    """Recognise pages of a PDF; return the words of those that have any, and what went wrong, in words.

    Pages whose turn has not come after ``seconds`` are left as they are.
    """
    import pypdfium2

    from chunking.pdf_open import open_pdf
    from chunking.pdf_pictures import rendered

    if shutil.which(PROGRAM) is None:
        return {}, [f"scanned pages are not recognised: {PROGRAM} is not installed, or not on the PATH"]
    found: dict[int, list[RecognisedWord]] = {}
    problems: list[str] = []
    began = time.monotonic()
    document, _ = open_pdf(path)
    with document:
        for number in numbers:
            if time.monotonic() - began > seconds:
                problems.append(f"scanned pages from {number} on are not recognised: it took over {seconds:g} seconds")
                break
            page = document[number - 1]
            try:
                bitmap = rendered(page, _DOTS_PER_INCH / 72, _LONGEST_SIDE, grey=True)
                scale = bitmap.width / page.get_width()
                words = _words(_hocr(bitmap.to_numpy(), scale, settings), scale, page.get_height())
            except (RecognitionError, pypdfium2.PdfiumError) as error:
                problems.append(f"page {number} is not recognised: {error}")
                continue
            finally:
                page.close()
            if words:
                found[number] = words
    return found, problems


def _hocr(pixels: Any, scale: float, settings: OcrSettings) -> str:
    """Return what tesseract sees in a picture of grey pixels, as hOCR. Raises RecognitionError."""
    height, width = pixels.shape[:2]
    picture = b"P5 %d %d 255\n" % (width, height) + pixels.tobytes()
    languages = "+".join(settings.languages)
    arguments = [PROGRAM, "stdin", "stdout", "--dpi", str(round(72 * scale)), "-l", languages, "hocr"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    process = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )
    # Ends it even where this process is ended first. The bound on memory is inherited from the reading process.
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (_PAGE_SECONDS, _PAGE_SECONDS))
    try:
        output, errors = process.communicate(picture, timeout=_PAGE_SECONDS)
    except subprocess.TimeoutExpired:
        raise RecognitionError(f"{PROGRAM} took longer than {_PAGE_SECONDS} seconds") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        told = errors.decode("utf-8", "replace").strip().split("\n")[0][:200]
        raise RecognitionError(f"{PROGRAM} ended with {process.returncode}: {told}")
    return output.decode("utf-8", "replace")


def _words(hocr: str, scale: float, page_height: float) -> list[RecognisedWord]:
    """Return the words of hOCR; ``scale`` is pixels to a point, ``page_height`` in points."""
    from bs4 import BeautifulSoup

    lines = []
    for line in BeautifulSoup(hocr, "html.parser").select(".ocr_line, .ocr_header, .ocr_caption, .ocr_textfloat"):
        told = str(line.get("title", ""))
        left, _, right, lower = _box(told)
        baseline = _BASELINE.search(told)
        base: float = lower
        if baseline:  # its slope, and how far it stands from the box's lower left corner
            base += float(baseline[2]) + float(baseline[1]) * (right - left) / 2
        size, descenders = _property(told, "x_size"), _property(told, "x_descenders")
        words = [
            (text, _box(title))
            for word in line.select(".ocrx_word")
            if (text := " ".join(word.get_text().split()))
            and _property(title := str(word.get("title", "")), "x_wconf") >= _LEAST_CONFIDENCE
        ]
        if words and size > 0:
            lines.append((words, base, size, descenders))
    if not lines:
        return []
    usual = statistics.median(size for words, _, size, _ in lines for _ in words)
    return [
        RecognisedWord(
            text=text,
            left=box[0] / scale,
            right=box[2] / scale,
            bottom=page_height - (base + descenders) / scale,
            top=page_height - (base + descenders - (usual if abs(size / usual - 1) < _ALIKE else size)) / scale,
            base=page_height - base / scale,
        )
        for words, base, size, descenders in lines
        for text, box in words
    ]


def _box(title: str) -> tuple[int, ...]:
    match = _BOX.search(title)
    return tuple(map(int, match.groups())) if match else (0, 0, 0, 0)


def _property(title: str, name: str) -> float:
    match = re.search(name + _NUMBER, title)
    return float(match[1]) if match else 0.0
