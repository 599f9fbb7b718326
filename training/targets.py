"""What each training query is drawn to and pushed from: rows of the document matrix, from judgements and a ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from chunking.document import Chunk
from evaluation.judgements import Judgement, Query
from evaluation.projection import Projection
from mining.ledger import (
    BORDERLINE,
    DUPLICATE,
    FALSE_NEGATIVE,
    KEPT,
    PROPOSED_POSITIVE,
    RANDOM,
    RELEVANT,
    Ledger,
)
from training.batch import Masks
from training.splits import Splits

# What a ledger holds for no negative: what may be a true answer, and repetitions of a judged passage. A proposed
# positive teaches nothing either way until somebody confirms it. What a rule calls borderline is no mined negative, but
# against the whole corpus it counts like any unjudged passage: it is mostly a wrong one, and without it the hardest
# passages of all would teach nothing. What a person could not decide counts for nothing.
_NO_NEGATIVE = frozenset({FALSE_NEGATIVE, PROPOSED_POSITIVE, DUPLICATE})
_NEGATIVE = frozenset({KEPT, RANDOM})


@dataclass(frozen=True)
class Example:
    """One training query. The arrays are sorted int64 rows of the document matrix.

    ``positives`` are its judged passages and what the ledger calls relevant, ``masked`` (without them) what must not
    count against it, ``ledger`` its mined negatives. ``taught`` are the positives and negatives that the ledger has a
    cross-encoder's score of, and ``logits`` (same length) float32 these scores; every positive has that of the best.
    """

    query: str
    text: str
    positives: np.ndarray
    masked: np.ndarray
    ledger: np.ndarray
    taught: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    logits: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


@dataclass(frozen=True)
class Examples:
    """``examples`` in order of query id; the counts tell what was left out and why.

    ``without_passage`` queries have no judged passage in this index, ``without_negative`` have none to be trained
    with; ``lost_rows`` of the ledger name chunks that this index does not have.
    """

    examples: tuple[Example, ...]
    without_passage: int
    without_negative: int
    lost_rows: int


def examples_of(splits: Splits, chunks: Collection[Chunk], ledger: Ledger | None, needs_ledger: bool) -> Examples:
    """Return the examples of all training queries, as ``build_examples`` makes them."""
    parts = splits.train, splits.train_judgements, splits.train_projection
    return build_examples(*parts, chunks, ledger, needs_ledger)


def build_examples(
    queries: Sequence[Query],
    judgements: Iterable[Judgement],
    projection: Projection,
    chunks: Collection[Chunk],
    ledger: Ledger | None,
    needs_ledger: bool,
) -> Examples:
    """Return the training examples of ``queries``; ``chunks`` are in the order of the document matrix.

    The chunks are gone through once, and no text is kept.

    Masked are the siblings of every positive (same section, or in a document without sections its neighbours), what
    overlaps a judged span, what has the same text as a positive, and what the ledger found to be a false negative or
    a duplicate or proposes as a positive, or a person left undecided. What the ledger calls relevant is a positive of
    a query that has a judged one; a person's word that a sibling is a negative wins. With ``needs_ledger``,
    queries without mined negatives are left out.
    """
    kin = _Kin(chunks)
    rows = kin.rows
    spans: dict[str, list[tuple[str, int, int]]] = {}
    for judgement in judgements:
        if judgement.grade > 0 and judgement.start is not None and judgement.end is not None:
            spans.setdefault(judgement.query, []).append((judgement.document, judgement.start, judgement.end))
    found = _read_rows(ledger, rows)
    examples: list[Example] = []
    without_passage = without_negative = 0
    for query in sorted(queries, key=lambda query: query.id):
        positives = {rows[chunk] for chunk in projection.positives(query.id)}
        if not positives:
            without_passage += 1
            continue
        positives |= found.relevant.get(query.id, set())
        masked = set().union(*(kin.of(row) for row in positives))
        masked = masked.union(*(kin.overlapping(*span) for span in spans.get(query.id, ())))
        masked = (masked - found.confirmed.get(query.id, set()) | found.undecided.get(query.id, set())) - positives
        negatives = found.negatives.get(query.id, set()) - masked - positives
        if len(positives) + len(masked) == len(chunks) or (needs_ledger and not negatives):
            without_negative += 1
            continue
        logits = dict(sorted(found.logits_of(query.id, positives, negatives).items()))
        examples.append(
            Example(
                query.id,
                query.text,
                _rows(positives),
                _rows(masked),
                _rows(negatives),
                np.asarray(list(logits), dtype=np.int64),
                np.asarray(list(logits.values()), dtype=np.float32),
            )
        )
    return Examples(tuple(examples), without_passage, without_negative, found.lost)


def masks_of(batch: Sequence[Example], documents: int) -> Masks:
    """Return the masks of a batch over ``documents`` rows."""
    positives = np.zeros((len(batch), documents), dtype=bool)
    negatives = np.ones((len(batch), documents), dtype=bool)
    ledger = np.zeros((len(batch), documents), dtype=bool)
    for place, example in enumerate(batch):
        positives[place, example.positives] = True
        negatives[place, example.positives] = False
        negatives[place, example.masked] = False
        ledger[place, example.ledger] = True
    return Masks(torch.from_numpy(positives), torch.from_numpy(negatives), torch.from_numpy(ledger))


def teacher_of(batch: Sequence[Example], documents: int) -> Tensor:
    """Return the cross-encoder's logits of a batch, (B, N) float32, not a number where it was not asked."""
    logits = np.full((len(batch), documents), np.nan, dtype=np.float32)
    for place, example in enumerate(batch):
        logits[place, example.taught] = example.logits
    return torch.from_numpy(logits)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a chunk stands: document and section, ordinal, span; and the hash of its text."""

    section: tuple[str, tuple[str, ...]]
    ordinal: int
    start: int
    end: int
    text: bytes


class _Kin:
    """Which chunks are siblings or repetitions of which: the rules of ``mining.filters_judged``, for a whole index.

    ``rows`` maps a chunk's id to its row.
    """

    def __init__(self, chunks: Iterable[Chunk]) -> None:
        self.rows: dict[str, int] = {}
        self._places: list[_Place] = []
        self._sections: dict[tuple[str, tuple[str, ...]], list[int]] = {}
        self._documents: dict[str, list[int]] = {}
        self._texts: dict[bytes, list[int]] = {}
        for row, chunk in enumerate(chunks):
            place = _Place((chunk.document, chunk.section), chunk.ordinal, chunk.start, chunk.end, _folded(chunk.text))
            self.rows[chunk.id] = row
            self._places.append(place)
            self._sections.setdefault(place.section, []).append(row)
            self._documents.setdefault(chunk.document, []).append(row)
            self._texts.setdefault(place.text, []).append(row)

    def of(self, row: int) -> set[int]:
        """Return the rows of a chunk's siblings and of those with its text, and its own."""
        place = self._places[row]
        siblings = self._sections[place.section]
        _, path = place.section
        if not path:
            siblings = [other for other in siblings if abs(self._places[other].ordinal - place.ordinal) <= 1]
        return {*siblings, *self._texts[place.text]}

    def overlapping(self, document: str, start: int, end: int) -> set[int]:
        """Return the rows of a document's chunks that share a character with a span."""
        return {
            row
            for row in self._documents.get(document, ())
            if self._places[row].start < end and start < self._places[row].end
        }


@dataclass
class _LedgerRows:
    """A ledger by query and row: what is relevant, what must not be a negative, what is one, what a person said is one,
    the cross-encoder's logits of all these and of the best judged passage; rows lost."""

    relevant: dict[str, set[int]] = field(default_factory=dict)
    undecided: dict[str, set[int]] = field(default_factory=dict)
    negatives: dict[str, set[int]] = field(default_factory=dict)
    confirmed: dict[str, set[int]] = field(default_factory=dict)
    logits: dict[str, dict[int, float]] = field(default_factory=dict)
    of_positive: dict[str, float] = field(default_factory=dict)
    lost: int = 0

    def logits_of(self, query: str, positives: set[int], negatives: set[int]) -> dict[int, float]:
        """Return the logit of each row; without that of a judged passage there is nothing to compare with."""
        if query not in self.of_positive:
            return {}
        own = dict.fromkeys(positives, self.of_positive[query])
        scored = self.logits.get(query, {})
        return own | {row: logit for row, logit in scored.items() if row in positives | negatives}


def _read_rows(ledger: Ledger | None, rows: Mapping[str, int]) -> _LedgerRows:
    found = _LedgerRows()
    for entry in ledger.rows if ledger else ():
        row = rows.get(entry.chunk)
        if row is None:
            found.lost += 1
            continue
        if entry.cross_score is not None:
            found.logits.setdefault(entry.query, {})[row] = entry.cross_score
        if entry.positive_cross_score is not None:
            found.of_positive[entry.query] = entry.positive_cross_score
        if entry.verdict == RELEVANT:
            found.relevant.setdefault(entry.query, set()).add(row)
        elif entry.verdict in _NO_NEGATIVE or (entry.verdict == BORDERLINE and entry.reviewer is not None):
            found.undecided.setdefault(entry.query, set()).add(row)
        elif entry.verdict in _NEGATIVE:
            found.negatives.setdefault(entry.query, set()).add(row)
            if entry.reviewer is not None:
                found.confirmed.setdefault(entry.query, set()).add(row)
    return found


def _folded(text: str) -> bytes:
    """Return a hash that texts share which differ in nothing but case and space."""
    folded = " ".join(text.casefold().split())
    return hashlib.blake2b(folded.encode(errors="replace"), digest_size=16).digest()


def _rows(rows: set[int]) -> np.ndarray:
    return np.asarray(sorted(rows), dtype=np.int64)
