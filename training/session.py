"""The trainings of one retraining: each encoder's query side is trained, judged and registered in its turn."""

from __future__ import annotations

import gc
import hashlib
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.measures import measure
from evaluation.verdict import PromotionRule, Slices, Verdict
from indexing.embedding import Progress
from indexing.encoders.graph import check_head, graph_alone
from indexing.encoders.query import QueryEncoder
from indexing.generations import GenerationEncoder, fingerprint_of
from indexing.geometry import Geometry
from indexing.home import Home, SpecmineError
from indexing.models.fetching import model_directory
from indexing.releases import BASE
from indexing.search import Searcher
from indexing.stores.store import BM25
from mining.ledger import Ledger
from training.code_version import code_version
from training.evaluations import Score, Trained, Watch
from training.losses import BY_LENGTH, TAUGHT
from training.movers import movers
from training.query_training import VERSION, train
from training.referee import (
    DEPTH,
    Bench,
    BenchRuns,
    bench_means,
    bench_runs,
    encoder_run,
    judge,
    judge_all,
    verdict_json,
)
from training.similarity import histograms
from training.splits import HeldOut, Splits
from training.targets import Example, Examples
from training.train_settings import TrainSettings
from training.versions import EncoderVersion, list_versions, record_verdict, register, weights_file


@dataclass(frozen=True)
class EncoderOutcome:
    """What became of one encoder: its new version, the verdict on it now, and whether it was trained in this run.

    ``checksums`` are those of all its document vectors in the store, before and after: they must be equal.
    """

    version: EncoderVersion
    verdict: Verdict
    trained: bool
    checksums: tuple[str, str]


@dataclass(frozen=True)
class Candidate:
    """One encoder's new version before the verdict: its runs on the bench beside those of the served encoder.

    ``trained`` and ``checksums`` are as in EncoderOutcome.
    """

    version: EncoderVersion
    before: BenchRuns
    after: BenchRuns
    trained: bool
    checksums: tuple[str, str]


@dataclass(frozen=True)
class Sources:
    """The runs of every source on the bench, with the served encoders and with those promoted now."""

    before: dict[str, BenchRuns]
    after: dict[str, BenchRuns]


@dataclass(frozen=True)
class Session:
    """What the trainings of all encoders share."""

    searcher: Searcher
    ledger: Ledger | None
    settings: TrainSettings
    rule: PromotionRule
    splits: Splits
    examples: Examples
    tell: Progress
    slices: Slices = field(default_factory=dict)

    @property
    def home(self) -> Home:
        """Where versions are registered."""
        return self.searcher.home

    @property
    def bench(self) -> Bench:
        """The queries that judge."""
        splits = self.splits
        return Bench(splits.stopping, splits.verdict, splits.guards, self.slices, splits.development)

    def train_all(self, only: Collection[str] = ()) -> tuple[list[EncoderOutcome], Sources]:
        """Train one encoder after the other, then judge them all at once.

        With ``only`` those are trained, and the others stay as they are served.
        """
        parts = self.bench.parts
        bm25 = {name: self.searcher.runs(part.texts, DEPTH, only={BM25})[BM25] for name, part in parts.items()}
        sources = Sources({BM25: bm25}, {BM25: bm25})
        candidates = []
        for part in self.searcher.generation.encoders:  # told before any of them is trained
            if (not only or part.spec.name in only) and graph_alone(model_directory(part.spec, self.home)):
                check_head(part.spec.name, self.settings.form)
        for part in self.searcher.generation.encoders:
            name = part.spec.name
            if only and name not in only:
                sources.before[name] = sources.after[name] = self._served_runs(name)
                continue
            candidates.append(self.train_one(part))
            gc.collect()  # one trained encoder in memory at a time
        outcomes = self._judge(candidates)
        for candidate, outcome in zip(candidates, outcomes, strict=True):
            name = outcome.version.encoder
            sources.before[name] = candidate.before
            sources.after[name] = candidate.after if outcome.verdict.promoted else candidate.before
        return outcomes, sources

    def _served_runs(self, name: str) -> BenchRuns:
        geometry = self.searcher.release.geometry_of(name)
        lengths = self.searcher.document_lengths(name) if geometry.has_points else None
        documents, encoder = self.searcher.document_vectors(name), self.searcher.encoders[name]
        return bench_runs(encoder, documents, self.searcher.chunk_ids, self.bench, geometry, lengths)

    def _judge(self, candidates: list[Candidate]) -> list[EncoderOutcome]:
        """Give every candidate its verdict, and write it to the versions that have none yet."""
        served = self.searcher.release.encoders
        new = [candidate for candidate in candidates if candidate.version.id != served[candidate.version.encoder]]
        # What is served already is no chance to be lucky: it does not count among the systems compared.
        verdicts = iter(judge_all([(candidate.before, candidate.after) for candidate in new], self.bench, self.rule))
        outcomes = []
        for candidate in candidates:
            version = candidate.version
            if version.id == served[version.encoder]:
                same = judge(candidate.before, candidate.after, self.bench, self.rule)
                verdict = replace(same, reason="served already: there is nothing new to learn from")
            else:
                verdict = next(verdicts)
                if not version.verdict:
                    version = record_verdict(self.home, version, verdict_json(verdict))
                if version.withdrawn:
                    verdict = _kept_back(verdict, version.withdrawn)
            outcomes.append(EncoderOutcome(version, verdict, candidate.trained, candidate.checksums))
        return outcomes

    def train_one(self, part: GenerationEncoder) -> Candidate:
        """Train one encoder and register its version, or take up the one that the same data and settings made before.

        Raises SpecmineError when the document vectors are not the same afterwards.
        """
        name = part.spec.name
        checksum = self.searcher.vector_checksum(name)
        documents, chunk_ids = self.searcher.document_vectors(name), self.searcher.chunk_ids
        data = self._data(documents)
        start = self.searcher.release.encoders[name] if self.settings.start == "served" else BASE
        job = fingerprint_of([VERSION, name, part.fingerprint, asdict(self.settings), start, self.rule.measure, data])
        served = self.searcher.encoders[name]
        served_by = self.searcher.release.geometry_of(name)
        geometry = self.searcher.measured(name, self.settings.searched_by)
        points = served_by.has_points or geometry.has_points
        lengths = self.searcher.document_lengths(name) if points else None
        before = bench_runs(served, documents, chunk_ids, self.bench, served_by, lengths)
        version = self._made_before(name, job)
        trained: Trained | None = None
        candidate = self.searcher.load_encoder(name, version.id if version else start)
        if version is None:
            trained = self._train(candidate, documents, self._folder(name, job), geometry)
        after = bench_runs(candidate, documents, chunk_ids, self.bench, geometry, lengths)
        checksum_after = self.searcher.vector_checksum(name)
        if checksum_after != checksum:
            raise SpecmineError(f"the document vectors of {name} changed while it was trained: run `specmine doctor`")
        if version is None:
            described = EncoderVersion(
                encoder=name,
                document_fingerprint=part.fingerprint,
                loss=self.settings.system,
                job=job,
                lineage=self._lineage(name, data, checksum),
                training={**asdict(trained), "movers": movers(before["verdict"], after["verdict"], *self._judged)}
                if trained
                else {},
                verdict={},
                histograms={
                    "before": self._histograms(served, documents),
                    "after": self._histograms(candidate, documents),
                },
                geometry=asdict(geometry) if geometry.has_points else {},
                measures={"before": bench_means(before, self.bench), "after": bench_means(after, self.bench)},
            )
            version = register(self.home, described, candidate)
            shutil.rmtree(self._folder(name, job), ignore_errors=True)
        return Candidate(version, before, after, trained is not None, (checksum, checksum_after))

    @property
    def _judged(self) -> tuple[HeldOut, str]:
        return self.splits.verdict, self.rule.measure

    def _made_before(self, name: str, job: str) -> EncoderVersion | None:
        """Return the version that the same job made, if its weights are there."""
        made = [version for version in list_versions(self.home, name) if version.job == job]
        return next((version for version in made if weights_file(self.home, version).is_file()), None)

    def _data(self, documents: np.ndarray) -> dict[str, str]:
        """Return the hashes of all data that a training reads."""
        return {
            "documents": hashlib.sha256(np.ascontiguousarray(documents).tobytes()).hexdigest(),
            "train": examples_hash(self.examples.examples, bool(TAUGHT.intersection(self.settings.losses))),
            "stopping": _held_out_hash(self.splits.stopping) if self.splits.stopping else "",
            "averaging": _held_out_hash(self._averaging) if self._averaging else "",
        }

    @property
    def _averaging(self) -> HeldOut | None:
        """The queries that choose how much of the trained weights is kept, where none stop the training."""
        return self.splits.development if self.settings.average and not self.splits.stopping else None

    def _train(self, encoder: QueryEncoder, documents: np.ndarray, folder: Path, geometry: Geometry) -> Trained:
        for stale in folder.parent.glob("unfinished-*"):
            if stale != folder:
                shutil.rmtree(stale, ignore_errors=True)  # of other data or settings: nobody will continue it
        folder.mkdir(parents=True, exist_ok=True)
        by_length = geometry.has_points or BY_LENGTH.intersection(self.settings.losses)
        lengths = self.searcher.document_lengths(encoder.spec.name) if by_length else None

        def score_on(part: HeldOut | None) -> Score | None:
            return self._score_on(part, documents, geometry, lengths) if part else None

        watch = Watch(stopping=score_on(self.splits.stopping), averaging=score_on(self._averaging))
        return train(encoder, documents, self.examples.examples, self.settings, folder, self.tell, lengths, watch)

    def _score_on(
        self, held_out: HeldOut, documents: np.ndarray, geometry: Geometry, lengths: np.ndarray | None
    ) -> Score:
        def score(candidate: QueryEncoder) -> float:
            run = encoder_run(candidate, documents, self.searcher.chunk_ids, held_out, geometry, lengths)
            return measure(run, held_out.projection).mean[self.rule.measure]

        return score

    def _folder(self, name: str, job: str) -> Path:
        return self.home.encoders / name / f"unfinished-{job[:16]}"

    def _lineage(self, name: str, data: Mapping[str, str], checksum: str) -> dict[str, Any]:
        release = self.searcher.release
        return {
            "release": release.id,
            "generation": release.generation,
            "content": release.content,
            "compared_with": release.encoders[name],
            "started_from": release.encoders[name] if self.settings.start == "served" else BASE,
            "ledger": self.ledger.id if self.ledger else None,
            "settings": asdict(self.settings),
            "rule": asdict(self.rule),
            "code": code_version(),
            "data": {**data, **self._judging_data()},
            "queries": counts(self.splits, self.examples),
            "document_checksum": checksum,
        }

    def _judging_data(self) -> dict[str, str]:
        """Return the hashes of what did not train but is part of the version's history."""
        judging = {"verdict": self.splits.verdict, **self.splits.guards}
        hashes = {name: _held_out_hash(part) for name, part in judging.items()}
        return hashes | {"ledger": str(self.ledger.manifest.get("sha256", "")) if self.ledger else ""}

    def _histograms(self, encoder: QueryEncoder, documents: np.ndarray) -> dict[str, list[float]]:
        part = self.splits.verdict
        vectors = encoder.embed(list(part.texts.values()))
        return histograms(list(part.texts), vectors, documents, self.searcher.chunk_ids, part.projection.hits)


def _kept_back(verdict: Verdict, withdrawn: str) -> Verdict:
    """Return the verdict on a version that monitoring withdrew: the same training would win the same verdict again."""
    lines = [*verdict.reason.splitlines()[:2], f"not promoted: withdrawn ({withdrawn}); `specmine promote` serves it"]
    return replace(verdict, promoted=False, reason="\n".join(lines))


def counts(splits: Splits, examples: Examples) -> dict[str, Any]:
    """Return how many queries have which part, and what was left out, as JSON-able values."""
    parts = {
        "stopping": splits.stopping,
        "verdict": splits.verdict,
        **splits.guards,
        "development": splits.development,
    }
    return {
        "train": len(examples.examples),
        "without_passage": examples.without_passage,
        "without_negative": examples.without_negative,
        "lost_ledger_rows": examples.lost_rows,
        "leaks": splits.leaks,
        "stopping_leaks": splits.stopping_leaks,
        **{name: {"split": part.name, "queries": len(part.texts)} for name, part in parts.items() if part},
    }


def examples_hash(examples: Sequence[Example], taught: bool) -> str:
    """Return the hash of what is read of the examples: a cross-encoder's scores only by the losses it teaches."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.query}\0{example.text}\0".encode())
        for rows in (example.positives, example.masked, example.ledger, *([example.taught] if taught else [])):
            digest.update(f"{len(rows)}\0".encode() + rows.astype("<i8").tobytes())
        if taught:
            digest.update(example.logits.astype("<f4").tobytes())
    return digest.hexdigest()


def _held_out_hash(held_out: HeldOut) -> str:
    projection = held_out.projection
    return fingerprint_of([held_out.texts, projection.units, {q: sorted(h) for q, h in projection.hits.items()}])
