"""The mining stage: judged queries in, a ledger of negatives out.

Search with every source, set aside what is judged or adjoins it, ask the cross-encoder about the hardest, keep the best
of what passes, add an exact share of random ones, and write everything down with its verdict and the reason.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

from evaluation.catalogue_decisions import Decision
from evaluation.judgements import Query
from evaluation.projection import Projection
from indexing.fusion import Run
from indexing.generations import fingerprint_of
from indexing.home import Home, SpecmineError
from mining.agreement import Agreement
from mining.candidates import Candidate, Case, Retriever
from mining.decisions import apply_decisions, by_query
from mining.evidence import weigh
from mining.filters import ALWAYS, ASK_CROSS_ENCODER, FILTERS
from mining.findings import Filter
from mining.gathering import gather, key_of
from mining.learned import learn
from mining.ledger import FoundBy, LedgerQuery, LedgerRow, write_ledger
from mining.pair_scores import Judge
from mining.relabel import propose_positives
from mining.scoring import Progress, score_candidates
from mining.selection import select_hard, select_random
from mining.settings import MineSettings
from mining.unfinished import unfinished


@dataclass(frozen=True)
class MineReport:
    """What mining did. ``verdicts`` counts the ledger's rows and adds up to ``candidates``.

    ``skipped_queries`` have no judged passage in this index. ``removed`` maps each filter to its verdicts' counts,
    ``decided`` counts the rows that a person decided. ``random_missing`` is how many random negatives the share lacks
    because too few chunks were free to draw. ``agreement`` is how the cross-encoder was found to judge each
    language, None when no filter asks it.
    """

    ledger: str
    queries: int
    candidates: int
    verdicts: dict[str, int]
    seconds: float
    skipped_queries: int
    languages: dict[str, int]
    removed: dict[str, dict[str, int]]
    decided: int
    random_missing: int
    agreement: dict[str, Agreement] | None

    def as_json(self) -> dict[str, Any]:
        """Return the report with the keys other programs rely on."""
        return {**asdict(self), "seconds": round(self.seconds, 2)}


def mine(
    searcher: Retriever,
    queries: Sequence[Query],
    projection: Projection,
    cross_encoder: Judge | None,
    settings: MineSettings,
    home: Home,
    decisions: Sequence[Decision] = (),
    progress: Progress | None = None,
    feedback: Run | None = None,
) -> MineReport:
    """Mine negatives for ``queries`` and write them to a new ledger.

    ``projection`` is that of their judgements, and of what people confirmed, onto the searcher's chunks; ``decisions``
    are the catalogue's, oldest first, and win over every rule but one: a judged passage is never a negative.
    ``feedback`` is what searchers passed over (``mining.feedback``). Raises SpecmineError when no query has a judged
    passage in this index, LockedHomeError while another process mines.

    A mining that was killed goes on where it ended when it is asked for again, and gives the same rows, byte for byte.
    """
    started = time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    texts = {query.id: query.text for query in queries if projection.positives(query.id)}
    if not texts:
        raise SpecmineError(
            f"none of the {len(queries)} queries has a judged passage in this index: "
            "ingest the judged documents, or import judgements for what is indexed"
        )
    key = key_of(searcher, texts, projection, settings, feedback)
    with unfinished(home, key, searcher.chunks) as kept, _collecting_seldom():
        cases = gather(
            searcher, texts, projection, settings, feedback, kept, lambda done: tell("searching", done, len(texts))
        )
        removed: dict[str, dict[str, int]] = {}
        of_query = by_query(decisions)
        decided = sum(apply_decisions(case, of_query.get(case.query, [])) for case in cases)
        removed["judged_passages"] = _apply(ALWAYS["judged_passages"], cases, settings)
        removed["siblings"] = _apply(ALWAYS["siblings"], cases, settings)
        agreement: dict[str, Agreement] | None = None
        for name in settings.filters:
            if name in ASK_CROSS_ENCODER and agreement is None:
                agreement = score_candidates(cases, cross_encoder, settings, home, tell)
            if name == "evidence":
                weigh(cases, settings)
            if name == "learned":
                learn(cases, settings)
            removed[name] = _apply(FILTERS[name], cases, settings)
        for case in cases:
            propose_positives(case, settings)
            select_hard(case, settings)
        random_missing = select_random(cases, settings)

        rows = [_row(case, candidate) for case in cases for candidate in case.candidates]
        report = MineReport(
            ledger="",
            queries=len(cases),
            candidates=len(rows),
            verdicts=dict(sorted(Counter(row.verdict for row in rows).items())),
            seconds=0.0,
            skipped_queries=len(queries) - len(cases),
            languages=dict(sorted(Counter(case.language for case in cases).items())),
            removed=removed,
            decided=decided,
            random_missing=random_missing,
            agreement=agreement,
        )
        asked = [
            LedgerQuery(case.query, case.text, case.language, tuple(chunk.id for chunk in case.positives))
            for case in cases
        ]
        manifest = _manifest(searcher, cross_encoder, settings, home, report, asked, decisions, feedback)
        ledger = write_ledger(home, rows, manifest, asked)
    return replace(report, ledger=ledger, seconds=time.monotonic() - started)


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Let the garbage collector look less often: candidates are many and none is in a cycle.

    By its usual thresholds it took a third of the processor's time around the models (measured on 600 queries).
    """
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 50, 50)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _apply(rule: Filter, cases: Sequence[Case], settings: MineSettings) -> dict[str, int]:
    """Give the filter's verdicts to the candidates it rejects, and return how many got which."""
    counts: Counter[str] = Counter()
    for case in cases:
        findings = rule(case, settings)
        for candidate in case.open():
            finding = findings.get(candidate.chunk.id)
            if finding is not None:
                candidate.verdict, candidate.reason = finding
                counts[finding.verdict] += 1
    return dict(sorted(counts.items()))


def _row(case: Case, candidate: Candidate) -> LedgerRow:
    if candidate.verdict is None:
        raise RuntimeError(f"candidate {candidate.chunk.id} of query {case.query} was left without a verdict")
    return LedgerRow(
        query=case.query,
        chunk=candidate.chunk.id,
        document=candidate.chunk.document,
        start=candidate.chunk.start,
        end=candidate.chunk.end,
        sources=tuple([FoundBy(name, *place) for name, place in candidate.found.items()]),
        ensemble_score=candidate.ensemble,
        cross_score=candidate.cross,
        positive_cross_score=max(case.positive_cross, default=None),
        verdict=candidate.verdict,
        reason=candidate.reason,
        reviewer=candidate.reviewer,
    )


def _manifest(
    searcher: Retriever,
    cross_encoder: Judge | None,
    settings: MineSettings,
    home: Home,
    report: MineReport,
    queries: Sequence[LedgerQuery],
    decisions: Sequence[Decision],
    feedback: Run | None,
) -> dict[str, Any]:
    """Return all that took part, so that the ledger can be explained and made again."""
    release = searcher.release
    cross = None
    if report.agreement is not None and cross_encoder is not None:
        cross = {"name": cross_encoder.spec.name, "fingerprint": cross_encoder.fingerprint}
    facts = report.as_json()
    return {
        "specmine": version("specmine"),
        "release": release.id,
        "generation": release.generation,
        "content": release.content,
        "fusion_weights": release.fusion.weights,
        "encoders": {
            encoder.spec.name: {
                "version": release.encoders[encoder.spec.name],
                "document_fingerprint": encoder.fingerprint,
            }
            for encoder in searcher.generation.encoders
        },
        "cross_encoder": cross,
        "settings": asdict(settings),
        "queries_fingerprint": fingerprint_of([asdict(query) for query in queries]),
        "decisions_fingerprint": fingerprint_of([asdict(decision) for decision in decisions]),
        "feedback_fingerprint": fingerprint_of(feedback) if feedback else None,
        "queries": report.queries,
        **{key: facts[key] for key in ("skipped_queries", "languages", "removed", "decided", "random_missing")},
        "agreement": facts["agreement"],
    }
