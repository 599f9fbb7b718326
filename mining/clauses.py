"""The same clause elsewhere: under the same number or title in other documents, or in nearly the same words.

Sister products and successive editions of a standard repeat each other clause by clause. What such a clause says is
nearly what was judged, and often wrong for the query: the hardest negatives there are, and the most dangerous ones,
for where nothing differs they are right.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from chunking.document import Chunk
from evaluation.locate import number_and_title
from mining.shingles import jaccard, shingles

# Two texts whose shingles have a Jaccard index of J share none of the 8 smallest of their union with chance (1 - J)^8:
# .4 % at one half. (Bottom-k sketches: Broder, SEQUENCES 1997.)
_SKETCH = 8


class ClauseIndex:
    """All chunks of an index by the number and the title of their section, and by a sketch of their words.

    Sketches take 12 bytes for each of the eight smallest shingle hashes of a chunk.
    """

    def __init__(self, chunks: Mapping[str, Chunk]) -> None:
        self._chunks = chunks
        self._ids = sorted(chunks)
        self._by_number: dict[str, list[str]] = {}
        self._by_title: dict[str, list[str]] = {}
        for name in self._ids:
            number, title = _heading(chunks[name])
            if number:
                self._by_number.setdefault(number, []).append(name)
            if title:
                self._by_title.setdefault(title, []).append(name)
        hashes: list[npt.NDArray[np.uint32]] = [_sketch(chunks[name]) for name in self._ids]
        places = np.repeat(np.arange(len(hashes)), [len(part) for part in hashes])
        flat = np.concatenate([*hashes, np.zeros(0, np.uint32)])
        order = np.argsort(flat, kind="stable")
        self._hashes, self._places = flat[order], places[order]

    def like(self, clause: Chunk) -> dict[str, float]:
        """Return the chunks that say the same clause elsewhere, and their likeness to ``clause``.

        Those are the chunks of other documents whose section has its title, or has its number and shares some words
        with it, and the chunks anywhere that nearly repeat it. Likeness is the Jaccard index of three-word shingles,
        0 to 1. The clause's own section is left out.
        """
        number, title = _heading(clause)
        same_title = set(self._by_title.get(title, ()))
        found = same_title | set(self._by_number.get(number, ()))
        found = {name for name in found if self._chunks[name].document != clause.document}
        found |= self._sharing_words(clause)
        own = shingles(clause.text)
        likeness = {}
        for name in sorted(found):
            chunk = self._chunks[name]
            if chunk.document == clause.document and (chunk.section == clause.section or name == clause.id):
                continue
            score = jaccard(own, shingles(chunk.text))
            if score > 0 or name in same_title:
                likeness[name] = score
        return likeness

    def _sharing_words(self, clause: Chunk) -> set[str]:
        sketch = _sketch(clause)
        first, last = np.searchsorted(self._hashes, sketch), np.searchsorted(self._hashes, sketch, side="right")
        spans: Iterable[npt.NDArray[np.int64]] = (self._places[a:b] for a, b in zip(first, last, strict=True))
        return {self._ids[place] for span in spans for place in span}


def _heading(chunk: Chunk) -> tuple[str, str]:
    return number_and_title(chunk.section[-1]) if chunk.section else ("", "")


def _sketch(chunk: Chunk) -> npt.NDArray[np.uint32]:
    """Return the smallest hashes of a chunk's shingles, sorted. CRC-32 is the same in every process."""
    hashed = {zlib.crc32("\0".join(shingle).encode()) for shingle in shingles(chunk.text)}
    return np.array(sorted(hashed)[:_SKETCH], dtype=np.uint32)
