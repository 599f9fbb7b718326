"""Finding judged places in text: a quote whatever its line breaks, a section by its number or its title."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import numpy.typing as npt

# "4.2.1. Title", "§ 4.2 Title", "Appendix B: Title", "第3章 Title". A bare letter needs its dot or keyword:
# the title "A protocol for …" is not section A.
_NUMBERED = re.compile(
    r"(?:(?:section|sec\.|chapter|clause|article|part|§)\s*|第)?"
    r"(?P<number>(?:[a-z]\.?)?\d+(?:\.\d+)*[a-z]?)(?:[.):]|[章節条項編部])*(?:\s+|$)(?P<title>.*)"
    r"|(?:appendix|annex)\s*(?P<appendix>[a-z](?:\.\d+)*)[.):]*(?:\s+|$)(?P<appendix_title>.*)"
    r"|(?P<letter>[a-z])(?:[.):]+(?:\s+(?P<letter_title>.*))?|)$"
)


class _Squashing(dict[int, str]):
    """A table for ``str.translate``: code point → its NFKD form without white space and invisible format characters.

    Decomposing character by character equals decomposing the text, so offsets can be kept; texts equal under NFKD are
    those equal under NFKC.
    """

    def __missing__(self, code: int) -> str:
        form = unicodedata.normalize("NFKD", chr(code))
        kept = "".join(c for c in form if not c.isspace() and unicodedata.category(c) != "Cf")
        self[code] = kept
        return kept


_SQUASHING = _Squashing()


class SquashedText:
    """A text without white space in compatibility form, and where each of its characters came from."""

    def __init__(self, text: str) -> None:
        self._text = text.translate(_SQUASHING)
        lengths = np.fromiter((len(_SQUASHING[ord(character)]) for character in text), np.int64, len(text))
        self._origin: npt.NDArray[np.int32] = np.repeat(np.arange(len(text), dtype=np.int32), lengths)

    def find_all(self, quote: str) -> list[tuple[int, int]]:
        """Return the spans ``[start, end)`` in the original text where ``quote`` stands, without overlaps."""
        wanted = quote.translate(_SQUASHING)
        spans: list[tuple[int, int]] = []
        at = self._text.find(wanted) if wanted else -1
        while at >= 0:
            spans.append((int(self._origin[at]), int(self._origin[at + len(wanted) - 1]) + 1))
            at = self._text.find(wanted, at + len(wanted))
        return spans


def in_section(path: tuple[str, ...], wanted: str) -> bool:
    """Tell whether a section path lies in the section ``wanted``: its number, its title, or both as one heading.

    Case, white space and compatibility forms do not count. Number 4.2 also holds 4.2.1, whose path may lack its parent.
    """
    sought = _fold(wanted)
    number = _number_and_title(sought)[0]
    for heading in path:
        folded = _fold(heading)
        its_number, its_title = _number_and_title(folded)
        if sought in (folded, its_title):
            return True
        # "4.2 Title" wanted and "4.3 Title" found differ; "4.2" wanted needs no title.
        if number and _number_and_title(sought)[1] in ("", its_title) and its_number == number:
            return True
        if number and not _number_and_title(sought)[1] and its_number.startswith(number + "."):
            return True
    return False


def number_and_title(heading: str) -> tuple[str, str]:
    """Return a heading's number and its title, both folded (compatibility forms, case, white space).

    The number is empty where there is none: "5.2.1 Torques" gives ("5.2.1", "torques").
    """
    return _number_and_title(_fold(heading))


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _number_and_title(heading: str) -> tuple[str, str]:
    """Split a folded heading; the number is empty where there is none."""
    match = _NUMBERED.fullmatch(heading)
    if match is None:
        return "", heading
    number = match["number"] or match["appendix"] or match["letter"]
    return number, match["title"] or match["appendix_title"] or match["letter_title"] or ""
