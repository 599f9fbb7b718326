"""What a person should look at, the most worthwhile first, and what their answers mean."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.catalogue import Catalogue
from evaluation.catalogue_decisions import Decision
from indexing.home import SpecmineError
from indexing.stores.store import BM25
from mining.decisions import is_about
from mining.filters_cross import relative_probability
from mining.ledger import BORDERLINE, DUPLICATE, KEPT, PROPOSED_POSITIVE, RELEVANT, Ledger, LedgerRow

ANSWERS = {"negative": KEPT, "relevant": RELEVANT, "duplicate": DUPLICATE, "unsure": BORDERLINE}
"""What a reviewer can say of a passage, and the verdict it becomes."""

_DOUBTFUL = frozenset({BORDERLINE, PROPOSED_POSITIVE, RELEVANT})


@dataclass(frozen=True)
class Doubtful:
    """A row that a person should decide.

    ``disagreement`` is 0 where the sources agree on the passage's rank and the cross-encoder is far from its bounds,
    and 1 at most. ``retrieved`` is for how many of the ledger's queries the passage was found.
    """

    row: LedgerRow
    disagreement: float
    retrieved: int

    @property
    def value(self) -> float:
        """What the decision is expected to be worth, beside those of other rows."""
        return self.disagreement * self.retrieved


def review_queue(ledger: Ledger, decisions: Sequence[Decision]) -> list[Doubtful]:
    """Return a ledger's doubtful rows that nobody has decided, by falling value.

    These are the borderline rows, the proposed positives, and those that a setting accepted. ``decisions`` are those
    in force; a decision that holds for a row's place, in whatever chunking, takes it from the queue.
    """
    decided: dict[str, list[Decision]] = {}
    for decision in decisions:
        decided.setdefault(decision.query, []).append(decision)
    retrieved = Counter(row.chunk for row in ledger.rows if any(source.name != "random" for source in row.sources))
    spread, nearness = _Spread(ledger), _Nearness(ledger)
    queue = [
        Doubtful(row, max(spread.of(row), nearness.of(row)), retrieved[row.chunk])
        for row in ledger.rows
        if row.verdict in _DOUBTFUL
        and row.reviewer is None
        and not any(is_about(decision, row) for decision in decided.get(row.query, ()))
    ]
    return sorted(queue, key=lambda entry: (-entry.value, entry.row.query, entry.row.chunk))


def decide(catalogue: Catalogue, ledger: Ledger, query: str, chunk: str, answer: str, reviewer: str) -> Decision:
    """Record what a reviewer says of a passage of a ledger; of what was said of it, the latest counts.

    Raises SpecmineError in one line for an unknown answer or passage, an empty name, or a passage that was judged.
    """
    if answer not in ANSWERS:
        raise SpecmineError(f"there is no verdict {answer!r}: choose {', '.join(ANSWERS)}")
    row = next((row for row in ledger.rows if (row.query, row.chunk) == (query, chunk)), None)
    if row is None:
        raise SpecmineError(
            f"ledger {ledger.id} has no passage {chunk!r} for query {query!r}: `specmine ledger show` names them"
        )
    judged = {positive for entry in ledger.queries if entry.id == query for positive in entry.positives}
    if chunk in judged and row.verdict != RELEVANT:
        raise SpecmineError(f"passage {chunk} is judged for query {query!r}: judgements are imported, not reviewed")
    try:
        return catalogue.record_decision(query, row.document, row.start, row.end, ANSWERS[answer], reviewer)
    except ValueError as error:
        raise SpecmineError(str(error)) from None


class _Spread:
    """How far apart the retrievers' ranks of a passage are, in the logarithm of the rank, from 0 to 1.

    The logarithm, because rank 1 and rank 10 differ by more than rank 101 and rank 110. A retriever that does not list
    a passage ranks it behind the deepest place that any ledger row has.
    """

    def __init__(self, ledger: Ledger) -> None:
        retrievers = {BM25, *ledger.manifest.get("encoders", {})}
        found = [source for row in ledger.rows for source in row.sources if source.name in retrievers]
        self._names = sorted({source.name for source in found})
        self._bottom = max((source.rank for source in found), default=0) + 1

    def of(self, row: LedgerRow) -> float:
        ranks = {source.name: source.rank for source in row.sources}
        places = [math.log(ranks.get(name, self._bottom)) / math.log(self._bottom) for name in self._names]
        return max(places) - min(places) if len(places) > 1 else 0.0


class _Nearness:
    """How near the cross-encoder's judgement is to one of the bounds of the borderline band: 1 on it, falling to 0.

    In the logarithm of the candidate's probability relative to the judged passage's; 0 is one width of the band away.
    Where the cross-encoder was not believed in the query's language, it says nothing.
    """

    def __init__(self, ledger: Ledger) -> None:
        settings = ledger.manifest.get("settings", {})
        low, high = settings.get("borderline", 0.0), settings.get("rho", 0.0)
        self._bounds = (math.log(low), math.log(high)) if 0 < low < high else None
        agreement = ledger.manifest.get("agreement") or {}
        trusted = {language for language, measured in agreement.items() if not measured["distrust"]}
        self._believed = {query.id for query in ledger.queries if query.language in trusted}

    def of(self, row: LedgerRow) -> float:
        if row.cross_score is None or row.positive_cross_score is None:
            return 0.0
        if self._bounds is None or row.query not in self._believed:
            return 0.0
        low, high = self._bounds
        ratio = math.log(max(relative_probability(row.cross_score, row.positive_cross_score), sys.float_info.min))
        return max(0.0, 1.0 - min(abs(ratio - low), abs(ratio - high)) / (high - low))
