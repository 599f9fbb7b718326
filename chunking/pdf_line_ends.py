"""What stands between two lines of one paragraph: a blank, or nothing where the line's end parts a word or a path."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from chunking.pdf_lines import PdfLine, parts_path
from chunking.wide import WIDE

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LAST_WORD = re.compile(r"([^\W\d_]+)-?$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")


class LineEnds:
    """How a document divides words at the ends of its lines, learnt from how it spells them elsewhere.

    A hyphen goes where it parts a word; it stays where the document has the word with one. Of words that stand nowhere
    else most decide: a program that divides no words leaves lines to end only at hyphens that belong there.
    """

    def __init__(self, blocks: Sequence[Sequence[PdfLine]]) -> None:
        self._spelled = Counter(word.lower() for lines in blocks for line in lines for word in _WORD.findall(line.text))
        parted = whole = 0
        for line, following in itertools.chain.from_iterable(map(itertools.pairwise, blocks)):
            if self._hyphen(line, following):
                with_hyphen, without = self._counts(line.text, following.text)
                parted += without > with_hyphen
                whole += with_hyphen > without
        self._divides = parted >= whole

    def joined(self, line: PdfLine, following: PdfLine) -> tuple[str, str]:
        """Return what is written for a line, and what stands between it and the next."""
        if line.text.endswith("_-"):  # TeX parts long names so
            return line.text[:-1], ""
        if self._hyphen(line, following):
            return self.stem(line.text, following.text), ""
        wide = WIDE.match(line.text[-1]) and WIDE.match(following.text[0])
        return line.text, "" if wide or parts_path(line.text, following.text) else " "

    def stem(self, text: str, following: str) -> str:
        """Return the text, whose last word goes on in what follows, with a hyphen at its end or without."""
        stem = text.removesuffix("-")
        if not (_LAST_WORD.search(text) and _FIRST_WORD.match(following)):
            return stem + "-"
        with_hyphen, without = self._counts(text, following)
        parted = self._divides if with_hyphen == without else without > with_hyphen
        return stem if parted else stem + "-"

    @staticmethod
    def _hyphen(line: PdfLine, following: PdfLine) -> bool:
        return line.hyphen or (line.text.endswith("-") and following.text[0].islower())

    def _counts(self, text: str, following: str) -> tuple[int, int]:
        """Return how often the document has the word elsewhere with a hyphen, and without."""
        last, first = _LAST_WORD.search(text), _FIRST_WORD.match(following)
        if last is None or first is None:
            return 0, 0
        compound = f"{last[1]}-{first[0]}".lower()
        return self._spelled[compound], self._spelled[compound.replace("-", "")]
