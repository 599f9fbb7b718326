"""The cross-encoder is asked: per language first on a sample, to see whether it can be believed, then on the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from chunking.document import Chunk
from chunking.language import language
from indexing.home import Home
from mining.agreement import Agreement, choose_sample, measure_agreement, measure_reviewed
from mining.calibration import calibrate
from mining.candidates import Candidate, Case
from mining.pair_scores import Judge, PairScores

if TYPE_CHECKING:
    from mining.settings import MineSettings

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and the total."""

# A judged section may be cut into many chunks; the best of the few that the ensemble ranks highest speaks for it.
_POSITIVES = 3


def score_candidates(
    cases: Sequence[Case], judge: Judge | None, settings: MineSettings, home: Home, tell: Progress
) -> dict[str, Agreement]:
    """Score the judged passages and the hardest open candidates of each query, and say whether the scores count.

    Each language of the queries is measured and believed, or not, by itself, and has its entry. Candidates that cannot
    be judged, or whose scores are not believed, get the reason in ``without_cross``; the others are calibrated.
    """
    names = sorted({case.language for case in cases})
    if judge is None:
        return {name: _distrust_all(_of(cases, name), "none is configured") for name in names}
    scores = PairScores(home, judge)
    agreements: dict[str, Agreement] = {}
    for name in names:
        of_language = _of(cases, name)
        readable = [case for case in of_language if _can_judge(judge, case)]
        unreadable = [case for case in of_language if not _can_judge(judge, case)]
        agreement = _distrust_all(unreadable, "it cannot judge the language of this query")
        if readable:
            agreement = _score_language(readable, judge, scores, settings, tell)
        agreements[name] = agreement
    return agreements


def passage_text(chunk: Chunk) -> str:
    """Return what the cross-encoder reads of a chunk: what the encoders read, title and section path included.

    Measured on 80 queries over 14 RFCs (ms-marco-MiniLM-L12): an agreement of .63, and of .58 on the bare text.
    """
    return chunk.encoder_text or chunk.text


def _score_language(
    cases: Sequence[Case], judge: Judge, scores: PairScores, settings: MineSettings, tell: Progress
) -> Agreement:
    sample = choose_sample(cases, settings.agreement_sample, settings.seed)
    _score(sample, judge, scores, settings, partial(tell, "cross-encoder on a sample"))
    agreement = measure_agreement(sample, settings.minimum_agreement)
    if agreement.distrust:
        _distrust_all(cases, agreement.distrust)
        return agreement
    sampled = {case.query for case in sample}
    rest = [case for case in cases if case.query not in sampled]
    _score(rest, judge, scores, settings, partial(tell, "cross-encoder"))
    return replace(agreement, calibration=calibrate(cases, settings.seed), reviewed=measure_reviewed(cases))


def _of(cases: Sequence[Case], name: str) -> list[Case]:
    return [case for case in cases if case.language == name]


def _can_judge(judge: Judge, case: Case) -> bool:
    return judge.judges(case.language) and any(judge.judges(language(p.text)) for p in case.positives[:_POSITIVES])


def _distrust_all(cases: Sequence[Case], why: str) -> Agreement:
    for case in cases:
        for candidate in case.open():
            candidate.without_cross = f"cross-encoder not used: {why}"
            candidate.over_budget = False
    return Agreement(None, 0, 0, why)


def _score(
    cases: Sequence[Case], judge: Judge, scores: PairScores, settings: MineSettings, tell: Callable[[int, int], None]
) -> None:
    asked: list[tuple[Case, list[Chunk], list[Candidate]]] = []
    for case in cases:
        votes = zip(case.positives[:_POSITIVES], case.positive_votes[:_POSITIVES], strict=True)
        readable = [(chunk, vote) for chunk, vote in votes if judge.judges(language(chunk.text))]
        case.positive_cross_ranks = [vote[0] if vote else None for _, vote in readable]
        candidates = _shortlist(case, judge, settings.cross_budget) + _reviewed(case, judge)
        if "learned" in settings.filters:
            candidates += _judged(case, judge, settings.cross_budget)
        asked.append((case, [chunk for chunk, _ in readable], candidates))
    pairs = [
        (case.text, passage_text(chunk))
        for case, positives, candidates in asked
        for chunk in (*positives, *(candidate.chunk for candidate in candidates))
    ]
    logits = iter(scores.score(pairs, tell))
    for case, positives, candidates in asked:
        case.positive_cross = [next(logits) for _ in positives]
        for candidate in candidates:
            candidate.cross = next(logits)


def _shortlist(case: Case, judge: Judge, budget: int) -> list[Candidate]:
    hard = [candidate for candidate in case.open() if not candidate.drawn]
    readable = []
    for candidate in sorted(hard, key=lambda c: (-(c.ensemble or 0.0), c.chunk.id)):
        if judge.judges(language(candidate.chunk.text)):
            readable.append(candidate)
        else:
            candidate.without_cross = "cross-encoder not used: it cannot judge the language of this passage"
    for candidate in readable[budget:]:
        candidate.over_budget = True
    return readable[:budget]


def _judged(case: Case, judge: Judge, budget: int) -> list[Candidate]:
    """What is judged and was found: scored to learn what answers look like."""
    judged = {chunk.id for chunk in case.positives}
    found = [candidate for candidate in case.candidates if candidate.chunk.id in judged and not candidate.drawn]
    readable = [candidate for candidate in found if judge.judges(language(candidate.chunk.text))]
    return sorted(readable, key=lambda c: (-(c.ensemble or 0.0), c.chunk.id))[:budget]


def _reviewed(case: Case, judge: Judge) -> list[Candidate]:
    """What people decided about: scored to see whether the cross-encoder agrees with them."""
    decided = [candidate for candidate in case.candidates if candidate.reviewer is not None]
    return [candidate for candidate in decided if judge.judges(language(candidate.chunk.text))]
