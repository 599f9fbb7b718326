"""How much two texts repeat each other: the exact Jaccard index of their sets of word shingles."""

from __future__ import annotations

import re
import unicodedata
import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Shingles = npt.NDArray[np.uint64]
"""The shingles of a text, each as 64 bits: distinct ones, sorted, (n,)."""

# A word of other scripts, or one character of Japanese script, which has no spaces.
_WORD = re.compile(r"[぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆]|[^\W぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆]+")
# Odd, and each far from a multiple of another: a shingle of the same words in another order is another.
_PLACES = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)


@lru_cache(maxsize=8192)
def shingles(text: str) -> Shingles:
    """Return the three-word sequences of a text, folded by NFKC and case; a shorter text is one shingle.

    They are the same in every process. A kilobyte for a passage of the usual length.
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    hashed = np.array([zlib.crc32(word.encode()) for word in words], dtype=np.uint64)
    if len(words) <= len(_PLACES):
        hashed = np.pad(hashed, (0, len(_PLACES) - len(words)), constant_values=0)
    count = len(hashed) - len(_PLACES) + 1
    mixed = np.zeros(count, dtype=np.uint64)
    for i, place in enumerate(_PLACES):
        mixed += hashed[i : i + count] * np.uint64(place)
    return _distinct(mixed)


def jaccard(a: Shingles, b: Shingles) -> float:
    """Return |a ∩ b| / |a ∪ b|."""
    both = len(_distinct(np.concatenate((a, b))))
    return (len(a) + len(b) - both) / both


def _distinct(values: Shingles) -> Shingles:
    """Return distinct values in order; for so few much sooner than ``np.unique`` does."""
    ordered = np.sort(values)
    return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]
