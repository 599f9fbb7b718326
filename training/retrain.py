"""Retraining: judged queries in, proven query-encoder versions out, and one release that serves them.

The story: give every judged query its part; train each encoder's query side in turn against the frozen document
vectors; let the referee compare it, alone, with the served one on queries that took part in nothing; register it with
the verdict; then learn the fusion of the promoted ones anew on queries that decide nothing, let the same referee judge
it, check that the whole is no worse, and publish once. A run that was killed continues: versions that exist are not
trained again, and a training continues from its last checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluation.catalogue import Catalogue
from evaluation.verdict import PromotionRule, Verdict, guards_hold
from indexing.embedding import Progress
from indexing.fusion import Run
from indexing.home import Home, SpecmineError, remove_partials
from indexing.regeometry import content_with_points
from indexing.releases import Fusion, Release
from indexing.search import Searcher
from mining.ledger import Ledger
from training.composition import (
    ChosenFusion,
    CompositionSettings,
    RerankerVerdict,
    choose_fusion,
    fused_runs,
    judge_reranker,
)
from training.leakage import leakage_json
from training.publishing import publish_when_free
from training.referee import Bench, judge, verdict_json
from training.session import EncoderOutcome, Session, Sources, counts
from training.similarity import overlap
from training.slices import slice_queries
from training.splits import split_queries
from training.targets import examples_of
from training.train_settings import TrainSettings


@dataclass(frozen=True)
class CompositionOutcome:
    """What became of the composition. ``fusion`` and ``release`` are verdicts on "fusion" runs, None where the same.

    ``learned`` is None where no query was there to choose the fusion with.
    """

    chosen: Fusion
    learned: ChosenFusion | None
    fusion: Verdict | None
    reranker: RerankerVerdict | None
    release: Verdict | None
    reason: str


@dataclass(frozen=True)
class RetrainReport:
    """What a retraining did. ``published`` is the id of the new release, None when nothing was better."""

    outcomes: tuple[EncoderOutcome, ...]
    composition: CompositionOutcome
    published: str | None
    queries: dict[str, Any]
    leakage: dict[str, Any]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the report with the keys other programs rely on; the histograms are in the versions' manifests."""
        composition = self.composition
        reranker = composition.reranker
        return {
            "versions": [_outcome_json(outcome) for outcome in self.outcomes],
            "release": self.published,
            "composition": {
                "method": composition.chosen.method,
                "weights": composition.chosen.weights,
                "learned": composition.learned.as_json() if composition.learned else None,
                "fusion": verdict_json(composition.fusion) if composition.fusion else None,
                "reranker": reranker and {"name": str(reranker.use), "reason": reranker.reason},
                "release": verdict_json(composition.release) if composition.release else None,
                "reason": composition.reason,
            },
            "queries": self.queries,
            "leakage": self.leakage,
            "seconds": round(self.seconds, 2),
        }


def retrain(
    searcher: Searcher,
    catalogue: Catalogue,
    ledger: Ledger | None,
    settings: TrainSettings,
    composition: CompositionSettings,
    rule: PromotionRule,
    progress: Progress | None = None,
    synthetic: bool = False,
    encoders: Sequence[str] = (),
) -> RetrainReport:
    """Train every query encoder of the searcher's release, or those named, and publish what is proven better.

    ``ledger`` gives mined negatives and masks; losses over the whole corpus do without. With ``synthetic`` generated
    queries train too. Raises SpecmineError when there are no queries to train or decide with, when another retraining
    runs, and when the served release was changed by somebody else meanwhile (the versions are kept then, and the next
    run takes them up).
    """
    started = time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    home, needs_ledger = searcher.home, settings.needs_ledger
    if needs_ledger and ledger is None:
        raise SpecmineError(f"loss {settings.system!r} needs mined negatives: run `specmine mine` first")
    with Home(home.encoders).exclusive():
        for folder in home.encoders.iterdir():
            remove_partials(folder, below=False)
        splits = split_queries(searcher, catalogue, synthetic, composition.development if composition.methods else 0.0)
        examples = examples_of(splits, searcher.chunks.values(), ledger, needs_ledger)
        if not examples.examples:
            raise SpecmineError(
                f"none of the {len(splits.train)} training queries has a judged passage in this index and a negative: "
                "ingest the judged documents, import judgements for what is indexed, or mine again"
            )
        tell("sorting the held-out queries", 0, 1)
        slices = slice_queries(splits.verdict, splits, searcher.chunks)
        tell("sorting the held-out queries", 1, 1)
        session = Session(searcher, ledger, settings, rule, splits, examples, tell, slices)
        outcomes, sources = session.train_all(encoders)
        chosen, release = _compose(searcher, outcomes, sources, session.bench, composition, rule, tell)
        published = _publish(searcher, release, tell) if release else None
    return RetrainReport(
        outcomes=tuple(outcomes),
        composition=chosen,
        published=published.id if published else None,
        queries=counts(splits, examples),
        leakage=leakage_json(splits),
        seconds=time.monotonic() - started,
    )


def _compose(
    searcher: Searcher,
    outcomes: list[EncoderOutcome],
    sources: Sources,
    bench: Bench,
    settings: CompositionSettings,
    rule: PromotionRule,
    tell: Progress,
) -> tuple[CompositionOutcome, Release | None]:
    """Put the promoted encoders together. Returns the release to publish, None when nothing is better."""
    release = searcher.release
    promoted = {
        outcome.version.encoder: outcome.version.id
        for outcome in outcomes
        if outcome.verdict.promoted and release.encoders[outcome.version.encoder] != outcome.version.id
    }
    tell("choosing the fusion", 0, 1)
    tuned, learned = release.fusion, None
    choosing = "development" if bench.stopping is None else "stopping"
    if settings.methods and choosing in bench.parts:
        found: dict[str, Run] = {name: runs[choosing] for name, runs in sources.after.items()}
        learned = choose_fusion(found, bench.parts[choosing], release.fusion, settings, rule)
        tuned = learned.fusion
    served_runs = fused_runs(sources.before, release.fusion)
    fused = fused_runs(sources.after, release.fusion)
    fusion, fusion_verdict = release.fusion, None
    if tuned != release.fusion:
        tuned_runs = fused_runs(sources.after, tuned)
        fusion_verdict = judge(fused, tuned_runs, bench, rule)
        if fusion_verdict.promoted:
            fusion, fused = tuned, tuned_runs
    tell("choosing the fusion", 1, 1)
    reranker = judge_reranker(searcher, fused["verdict"], bench.verdict, settings, rule, tell)
    entered = release.reranker
    if reranker is not None and reranker.verdict is not None:
        # What is served was proven when it came in: it stays unless it does harm now.
        stays = entered is not None and reranker.verdict.difference >= 0
        entered = reranker.use if stays or reranker.verdict.promoted else None

    changes = [f"{name} {version}" for name, version in promoted.items()]
    changes += [f"fusion by {fusion.method}"] if fusion != release.fusion else []
    changes += [f"re-ranker {entered or 'none'}"] if entered != release.reranker else []
    whole = judge(served_runs, fused, bench, rule) if promoted or fusion != release.fusion else None
    if not changes:
        return CompositionOutcome(
            fusion, learned, fusion_verdict, reranker, None, "nothing is better than what is served"
        ), None
    if whole is not None and not _is_no_worse(whole, rule):
        reason = f"parts are better, but the release as a whole would not be: {whole.reason}"
        return CompositionOutcome(release.fusion, learned, fusion_verdict, reranker, whole, reason), None
    note = f"retrain: {', '.join(changes)}"
    geometry = {**release.geometry}
    for outcome in outcomes:
        if outcome.version.encoder in promoted:
            geometry[outcome.version.encoder] = outcome.version.searched_by
    proposed = replace(
        release,
        encoders={**release.encoders, **promoted},
        geometry={name: found for name, found in geometry.items() if found.has_points},
        fusion=fusion,
        reranker=entered,
        note=note,
    )
    return CompositionOutcome(fusion, learned, fusion_verdict, reranker, whole, note), proposed


def _is_no_worse(verdict: Verdict, rule: PromotionRule) -> bool:
    return verdict.difference >= 0 and guards_hold(verdict.guards, rule)


def _publish(searcher: Searcher, proposed: Release, tell: Progress) -> Release:
    """Publish what is proposed, with a content that holds the points by which its encoders are searched."""

    def with_points(now: Release) -> int:
        return content_with_points(searcher.home, searcher.settings, now, proposed.geometry, tell)

    return publish_when_free(searcher.home, searcher.release, proposed, with_points)


def _outcome_json(outcome: EncoderOutcome) -> dict[str, Any]:
    version = outcome.version
    return {
        "encoder": version.encoder,
        "version": version.id,
        "loss": version.loss,
        **verdict_json(outcome.verdict),
        "verdict": "promoted" if outcome.verdict.promoted else "kept",
        "trained": outcome.trained,
        "document_checksum": {"before": outcome.checksums[0], "after": outcome.checksums[1]},
        "warnings": list(version.training.get("worries", ())),
        "wall_seconds": version.training.get("wall_seconds"),
        "peak_mb": version.training.get("peak_mb"),
        "overlap": {when: overlap(histogram) for when, histogram in version.histograms.items()},
    }
