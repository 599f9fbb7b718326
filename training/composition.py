"""How a release puts its sources together: the fusion's method and weights, and whether a re-ranker takes part."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from chunking.language import language
from evaluation.verdict import PromotionRule, Verdict
from indexing.embedding import Progress
from indexing.fusion import FUSIONS, Run, fuse
from indexing.releases import Fusion, Reranker
from indexing.search import Searcher
from mining.fusion_weights import GAIN, LearnedFusion, learn_fusion
from training.referee import Bench, BenchRuns, judge
from training.splits import FEWEST, HeldOut


@dataclass(frozen=True)
class CompositionSettings:
    """What compositions are tried: every one of ``methods`` with weights of ``weights`` for each source.

    Without a split that stops the training the share ``development`` of the training queries is set aside to choose
    with (``training.splits``). Without methods the fusion stays, and nothing is set aside. The re-ranker is judged on
    at most ``reranker_queries`` of the verdict's queries (0: never) and for at most ``reranker_seconds``.
    """

    methods: tuple[str, ...] = ("soft", "rrf")
    weights: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 3.0)
    development: float = 0.1
    reranker_queries: int = 150
    reranker_seconds: float = 300.0

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in FUSIONS:
                raise ValueError(f"unknown fusion {name!r}; known are: {', '.join(FUSIONS)}")
        if not all(0.0 <= weight < float("inf") for weight in self.weights):
            raise ValueError(f"weights of a fusion must be 0 or above, not {self.weights}")
        if not 0.0 <= self.development <= 0.5:
            raise ValueError(f"development is a share of the training queries, 0 to 0.5, not {self.development}")
        if self.reranker_queries < 0 or not self.reranker_seconds > 0:
            raise ValueError("reranker_queries must be 0 or above and reranker_seconds above 0")


def fused_runs(sources: Mapping[str, BenchRuns], fusion: Fusion) -> BenchRuns:
    """Fuse the sources' runs on every part of the bench; queries keep their place when nothing was found."""
    fused: BenchRuns = {}
    for part in next(iter(sources.values())):
        runs = {name: source[part] for name, source in sources.items()}
        found = fuse(fusion.method, runs, fusion.weights)
        fused[part] = {query: found.get(query, {}) for run in runs.values() for query in run}
    return fused


@dataclass(frozen=True)
class ChosenFusion:
    """The fusion that was chosen, and what was ``learned`` on the queries of the split ``on``.

    ``fusion`` is the served one where what was learned is no better on those of the queries that took no part in it.
    """

    fusion: Fusion
    learned: LearnedFusion
    on: str
    queries: int

    def as_json(self) -> dict[str, Any]:
        """Return what was learned as JSON-able values."""
        learned = self.learned
        return {
            "split": self.on,
            "queries": self.queries,
            "method": learned.fusion.method,
            "weights": learned.fusion.weights,
            "before": learned.before,
            "after": learned.chosen,
            "held_out": learned.held_out,
        }


def choose_fusion(
    sources: Mapping[str, Run], held_out: HeldOut, served: Fusion, settings: CompositionSettings, rule: PromotionRule
) -> ChosenFusion:
    """Choose the best fusion of the sources' runs on held-out queries that decide nothing else here."""
    learned = learn_fusion(
        sources, held_out.projection, held_out.groups, served, settings.methods, settings.weights, rule.measure
    )
    unproven = learned.held_out is not None and learned.held_out <= learned.before + GAIN
    return ChosenFusion(served if unproven else learned.fusion, learned, held_out.name, len(held_out.texts))


@dataclass(frozen=True)
class RerankerVerdict:
    """Whether a re-ranker pays; ``verdict`` is None where it was not judged, and ``reason`` says why."""

    use: Reranker
    verdict: Verdict | None
    reason: str


def judge_reranker(
    searcher: Searcher,
    fused: Run,
    held_out: HeldOut,
    settings: CompositionSettings,
    rule: PromotionRule,
    progress: Progress,
) -> RerankerVerdict | None:
    """Compare the fused run of the verdict queries with its re-ranked form, on a sample and within a time.

    The re-ranker is the release's, or the configured cross-encoder as published. Returns None when there is neither, or
    none is to be judged.
    """
    spec = searcher.settings.cross_encoder
    use = searcher.release.reranker or (Reranker(spec.name) if spec else None)
    if use is None or not settings.reranker_queries:
        return None
    trial = searcher.opened_as(replace(searcher.release, reranker=use))
    cross = trial.reranker
    if cross is None:
        return None
    sample = held_out.by_lot()[: settings.reranker_queries]  # time may not be enough for all of them
    spoken, _ = Counter(language(held_out.texts[query]) for query in sample).most_common(1)[0]
    if not cross.judges(spoken) or (use.languages is not None and spoken not in use.languages):
        return RerankerVerdict(use, None, f"it cannot judge {spoken!r}, the language of most queries")
    started = time.monotonic()
    reranked: Run = {}
    for number, query in enumerate(sample, start=1):
        if time.monotonic() - started > settings.reranker_seconds:
            break
        reranked[query] = trial.rerank(held_out.texts[query], fused[query], seconds=None)
        progress(f"judging re-ranker {use}", number, len(sample))
    if len(reranked) < FEWEST:
        seconds = time.monotonic() - started
        return RerankerVerdict(use, None, f"only {len(reranked)} queries were re-ranked in {seconds:.0f} s")
    part = held_out.only(set(reranked))
    verdict = judge({"verdict": fused}, {"verdict": reranked}, Bench(part, part), rule)
    return RerankerVerdict(use, verdict, verdict.reason)
