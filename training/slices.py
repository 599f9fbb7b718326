"""Parts of the held-out queries that a mean can hide: by their words, their language, and what answers them."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from chunking.document import Chunk
from chunking.language import language
from evaluation.leakage import split_seen
from evaluation.projection import Projection
from indexing.bm25 import tokenize
from training.splits import HeldOut, Splits

# A word is rare that at most this share of the passages has.
_RARE = 0.001
# A word with a digit, an underscore or a capital after a small letter: "M12", "MAX_DATA", "maxAge", "5.2.1".
_IDENTIFIER = re.compile(r"\w*\d|\w+_\w|\w*[a-z][A-Z]")
_LANGUAGES = {"en": "English", "ja": "Japanese"}


@dataclass(frozen=True)
class Asked:
    """Held-out queries, and what tells them apart: the passages of the index, and what the training saw."""

    texts: Mapping[str, str]
    projection: Projection
    chunks: Mapping[str, Chunk]
    trained: Projection


Slicer = Callable[[Asked], dict[str, str]]
"""Returns query id → the name of its slice; the names are words that a report can use as they are."""


def slice_queries(held_out: HeldOut, splits: Splits, chunks: Mapping[str, Chunk]) -> dict[str, dict[str, str]]:
    """Return family → query id → slice for the held-out queries. Reads every passage once: seconds for 36,000."""
    asked = Asked(held_out.texts, held_out.projection, chunks, splits.train_projection)
    return {family: slicer(asked) for family, slicer in SLICES.items()}


def _document_length(asked: Asked) -> dict[str, str]:
    """Split at the median, over the queries, of the length of the longest document that answers one."""
    ends: Counter[str] = Counter()
    for chunk in asked.chunks.values():
        ends[chunk.document] = max(ends[chunk.document], chunk.end)
    lengths = {
        query: max(ends[asked.chunks[chunk].document] for chunk in hits)
        for query, hits in asked.projection.hits.items()
        if query in asked.texts
    }
    return _halves(lengths, "documents", "characters")


def _query_length(asked: Asked) -> dict[str, str]:
    """Split at the median number of words, stop words left out."""
    return _halves({query: len(tokenize(text)) for query, text in asked.texts.items()}, "queries", "words")


def _rare_terms(asked: Asked) -> dict[str, str]:
    """Split by whether a word of the query stands in very few passages (a thousandth; in one at least)."""
    words = {query: set(tokenize(text)) for query, text in asked.texts.items()}
    wanted = set().union(*words.values())
    found: Counter[str] = Counter()
    for chunk in asked.chunks.values():
        found.update(wanted.intersection(tokenize(chunk.encoder_text)))
    bound = max(1, int(_RARE * len(asked.chunks)))
    rare = {word for word, passages in found.items() if passages <= bound}
    return _by(asked.texts, lambda query: not rare.isdisjoint(words[query]), "with rare terms", "without rare terms")


def _exact_identifiers(asked: Asked) -> dict[str, str]:
    """Split by whether a word of the query must be found to the letter."""
    found = {query for query, text in asked.texts.items() if _IDENTIFIER.search(text)}
    return _by(asked.texts, found.__contains__, "with exact identifiers", "without exact identifiers")


def _languages(asked: Asked) -> dict[str, str]:
    return {query: _LANGUAGES[language(text)] for query, text in asked.texts.items()}


def _seen(asked: Asked) -> dict[str, str]:
    """Split by whether a passage that answers the query answers a training query too."""
    seen = set(split_seen(asked.projection, asked.trained).seen)
    return _by(asked.texts, seen.__contains__, SEEN, "answers new to the training")


def _halves(values: Mapping[str, int], what: str, unit: str) -> dict[str, str]:
    if not values:
        return {}
    middle = int(statistics.median_low(values.values()))
    return _by(values, lambda query: values[query] > middle, f"{what} above {middle:,} {unit}", f"shorter {what}")


def _by(queries: Iterable[str], has: Callable[[str], bool], name: str, other: str) -> dict[str, str]:
    return {query: name if has(query) else other for query in queries}


SEEN = "answers seen in training"

SLICES: dict[str, Slicer] = {
    "document length": _document_length,
    "language": _languages,
    "query length": _query_length,
    "rare terms": _rare_terms,
    "exact identifiers": _exact_identifiers,
    "training": _seen,
}
