"""What held-out queries share with the training queries: near-identical texts, passages, source documents."""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from evaluation.judgements import Judgement, Query
from evaluation.projection import Projection

SHINGLE = 4  # characters
THRESHOLD = 0.8


@dataclass(frozen=True, slots=True)
class Leak:
    """A training query that nearly repeats a held-out one. ``similarity`` is their Jaccard similarity, 1 for equal."""

    train: str
    held_out: str
    similarity: float


@dataclass(frozen=True, slots=True)
class SeenSplit:
    """Held-out query ids by whether training had one of their passages as an answer; both sorted."""

    seen: tuple[str, ...]
    unseen: tuple[str, ...]


def find_leaks(train: Sequence[Query], held_out: Sequence[Query], threshold: float = THRESHOLD) -> list[Leak]:
    """Return every pair of near-identical queries across the two sets, by held-out and training id.

    Texts are compared without case, punctuation, white space runs and compatibility forms; two are near-identical when
    the Jaccard similarity of their sets of 4-character shingles is at least ``threshold`` in (0, 1]. The result is
    exact, not sampled.
    """
    pairs = _near_pairs([query.text for query in train], [query.text for query in held_out], threshold)
    leaks = [Leak(train[i].id, held_out[j].id, similarity) for i, j, similarity in pairs]
    return sorted(leaks, key=lambda leak: (leak.held_out, leak.train))


def split_seen(held_out: Projection, train: Projection) -> SeenSplit:
    """Split the measured held-out queries by whether a passage that answers them also answers a training query.

    Both projections must be onto the same chunks. What is compared is passages, not judged spans, so that a clause
    inside a judged section is recognised.
    """
    trained = {chunk for hits in train.hits.values() for chunk in hits}
    seen = {query for query, hits in held_out.hits.items() if not trained.isdisjoint(hits)}
    return SeenSplit(tuple(sorted(seen)), tuple(sorted(held_out.units.keys() - seen)))


def groups(queries: Sequence[Query], judgements: Iterable[Judgement]) -> dict[str, str]:
    """Return query id → group, for all queries: those of one group are not independent.

    A query's own ``group`` is taken where it has one. Otherwise it belongs with all queries that are judged (grade 1 or
    more) on the same documents, directly or through others; the group is named after the first of these documents. A
    query without judgement is a group of its own, named after itself.

    Where that ties more than half of these queries together (collections whose "documents" are passages), nothing
    would be left to compare: each query of that group then goes with its best document alone.
    """
    documents: dict[str, list[str]] = {query.id: [] for query in queries if query.group is None}
    for judgement in sorted(judgements, key=lambda j: (-j.grade, j.document)):
        if judgement.grade > 0 and judgement.query in documents:
            documents[judgement.query].append(judgement.document)
    component = UnionFind()
    for of_query in documents.values():
        for document in of_query:
            component.unite(of_query[0], document)
    found = {query: component.root(of_query[0]) for query, of_query in documents.items() if of_query}
    sizes = Counter(found.values())
    for query, root in found.items():
        if 2 * sizes[root] > len(found):
            found[query] = documents[query][0]
    return {query.id: query.group if query.group is not None else found.get(query.id, query.id) for query in queries}


class UnionFind:
    """Which names belong together; a set is named after its first name in order."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def root(self, name: str) -> str:
        """Return the name of the set that ``name`` is in."""
        while (parent := self._parent.get(name, name)) != name:
            self._parent[name] = self._parent.get(parent, parent)
            name = parent
        return name

    def unite(self, a: str, b: str) -> None:
        """Put two names, and all that belongs with them, together."""
        first, second = sorted((self.root(a), self.root(b)))
        self._parent[second] = first


def near_copies(queries: Sequence[Query], threshold: float = THRESHOLD) -> Iterator[tuple[str, str]]:
    """Yield the ids of every two near-identical queries within one set, each pair once."""
    texts = [query.text for query in queries]
    for i, j, _ in _near_pairs(texts, texts, threshold):
        if i < j:
            yield queries[i].id, queries[j].id


class NearCopies:
    """Texts that are added one after the other, and whether a new one nearly repeats one of them.

    It finds what ``find_leaks`` finds at the same threshold: exactly, not by sampling.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._sets: list[tuple[str, frozenset[str]]] = []
        self._index: dict[str, list[int]] = {}

    def add(self, name: str, text: str) -> None:
        """Add a text under a name."""
        shingles = _shingles(text)
        for shingle in self._prefix(shingles):
            self._index.setdefault(shingle, []).append(len(self._sets))
        self._sets.append((name, shingles))

    def find(self, text: str) -> str | None:
        """Return the name of the text most like this one, None where none reaches the threshold."""
        shingles = _shingles(text)
        best, found = 0.0, None
        for place in sorted({place for shingle in self._prefix(shingles) for place in self._index.get(shingle, ())}):
            name, other = self._sets[place]
            common = len(other & shingles)
            similarity = common / (len(other) + len(shingles) - common)
            if similarity >= self._threshold and similarity > best:
                best, found = similarity, name
        return found

    def _prefix(self, shingles: frozenset[str]) -> list[str]:
        # Prefix filtering holds for any one order of the shingles; that of their hashes puts no common one first.
        kept = len(shingles) - math.ceil(self._threshold * len(shingles) - 1e-9) + 1
        return sorted(shingles, key=lambda shingle: (zlib.crc32(shingle.encode(errors="replace")), shingle))[:kept]


def _near_pairs(left: Sequence[str], right: Sequence[str], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Yield (index in left, index in right, similarity) of all pairs that reach the threshold.

    Prefix filtering (Chaudhuri, Ganti & Kaushik 2006): with shingles in one order, rarest first, two sets of similarity
    t share one among the first |x| - ⌈t|x|⌉ + 1 of each. Only pairs that do are compared.
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold must be above 0 and at most 1, not {threshold}")
    left_sets, right_sets = [_shingles(text) for text in left], [_shingles(text) for text in right]
    frequency = Counter(shingle for shingles in (*left_sets, *right_sets) for shingle in shingles)

    def prefix(shingles: frozenset[str]) -> list[str]:
        # The small number keeps rounding from making the prefix one too short.
        kept = len(shingles) - math.ceil(threshold * len(shingles) - 1e-9) + 1
        return sorted(shingles, key=lambda shingle: (frequency[shingle], shingle))[:kept]

    index: dict[str, list[int]] = {}
    for i, shingles in enumerate(left_sets):
        for shingle in prefix(shingles):
            index.setdefault(shingle, []).append(i)
    for j, shingles in enumerate(right_sets):
        for i in sorted({i for shingle in prefix(shingles) for i in index.get(shingle, ())}):
            common = len(left_sets[i] & shingles)
            similarity = common / (len(left_sets[i]) + len(shingles) - common)
            if similarity >= threshold:
                yield i, j, similarity


def _shingles(text: str) -> frozenset[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(character if character.isalnum() else " " for character in folded).split()
    normal = " ".join(words) or folded
    return frozenset(normal[at : at + SHINGLE] for at in range(max(1, len(normal) - SHINGLE + 1)))
