"""What reviewers decided, in the catalogue: nothing is forgotten, the last counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from evaluation import tables
from evaluation.database import Database
from evaluation.judgements import Judgement, check_text
from evaluation.rows import as_iso


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer said of a passage (span of a document) for a query; the words belong to the mining room."""

    time: str
    query: str
    document: str
    start: int
    end: int
    verdict: str
    reviewer: str


class Decisions(Database):
    """The decisions about passages."""

    def record_decision(self, query: str, document: str, start: int, end: int, verdict: str, reviewer: str) -> Decision:
        """Record what a reviewer decided about a passage: it counts from now on, what was decided before is history.

        Raises ``ValueError`` for an impossible span or an empty text.
        """
        Judgement(query, document, 0, start, end)  # checks the passage
        check_text("verdict", verdict, 64)
        check_text("reviewer", reviewer, 200)
        decision = Decision(as_iso(datetime.now(UTC)), query, document, start, end, verdict, reviewer)
        with self.write() as connection:
            values = {name: getattr(decision, name) for name in Decision.__slots__}
            connection.execute(sa.insert(tables.decisions).values(values))
        return decision

    def decisions(self) -> list[Decision]:
        """Return the decision in force for every passage that was reviewed, oldest first."""
        latest: dict[tuple[str, str, int, int], Decision] = {}
        for decision in self.decision_history():
            passage = (decision.query, decision.document, decision.start, decision.end)
            latest.pop(passage, None)
            latest[passage] = decision
        return list(latest.values())

    def decision_history(self) -> list[Decision]:
        """Return every decision ever recorded, oldest first."""
        fields = [column for column in tables.decisions.c if column.name != "id"]
        with self.read() as connection:
            rows = connection.execute(sa.select(*fields).order_by(tables.decisions.c.id)).mappings()
            return [Decision(**row) for row in rows]
