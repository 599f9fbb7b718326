"""What people decided wins over every later run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from chunking.document import Chunk
from evaluation.catalogue import Decision
from mining.candidates import Case
from mining.ledger import DECISIONS

log = logging.getLogger(__name__)


def apply_decisions(case: Case, decisions: Sequence[Decision]) -> int:
    """Give the open candidates of a query the verdicts that people gave; return how many got one.

    ``decisions`` are those of this query, oldest first; where two meet the same passage the later one counts. A
    decision holds for a chunk that overlaps its span in at least half of the shorter of both, as judgements do, so it
    outlives re-chunking.
    """
    for decision in decisions:
        if decision.verdict not in DECISIONS:
            log.warning("ignoring the decision %r of %s: unknown verdict", decision.verdict, decision.reviewer)
    known = [decision for decision in reversed(decisions) if decision.verdict in DECISIONS]
    decided = 0
    for candidate in case.open():
        latest = next((decision for decision in known if _is_about(decision, candidate.chunk)), None)
        if latest is not None:
            candidate.verdict = latest.verdict
            candidate.reason = f"decided by {latest.reviewer} on {latest.time[:10]}"
            candidate.reviewer = latest.reviewer
            decided += 1
    return decided


def _is_about(decision: Decision, chunk: Chunk) -> bool:
    overlap = min(decision.end, chunk.end) - max(decision.start, chunk.start)
    shorter = min(decision.end - decision.start, chunk.end - chunk.start)
    return decision.document == chunk.document and overlap > 0 and 2 * overlap >= shorter
