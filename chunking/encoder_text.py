"""What the encoders read of a chunk, which is not what the reader sees.

Title and section path stand before the text; white space is collapsed and ruling lines are left out; the rows of a
table are read by their columns, ``column: value; column: value``, below the table's caption.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from chunking.document import SECTION_SEPARATOR
from chunking.tokens import TokenCounter
from chunking.wide import WIDE

_RULING = re.compile(r"[-+=_*~#]{4,}|\.{4,}|(?:\. ){4,}")


def clean(text: str) -> str:
    """Return the text as encoders read it: ruling lines out, lines joined (Japanese without a space), blanks single."""
    joined: list[str] = []
    for line in _RULING.sub(" ", text).splitlines():
        words = " ".join(line.split())
        if words and joined and not (WIDE.match(joined[-1][-1]) and WIDE.match(words[0])):
            joined.append(" ")
        if words:
            joined.append(words)
    return "".join(joined)


def whole_prefix(title: str, section: tuple[str, ...]) -> str:
    """Return title and section path as they stand before the text, each on its line, however long they are."""
    return "".join(f"{line}\n" for line in (clean(title), clean(SECTION_SEPARATOR.join(section))) if line)


def prefix(title: str, section: tuple[str, ...], max_tokens: int, counter: TokenCounter) -> str:
    """Return title and section path, cut down to a third of ``max_tokens`` if need be.

    Outer sections go first, then the end of the title, then the end of the innermost heading.
    """
    limit = max_tokens // 3
    path = list(section)
    while counter.count(whole := whole_prefix(title, tuple(path))) > limit and len(path) > 1:
        path.pop(0)
    if counter.count(whole) <= limit:
        return whole
    heading = first_words("".join(path), limit // 2, counter)
    return whole_prefix(first_words(title, limit - counter.count(heading), counter), (heading,))


def first_words(text: str, limit: int, counter: TokenCounter) -> str:
    """Return the longest beginning of the text, in words or else characters, of at most ``limit`` tokens."""
    text = clean(text)[: limit * 20]
    ends = [match.start() for match in re.finditer(r"\s", text)] + [len(text)]
    if counter.count(text[: ends[0]]) > limit:
        ends = list(range(len(text) + 1))
    kept = bisect_right(ends, limit, key=lambda end: counter.count(text[:end]))
    return text[: ends[kept - 1]] if kept else ""


def row_text(columns: Sequence[str], cells: Sequence[str]) -> str:
    """Return a table's row by its columns. Empty cells are left out; a cell without a named column stands alone."""
    names = (*columns, *[""] * len(cells))
    values = ((name, clean(cell)) for name, cell in zip(names, cells, strict=False))
    return "; ".join(f"{name}: {value}" if name else value for name, value in values if value)
