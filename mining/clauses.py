"""The same clause elsewhere: under the same number or title in other documents, or in nearly the same words.

Sister products and successive editions of a standard repeat each other clause by clause. What such a clause says is
nearly what was judged, and often wrong for the query: the hardest negatives there are, and the most dangerous ones,
for where nothing differs they are right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

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

    Memory grows by at most 164 bytes for each chunk: 12 for each of its eight smallest shingle hashes, 16 for its
    number and for its title, and 36 for its id.
    """

    def __init__(self, chunks: Mapping[str, Chunk]) -> None:
        self._chunks = chunks
        ids: list[bytes] = []
        sketches: list[npt.NDArray[np.uint32]] = []
        headings: list[tuple[int, int]] = []
        for chunk in chunks.values():
            ids.append(chunk.id.encode())
            sketches.append(_sketch(chunk))
            headings.append(_hashed(_heading(chunk)))
        self._ids = np.array(ids, dtype="S")
        rows = np.arange(len(ids))
        numbers, titles = np.array(headings, dtype=np.uint64).reshape(-1, 2).T
        self._by_number, self._by_title = _RowsByKey(numbers, rows), _RowsByKey(titles, rows)
        words = np.concatenate([*sketches, np.zeros(0, np.uint32)])
        self._by_word = _RowsByKey(words, np.repeat(rows, [len(part) for part in sketches]))

    def like(self, clause: Chunk) -> dict[str, float]:
        """Return the chunks that say the same clause elsewhere, and their likeness to ``clause``.

        Those are the chunks of other documents whose section has its title, or has its number and shares some words
        with it, and the chunks anywhere that nearly repeat it. Likeness is the Jaccard index of three-word shingles,
        0 to 1. The clause's own section is left out.
        """
        number, title = _hashed(_heading(clause))
        same_title = self._by_title.of(title) if title else set()
        same_number = self._by_number.of(number) if number else set()
        sharing_words = self._by_word.of(*_sketch(clause).tolist())
        own = shingles(clause.text)
        likeness = {}
        for row in same_title | same_number | sharing_words:
            chunk = self._chunks[self._ids[row].decode()]
            if chunk.document == clause.document and (row not in sharing_words or _is_own(chunk, clause)):
                continue
            score = jaccard(own, shingles(chunk.text))
            if score > 0 or row in same_title:
                likeness[chunk.id] = score
        return dict(sorted(likeness.items()))


class _RowsByKey:
    """Which rows have which key: two arrays, sorted by key."""

    def __init__(self, keys: np.ndarray, rows: np.ndarray) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys, self._rows = keys[order], rows[order]

    def of(self, *keys: int) -> set[int]:
        """Return the rows that have one of the keys."""
        wanted = np.array(keys, dtype=self._keys.dtype)
        first, last = np.searchsorted(self._keys, wanted), np.searchsorted(self._keys, wanted, side="right")
        return {row for a, b in zip(first, last, strict=True) for row in self._rows[a:b].tolist()}


def _is_own(chunk: Chunk, clause: Chunk) -> bool:
    return chunk.section == clause.section or chunk.id == clause.id


def _heading(chunk: Chunk) -> tuple[str, str]:
    return number_and_title(chunk.section[-1]) if chunk.section else ("", "")


def _hashed(heading: tuple[str, str]) -> tuple[int, int]:
    """Return a number and a title as numbers of 64 bits, 0 for none: so many that no two headings share one."""
    number, title = (
        int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest()) if part else 0 for part in heading
    )
    return number, title


def _sketch(chunk: Chunk) -> npt.NDArray[np.uint32]:
    """Return the start of the smallest of a chunk's shingles, sorted, at most _SKETCH of them."""
    return (shingles(chunk.text)[:_SKETCH] >> np.uint64(32)).astype(np.uint32)
