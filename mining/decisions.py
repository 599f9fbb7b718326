"""What people decided wins over every later run, and makes training positives of what they found relevant."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from chunking.document import Chunk
from evaluation.catalogue import Catalogue
from evaluation.catalogue_decisions import Decision
from evaluation.judgements import Judgement
from mining.candidates import Case
from mining.ledger import DECISIONS, RELEVANT, LedgerRow

log = logging.getLogger(__name__)


def decisions_in_force(catalogue: Catalogue, renamed: Mapping[str, str]) -> list[Decision]:
    """Return the catalogue's decisions, oldest first, with the present names of documents (given by former name)."""
    return [
        replace(decision, document=renamed.get(decision.document, decision.document))
        for decision in catalogue.decisions()
    ]


def apply_decisions(case: Case, decisions: Sequence[Decision]) -> int:
    """Give the open candidates of a query the verdicts that people gave; return how many got one.

    ``decisions`` are those of this query, oldest first; where two meet the same passage the later one counts. A
    decision holds for a chunk that overlaps its span in at least half of the shorter of both, as judgements do, so it
    outlives re-chunking. Of a judged passage a person can only say that it is relevant.
    """
    positives = {chunk.id for chunk in case.positives}
    decided = 0
    for candidate in case.open():
        latest = latest_about(candidate.chunk, decisions)
        if latest is None or (candidate.chunk.id in positives and latest.verdict != RELEVANT):
            continue
        candidate.verdict = latest.verdict
        candidate.reason = f"decided by {latest.reviewer} on {latest.time[:10]}"
        candidate.reviewer = latest.reviewer
        decided += 1
    return decided


def latest_about(passage: Chunk | Decision, decisions: Sequence[Decision]) -> Decision | None:
    """Return the latest of one query's decisions (oldest first) that holds for a passage, None where none does."""
    about = (decision for decision in reversed(decisions) if decision.verdict in DECISIONS)
    return next((decision for decision in about if is_about(decision, passage)), None)


def confirmed_judgements(queries: Collection[str], decisions: Iterable[Decision]) -> list[Judgement]:
    """Return what people found relevant for ``queries`` (ids) as judgements of grade 1.

    Only training queries may be given: a held-out query is measured by its imported judgements alone. What a later
    decision about the same place contradicts is left out.
    """
    return [
        Judgement(decision.query, decision.document, 1, decision.start, decision.end)
        for of_query in by_query(decisions).values()
        for decision in of_query
        if decision.query in queries and decision.verdict == RELEVANT and latest_about(decision, of_query) is decision
    ]


def by_query(decisions: Iterable[Decision]) -> dict[str, list[Decision]]:
    """Return the decisions of each query, in their order."""
    of_query: dict[str, list[Decision]] = {}
    for decision in decisions:
        if decision.verdict not in DECISIONS:
            log.warning("ignoring the decision %r of %s: unknown verdict", decision.verdict, decision.reviewer)
        of_query.setdefault(decision.query, []).append(decision)
    return of_query


def is_about(decision: Decision, passage: Chunk | Decision | LedgerRow) -> bool:
    """Whether a decision holds for a passage: both share at least half of the shorter one."""
    overlap = min(decision.end, passage.end) - max(decision.start, passage.start)
    shorter = min(decision.end - decision.start, passage.end - passage.start)
    return decision.document == passage.document and overlap > 0 and 2 * overlap >= shorter
