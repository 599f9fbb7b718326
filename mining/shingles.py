"""How much two texts repeat each other: the exact Jaccard index of their sets of word shingles."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SHINGLE = 3
# A word of other scripts, or one character of Japanese script, which has no spaces.
_WORD = re.compile(r"[぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆]|[^\W぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆]+")


@lru_cache(maxsize=8192)
def shingles(text: str) -> frozenset[tuple[str, ...]]:
    """Return the set of three-word sequences of a text, folded by NFKC and case; a shorter text is one shingle."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if len(words) <= _SHINGLE:
        return frozenset([tuple(words)])
    return frozenset(zip(*(words[i:] for i in range(_SHINGLE)), strict=False))


def jaccard(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    """Return |a ∩ b| / |a ∪ b| of two non-empty sets."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)
