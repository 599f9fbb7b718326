"""The nouns of query generation: a draft of a query, the document it is made from, and the corpus's vocabulary."""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TypeVar

from chunking.document import Chunk, Document
from evaluation.leakage import UnionFind
from evaluation.locate import number_and_title

T = TypeVar("T")

# A Latin word or designation; a run of katakana; a run of Han characters. Enough to tell rare terms from common ones.
_TERM = re.compile(r"[^\W\d_぀-ヿ一-鿿][^\W぀-ヿ一-鿿]*(?:[-./][^\W぀-ヿ一-鿿]+)*|[ァ-ヺー]{2,}|[一-鿿々]{2,}")
# Documents that share this much of their titles are editions or sisters of one another.
_SISTERS = 0.3
# A title of more documents than this says too little to tell any two apart: no use for pairing them.
_TELLING = 50
_EMPTY_FAMILIES = 2
_EMPTY_SHARE = 0.05
_EMPTY_IN_DOCUMENT = 3


@dataclass(frozen=True)
class Draft:
    """A query that somebody might ask, and the place ``[start, end)`` of the document that it was made from.

    ``chunks`` are the ids of the passages that hold the place.
    """

    text: str
    start: int
    end: int
    chunks: tuple[str, ...]


class Vocabulary:
    """What headings and words the whole corpus uses, and how widely."""

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.size = 0
        self._containing: Counter[str] = Counter()
        titles: dict[str, dict[str, set[tuple[str, ...]]]] = {}
        for chunk in chunks:
            self.size += 1
            self._containing.update({term.casefold() for term in terms(chunk.text)})
            if chunk.section:
                of_document = titles.setdefault(chunk.document, {})
                for depth, heading in enumerate(chunk.section):
                    of_document.setdefault(number_and_title(heading)[1], set()).add(chunk.section[:depth])
        self._titles = titles
        documents: dict[str, list[str]] = defaultdict(list)
        for document, of_document in titles.items():
            for title in of_document:
                documents[title].append(document)
        self._documents: Mapping[str, Sequence[str]] = documents
        self._family = _family_of({document: len(found) for document, found in titles.items()}, documents)
        self._families = len(set(self._family.values()))

    def share(self, term: str) -> float:
        """Return the share of all passages, 0 to 1, that hold a term."""
        return self._containing[term.casefold()] / self.size if self.size else 0.0

    def is_empty(self, document: str, heading: str) -> bool:
        """Tell whether a heading says nothing of what stands under it, such as "General" and "Scope".

        It is one that unrelated documents share, or that stands in several places of its own document.
        """
        places = self._titles.get(document, {}).get(number_and_title(heading)[1], ())
        return len(places) >= _EMPTY_IN_DOCUMENT or self.is_customary(heading)

    def is_customary(self, heading: str) -> bool:
        """Tell whether unrelated documents share a heading, as they do "References" and "Scope".

        Editions and sister products share most of their headings, so each family of them counts as one document.
        """
        families = {self._family[other] for other in self._documents.get(number_and_title(heading)[1], ())}
        return len(families) > max(_EMPTY_FAMILIES, _EMPTY_SHARE * self._families)

    def is_shared(self, heading: str) -> bool:
        """Tell whether several documents have this heading, whatever its number."""
        return len(self._documents.get(number_and_title(heading)[1], ())) > 1


@dataclass(frozen=True)
class Material:
    """One document as read, with its passages and the vocabulary of all documents."""

    document: Document
    chunks: Sequence[Chunk]
    vocabulary: Vocabulary

    def holding(self, start: int, end: int) -> tuple[str, ...]:
        """Return the ids of the passages that begin before ``start`` and hold most of ``[start, end)``."""
        first = bisect_right(self._starts, start) - 1
        found = []
        for chunk in self._sorted[max(0, first - 3) : first + 2]:
            if 2 * (min(end, chunk.end) - max(start, chunk.start)) >= end - start:
                found.append(chunk.id)
        return tuple(found)

    def section_at(self, place: int) -> tuple[str, ...]:
        """Return the section path of the passage that holds a place, empty where none does."""
        at = bisect_right(self._starts, place) - 1
        return self._sorted[at].section if at >= 0 and place < self._sorted[at].end else ()

    def draw(self, entries: Sequence[T], count: int, seed: int) -> list[T]:
        """Draw ``count`` of the entries by chance, in their order: the same ones of the same document and seed."""
        dice = random.Random(f"{seed}\0{self.document.id}")  # noqa: S311 - no secret
        places = sorted(dice.sample(range(len(entries)), min(count, len(entries))))
        return [entries[place] for place in places]

    @cached_property
    def _sorted(self) -> list[Chunk]:
        return sorted(self.chunks, key=lambda chunk: (chunk.start, chunk.end))

    @cached_property
    def _starts(self) -> list[int]:
        return [chunk.start for chunk in self._sorted]


def terms(text: str) -> Iterator[str]:
    """Yield the words of a text that can be search terms: no numbers, and of Japanese the nouns that script shows."""
    return (match[0] for match in _TERM.finditer(text))


def designation(title: str) -> str:
    """Return how people name a document: the first words of its title up to a number, "FS 4100:2019"."""
    words = list(dict.fromkeys(title.split()))[:3]
    for count, word in enumerate(words, start=1):
        if any(character.isdigit() for character in word):
            return " ".join(words[:count]).rstrip(":,;")
    return " ".join(words).rstrip(":,;")


def _family_of(sizes: Mapping[str, int], documents: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the family of each document, by how many titles each has and which documents each title is in."""
    shared: Counter[tuple[str, str]] = Counter()
    for having in documents.values():
        if len(having) <= _TELLING:
            shared.update(combinations(sorted(having), 2))
    related = UnionFind()
    for (one, other), common in shared.items():
        if common >= _SISTERS * (sizes[one] + sizes[other] - common):
            related.unite(one, other)
    return {document: related.root(document) for document in sizes}
