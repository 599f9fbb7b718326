"""Retraining the re-ranker: a ledger in, a proven cross-encoder out and a release that serves it, or what was there.

The story: set some training queries aside; train the pretrained cross-encoder on groups of the others' lists; register
it; find on those set aside how its score is put together with the fused one and how many passages it reads; let the
referee compare, language by language, what is served with the same list re-ordered; publish where it is proven better.
A run that was killed continues: from the last checkpoint, with a version that exists, with the scores that are on disk.

What is trained here never judges negatives: mining asks the configured, pretrained cross-encoder
(``Searcher.cross_encoder``, which refuses a model that specmine trained).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evaluation.catalogue import Catalogue
from evaluation.verdict import Findings, PromotionRule, Verdict, decide_all
from indexing.embedding import Progress
from indexing.encoders.cross import CrossEncoder, load_cross_encoder
from indexing.fusion import Run
from indexing.generations import fingerprint_of
from indexing.home import Home, SpecmineError, remove_partials
from indexing.releases import BASE, Release, Reranker
from indexing.reranking import first, reranker_spec
from indexing.search import FUSION, Searcher
from indexing.specs import CrossEncoderSpec
from mining.ledger import Ledger
from training.code_version import code_version
from training.publishing import publish_when_free
from training.referee import DEPTH, Bench, find_on, verdict_json
from training.reranker_combination import (
    DEPTHS,
    Chosen,
    choose_combination,
    reordered_run,
    score_heads,
    seconds_for_pair,
)
from training.reranker_data import PlacedTexts, by_language, set_aside
from training.reranker_heads import in_heads
from training.reranker_settings import LEDGER, RerankerSettings
from training.reranker_training import train_reranker
from training.reranker_versions import RerankerVersion, list_rerankers, read_reranker, register, write_outcome
from training.session import counts, examples_hash
from training.slices import slice_queries
from training.splits import FEWEST, Splits, part_of, split_queries
from training.targets import Example, Examples, examples_of

# Bump when the loop makes other weights of the same settings and data.
_TRAINING_VERSION = 1
_SEARCHED_AT_ONCE = 256


@dataclass(frozen=True)
class RerankerReport:
    """What a retraining of the re-ranker did. ``published`` is the id of the new release, None when nothing was better.

    ``use`` is what was chosen, in the languages that it was proven in. ``verdicts`` maps each language of the verdict
    queries to the referee's word on it, None where it was not judged.
    """

    version: RerankerVersion
    trained: bool
    chosen: Chosen
    use: Reranker
    verdicts: dict[str, Verdict | None]
    published: str | None
    reason: str
    queries: dict[str, Any]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the report with the keys other programs rely on."""
        best = self.chosen.best
        return {
            "version": self.version.id,
            "name": self.version.name,
            "trained": self.trained,
            "training": self.version.training,
            "use": {**asdict(self.use), "milliseconds": best.milliseconds},
            "held_out": {
                "fused": self.chosen.fused,
                "reranked": best.score,
                "tried": [combination.as_json() for combination in self.chosen.tried],
            },
            "verdicts": {name: verdict and verdict_json(verdict) for name, verdict in self.verdicts.items()},
            "release": self.published,
            "reason": self.reason,
            "queries": self.queries,
            "seconds": round(self.seconds, 2),
        }


def retrain_reranker(
    searcher: Searcher,
    catalogue: Catalogue,
    ledger: Ledger,
    settings: RerankerSettings,
    rule: PromotionRule,
    progress: Progress | None = None,
    synthetic: bool = False,
) -> RerankerReport:
    """Train the re-ranker from the configured cross-encoder on ``ledger``, and publish it where it is proven better.

    Raises SpecmineError when no cross-encoder is configured, there are too few queries to train or decide with, another
    retraining of the re-ranker runs, or the served release was changed by somebody else meanwhile.
    """
    started = time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    home, spec = searcher.home, searcher.settings.cross_encoder
    if spec is None:
        raise SpecmineError("no cross-encoder is configured to train from: remove `cross_encoder = false`")
    with Home(home.rerankers).exclusive():
        remove_partials(home.rerankers, below=False)
        splits = split_queries(searcher, catalogue, synthetic)
        examples = examples_of(splits, searcher.chunks.values(), ledger, needs_ledger=settings.groups == LEDGER)
        drawn, aside, unreadable = set_aside(examples, splits, spec, settings)
        trainer = _Trainer(searcher, ledger, settings, rule, splits, tell)
        train, held_out = trainer.groups_of(drawn, aside)
        version, trained = trainer.version(spec, examples, train, held_out)
        cross = load_cross_encoder(reranker_spec(home, version.id), home)
        chosen = trainer.choose(version, cross, aside)
        verdicts, use = trainer.judge(cross, chosen.best.use)
        outcome = {
            "use": asdict(use),
            "held_out": {"fused": chosen.fused, "tried": [one.as_json() for one in chosen.tried]},
            "verdicts": {name: verdict and verdict_json(verdict) for name, verdict in verdicts.items()},
            "compared_with": searcher.release.id,
        }
        write_outcome(home, version.id, outcome)
        release, reason = trainer.publish(use, verdicts)
    queries = {
        **counts(splits, examples),
        "train": len(train),
        "held_out": len(aside),
        "of_other_languages": unreadable,
        "answered_below_the_head": len(drawn) - len(train),
        "groups_of": settings.group_size,
    }
    return RerankerReport(
        version=version,
        trained=trained,
        chosen=chosen,
        use=use,
        verdicts=verdicts,
        published=release.id if release else None,
        reason=reason,
        queries=queries,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class _Trainer:
    """What the steps of one retraining share."""

    searcher: Searcher
    ledger: Ledger
    settings: RerankerSettings
    rule: PromotionRule
    splits: Splits
    tell: Progress

    @property
    def home(self) -> Home:
        """Where versions are registered."""
        return self.searcher.home

    def groups_of(
        self, train: Sequence[Example], aside: Sequence[Example]
    ) -> tuple[Sequence[Example], Sequence[Example]]:
        """Return what the groups are drawn from: the ledger, or what stands in the list that is re-ordered."""
        if self.settings.groups == LEDGER:
            return train, aside
        depth = self.searcher.settings.search.rerank_depth
        texts = {example.query: example.text for example in (*train, *aside)}
        heads = {query: first(found, depth) for query, found in self.lists(texts, depth).items()}
        rows = {chunk: row for row, chunk in enumerate(self.searcher.chunk_ids)}
        grouped, held_out = in_heads(train, heads, rows), in_heads(aside, heads, rows)
        if not grouped or not held_out:
            raise SpecmineError(
                f"too few of {len(texts)} training queries have a judged passage among the first {depth} of their "
                'lists: raise rerank_depth in [search], or set groups = "ledger" in [reranker]'
            )
        return grouped, held_out

    def lists(self, texts: Mapping[str, str], depth: int) -> Run:
        """Return the fused lists of training queries, as the encoders as published rank them.

        The retrained ones learned these very queries, and would rank them better than any that will be asked.
        """
        release = self.searcher.release
        untrained = replace(release, encoders=dict.fromkeys(release.encoders, BASE), reranker=None)
        searcher = self.searcher.opened_as(untrained)
        queries = list(texts)
        found: Run = {}
        for start in range(0, len(queries), _SEARCHED_AT_ONCE):
            part = queries[start : start + _SEARCHED_AT_ONCE]
            found |= searcher.runs({query: texts[query] for query in part}, depth)[FUSION]
            self.tell("searching for training queries", len(found), len(queries))
        return found

    def version(
        self, spec: CrossEncoderSpec, examples: Examples, train: Sequence[Example], aside: Sequence[Example]
    ) -> tuple[RerankerVersion, bool]:
        """Train a version, or take up the one that the same data and settings made before; whether it was trained."""
        base = load_cross_encoder(spec, self.home, exact=True)
        if base.trained_on is not None:
            raise SpecmineError(
                f"cross-encoder {spec.name} was trained by specmine: configure the pretrained one, from which every "
                "re-ranker is trained"
            )
        texts = PlacedTexts(self.searcher.chunks)
        data = {
            "passages": texts.fingerprint(),
            "train": examples_hash(train, taught=False),
            "held_out": examples_hash(aside, taught=False),
        }
        settings = {name: value for name, value in asdict(self.settings).items() if name != "judged"}
        job = fingerprint_of([_TRAINING_VERSION, spec.name, base.fingerprint, settings, data])
        for made in list_rerankers(self.home):
            if made.job == job:
                return read_reranker(self.home, made.id), False
        folder = self.home.rerankers / f"unfinished-{job[:16]}"
        for stale in self.home.rerankers.glob("unfinished-*"):
            if stale != folder:
                shutil.rmtree(stale, ignore_errors=True)  # of other data or settings: nobody will continue it
        folder.mkdir(parents=True, exist_ok=True)
        trained = train_reranker(base, texts, train, aside, self.settings, folder, self.tell)
        described = RerankerVersion(
            name=spec.name,
            base_fingerprint=base.fingerprint,
            max_tokens=spec.max_tokens,
            languages=spec.languages,
            job=job,
            lineage={
                "release": self.searcher.release.id,
                "generation": self.searcher.release.generation,
                "content": self.searcher.release.content,
                "ledger": self.ledger.id,
                "settings": asdict(self.settings),
                "code": code_version(),
                "data": data,
                "queries": {**counts(self.splits, examples), "train": len(train), "held_out": len(aside)},
            },
            training=asdict(trained),
        )
        version = register(self.home, described, base)
        shutil.rmtree(folder, ignore_errors=True)
        return version, True

    def choose(self, version: RerankerVersion, cross: CrossEncoder, aside: Sequence[Example]) -> Chosen:
        """Find how the version is used, on all queries that were held out of its training."""
        texts = {example.query: example.text for example in aside}
        fused = self.lists(texts, DEPTH)
        bound = self.searcher.settings.search
        depths = [depth for depth in DEPTHS if depth <= bound.rerank_depth] or [bound.rerank_depth]
        use = Reranker(version.name, version.id, depth=depths[-1])
        chunks = self.searcher.chunks
        logits = score_heads(
            self.home, cross, texts, fused, chunks, use, self.tell, "scoring the held-out queries, pairs"
        )
        return choose_combination(
            fused,
            logits,
            part_of(self.splits.train_projection, set(texts)),
            use,
            depths,
            seconds_for_pair(cross, texts, fused, chunks),
            bound.rerank_seconds,
            self.rule.measure,
            self.rule.minimum_difference,
        )

    def judge(self, cross: CrossEncoder, use: Reranker) -> tuple[dict[str, Verdict | None], Reranker]:
        """Let the referee compare what is served with the same list re-ordered, in each language by itself.

        Returns the verdicts, and the use with the languages in which it is proven.
        """
        guards = {name: part.drawn(self.settings.judged) for name, part in self.splits.guards.items()}
        bench = Bench(None, self.splits.verdict.drawn(self.settings.judged), guards)
        before: dict[str, Run] = {}
        after: dict[str, Run] = {}
        fusing = self.searcher.opened_as(replace(self.searcher.release, reranker=None))
        for name, part in bench.parts.items():
            fused = fusing.runs(part.texts, DEPTH)[FUSION]
            before[name] = self._as_served(fused, part.texts, f"{name} as it is served, pairs")
            after[name] = self._reordered(fused, part.texts, cross, use, f"{name}, pairs")
        slices = slice_queries(bench.verdict, self.splits, self.searcher.chunks)
        spoken = by_language(bench.verdict.texts)
        judged: dict[str, Findings] = {}
        for name, queries in spoken.items():
            if len(queries) >= FEWEST and cross.judges(name):
                asked = {guard: by_language(part.texts).get(name) for guard, part in guards.items()}
                own_guards = {guard: guards[guard].only(found) for guard, found in asked.items() if found}
                own = Bench(None, bench.verdict.only(queries), own_guards, slices)
                judged[name] = find_on(own, before, after, self.rule)
        decided = dict(zip(judged, decide_all(list(judged.values()), self.rule), strict=True))
        verdicts = {name: decided.get(name) for name in spoken}
        proven = tuple(name for name, verdict in verdicts.items() if verdict and verdict.promoted)
        return verdicts, replace(use, languages=proven)

    def _as_served(self, fused: Run, texts: Mapping[str, str], stage: str) -> Run:
        """Return a fused run as the served release shows it: re-ordered, if it has a re-ranker."""
        use, cross = self.searcher.release.reranker, self.searcher.reranker
        if use is None or cross is None:
            return fused
        read = min(use.depth, self.searcher.settings.search.rerank_depth)
        return self._reordered(fused, texts, cross, replace(use, depth=read), stage)

    def _reordered(self, fused: Run, texts: Mapping[str, str], cross: CrossEncoder, use: Reranker, stage: str) -> Run:
        logits = score_heads(self.home, cross, texts, fused, self.searcher.chunks, use, self.tell, stage)
        return reordered_run(fused, logits, use)

    def publish(self, use: Reranker, verdicts: Mapping[str, Verdict | None]) -> tuple[Release | None, str]:
        """Publish the served release with the re-ranker, if it is proven in a language."""
        served = self.searcher.release
        if not use.languages:
            judged = [f"{name}: {verdict.reason}" for name, verdict in verdicts.items() if verdict]
            unjudged = [
                f"{name}: not judged, too few queries or not read" for name, verdict in verdicts.items() if not verdict
            ]
            return None, "\n".join([*judged, *unjudged])
        if served.reranker == use:
            return None, "served already: there is nothing new to learn from"
        note = f"re-ranker {use} for {', '.join(use.languages)}"
        proposed = replace(served, reranker=use, note=note)
        return publish_when_free(self.home, served, proposed), note
