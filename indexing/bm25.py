"""BM25 as sparse vectors: the words of a passage, in English and Japanese, weighted for term frequency and length.

The store multiplies by the inverse document frequency (Qdrant's IDF modifier), so one formula serves both stores:
``f (k1 + 1) / (f + k1 (1 - b + b len / AVERAGE_LENGTH))`` for a passage, 1 for each distinct word of a query
(Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework"). The length is compared with a constant rather
than the corpus mean, so that adding documents changes no stored vector.

Words are not taken from the engine's own tokenizer because it segments Japanese by dictionary, and so the same word
differently by context: a search for 設定 does not find トルク設定. Overlapping character pairs do.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import Stemmer

K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 120.0

# A word or an identifier with inner connectors ("E-217", "5.2.1", "MMS_S", "e.g", "Content-Type").
_WORD = re.compile(r"[^\W_]+(?:[._\-/:+'’][^\W_]+)*")
_CONNECTOR = re.compile(r"[._\-/:+'’]")
# Runs of Japanese (and Chinese) script, which have no spaces between words.
_CJK = re.compile(r"[぀-ヿㇰ-ㇿ㐀-䶿一-鿿豈-﫿々〆ー]+")
_LONGEST_WORD = 80

STOPWORDS = frozenset(
    "a about above after again all also an and any are as at be because been before being below between both but by "
    "can could did do does doing down during each few for from further had has have having he her here hers him his "
    "how i if in into is it its itself just me more most my no nor not now of off on once only or other our out over "
    "own same she should so some such than that the their them then there these they this those through to too under "
    "until up very was we were what when where which while who whom why will with would you your".split()
)

_stem = Stemmer.Stemmer("english")


@dataclass(frozen=True)
class SparseVector:
    """Word hashes (uint32, ascending) and their weights (float32), both of shape (n,)."""

    indices: np.ndarray
    values: np.ndarray


def tokenize(text: str) -> list[str]:
    """Return the words of ``text`` as BM25 counts them, in order.

    Text is folded by NFKC and case. Latin words are stemmed (Snowball English) and stop words dropped; an identifier
    gives itself and its parts; Japanese script gives overlapping pairs of characters.
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    tokens: list[str] = []
    for match in _WORD.finditer(folded):
        word = match.group()
        if _CJK.search(word):
            tokens.extend(_cjk_tokens(word))
        else:
            tokens.extend(_latin_tokens(word))
    return tokens


def document_vector(text: str) -> SparseVector:
    """Return the sparse vector of a passage."""
    tokens = tokenize(text)
    counts = Counter(map(_hash, tokens))
    norm = K1 * (1 - B + B * len(tokens) / AVERAGE_LENGTH)
    indices = np.array(sorted(counts), dtype=np.uint32)
    frequencies = np.array([counts[index] for index in indices.tolist()], dtype=np.float32)
    return SparseVector(indices, (frequencies * (K1 + 1) / (frequencies + norm)).astype(np.float32))


def query_vector(text: str) -> SparseVector:
    """Return the sparse vector of a query: weight 1 for each distinct word."""
    indices = np.array(sorted({_hash(token) for token in tokenize(text)}), dtype=np.uint32)
    return SparseVector(indices, np.ones(len(indices), dtype=np.float32))


def _latin_tokens(word: str) -> list[str]:
    parts = [part for part in _CONNECTOR.split(word) if part]
    if len(parts) == 1:
        return _word_tokens(word)
    return [word[:_LONGEST_WORD], *(token for part in parts for token in _word_tokens(part))]


@lru_cache(maxsize=200_000)
def _stemmed(word: str) -> str:
    return str(_stem.stemWord(word))


def _word_tokens(word: str) -> list[str]:
    return [] if word in STOPWORDS else [_stemmed(word[:_LONGEST_WORD])]


def _cjk_tokens(word: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    for run in _CJK.finditer(word):
        for piece in _WORD.findall(word[position : run.start()]):
            tokens.extend(_latin_tokens(piece))
        characters = run.group()
        tokens.extend(characters[i : i + 2] for i in range(max(1, len(characters) - 1)))
        position = run.end()
    for piece in _WORD.findall(word[position:]):
        tokens.extend(_latin_tokens(piece))
    return tokens


@lru_cache(maxsize=500_000)
def _hash(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=4).digest(), "little")
