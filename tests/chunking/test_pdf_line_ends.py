"""What stands between the lines of a paragraph of a PDF: a blank, a hyphen or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf

BODY, MONO = "Times-Roman", "Courier"


def joined(path: Path, draw_pdf: Any, *lines: str) -> str:
    """Return the text of a page that has these lines, whether or not it makes them several paragraphs."""
    page = [(text, 72, 700 - 12 * i, 10, BODY) for i, text in enumerate(lines)]
    return read_pdf(draw_pdf(path, [page]), "a.pdf", ReadLimits()).text.strip()


def test_words_known_nowhere_else_are_joined_as_most_others_are(tmp_path: Path, draw_pdf: Any) -> None:
    dividing = ("the maintenance is the mainte-", "nance of the known un-", "known")
    text = joined(tmp_path / "a.pdf", draw_pdf, *dividing)
    assert text == "the maintenance is the maintenance of the known unknown"
    whole = ("a side-channel is a side-", "channel that is non-", "recoverable")
    text = joined(tmp_path / "b.pdf", draw_pdf, *whole)
    assert text == "a side-channel is a side-channel that is non-recoverable"


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("as set in TEXTURE_-", "BUFFER by the", "as set in TEXTURE_BUFFER by the"),
        ("it lies in /usr/", "share/doc and so on", "it lies in /usr/share/doc and so on"),
        ("it lies in (/usr/lib/", "doc) and so on", "it lies in (/usr/lib/doc) and so on"),
        ("see https://", "example.org/a for it", "see https://example.org/a for it"),
        ("see <https://example.org/a/", "b> for it", "see <https://example.org/a/b> for it"),
        ("is read and/", "or written by it", "is read and/ or written by it"),
        ("is run by /", "bin/sh or another", "is run by /bin/sh or another"),
        ("the quotient a /", "b is the least", "the quotient a / b is the least"),
    ],
)
def test_names_and_paths_over_the_end_of_a_line(
    tmp_path: Path, draw_pdf: Any, first: str, second: str, together: str
) -> None:
    assert joined(tmp_path / "a.pdf", draw_pdf, first, second) == together


def test_a_line_of_nothing_but_code_goes_on_in_its_paragraph(tmp_path: Path, draw_pdf: Any) -> None:
    full = [f"Line number {i} goes as far as all of the lines do up to here," for i in range(6)]
    page = [(text, 72, 700 - 12 * i, 10, BODY) for i, text in enumerate(full)]
    page += [("VALVE_STATE", 72, 628, 10, MONO), ("Code stands apart:", 72, 604, 10, BODY)]
    page += [("open(valve)", 72, 592, 10, MONO)]
    document = read_pdf(draw_pdf(tmp_path / "a.pdf", [page]), "a.pdf", ReadLimits())
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("paragraph", " ".join([*full, "VALVE_STATE"])),
        ("paragraph", "Code stands apart:"),
        ("code", "open(valve)"),
    ]
