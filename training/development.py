"""Trainings that choose among settings: each on the training queries alone, measured on a development part of them.

The queries that decide in the end (``training.splits``) take no part, however many settings are tried. A training that
is finished is a file in the folder of the lab, so that it is never repeated; one that was cut off goes on.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from evaluation.measures import MEASURES, Measures, measure
from evaluation.verdict import Comparison, PromotionRule, compare
from indexing.embedding import Progress
from indexing.encoders.query import QueryEncoder
from indexing.generations import fingerprint_of
from indexing.home import Home, SpecmineError, read_json, write_json
from indexing.releases import BASE
from indexing.search import Searcher
from mining.ledger import RANDOM, Ledger, LedgerRow
from training.evaluations import Evaluated, Watch
from training.health import peak_memory
from training.losses import BY_LENGTH
from training.query_training import VERSION, train
from training.referee import encoder_run
from training.splits import Splits
from training.targets import Example, build_examples
from training.train_settings import TrainSettings

# Of the training queries where no others are there to choose on: enough to tell settings apart, and most still train.
SHARE = 0.2


# What an ablation leaves out beside the verdicts of a ledger: every mask, and what one source alone found.
MASKS = "masks"
SOURCE = "only:"


@dataclass(frozen=True)
class Recipe:
    """What is trained: settings, and what of the data is left out, which is nothing but in an ablation.

    ``without`` are verdicts of the ledger, ``MASKS``, the split of synthetic queries, ``SOURCE`` with a source's name.
    """

    settings: TrainSettings
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """A finished training: each development query's measures, the score after each evaluation, and what it cost.

    ``seconds`` are those of the whole training with its evaluations, ``peak_mb`` the highest memory of its process.
    """

    recipe: Recipe
    score: float
    curve: tuple[float, ...]
    losses: tuple[float | None, ...]
    per_query: dict[str, dict[str, float]]
    seconds: float
    peak_mb: int

    @property
    def measures(self) -> Measures:
        """The measures, as the paired tests take them."""
        return mean_of([self])


class Lab:
    """Where one encoder is trained again and again on the same development part; sweeps and ablations share results.

    ``splits`` are made with ``SHARE``. ``folder`` is named by the data: other queries, documents, ledger or measure
    make another. Raises SpecmineError where no query is left to measure by.
    """

    def __init__(
        self, searcher: Searcher, encoder: str, ledger: Ledger | None, splits: Splits, rule: PromotionRule, home: Home
    ) -> None:
        self.encoder = encoder
        self.rule = rule
        held_out = splits.stopping or splits.development
        if held_out is None:
            raise SpecmineError(
                f"{len(splits.train)} training queries are too few to choose settings on a part of them: import more, "
                "or a dev split beside a test split"
            )
        self.splits = splits
        self.held_out = held_out
        # Training queries that were set aside train again when it counts, and then nothing stops the training.
        self.stops = splits.stopping is not None
        self._searcher = searcher
        self.ledger = ledger
        self.folder = home.comparisons / "trainings" / self._identity()[:16]
        self._examples: dict[tuple[bool, tuple[str, ...]], tuple[Example, ...]] = {}

    def _identity(self) -> str:
        """Return the hash of all data a training here reads, and of what it is measured by."""
        release = self._searcher.release
        return fingerprint_of(
            [
                VERSION,
                self.encoder,
                self._searcher.generation.encoder(self.encoder).fingerprint,
                [release.generation, release.content],
                [[query.id, query.text] for query in self.splits.train],
                [asdict(judgement) for judgement in self.splits.train_judgements],
                [self.held_out.texts, self.held_out.projection.units],
                self.ledger.id if self.ledger else None,
                self.rule.measure,
            ]
        )

    def finished(self, recipe: Recipe) -> Tried | None:
        """Return what an earlier run found, None when there is none."""
        path = self._file(recipe)
        if not path.exists():
            return None
        found = read_json(path)
        return Tried(**{**found, "recipe": recipe, "curve": tuple(found["curve"]), "losses": tuple(found["losses"])})

    def required(self, recipe: Recipe) -> Tried:
        """Return what was found, as ``finished`` does. Raises SpecmineError where it is gone."""
        found = self.finished(recipe)
        if found is None:
            raise SpecmineError(f"the result of a training is gone from {self.folder}: run the same command again")
        return found

    def run(self, recipe: Recipe, tell: Progress, evaluated: Evaluated | None = None) -> Tried:
        """Train with a recipe and measure, or return what an earlier run found.

        Raises SpecmineError when it cannot be trained so, and what ``evaluated`` and ``tell`` raise.
        """
        found = self.finished(recipe)
        if found is not None:
            return found
        settings = recipe.settings
        examples = self.build(recipe)
        encoder = self._searcher.load_encoder(self.encoder, self._start(settings))
        geometry = self._searcher.measured(self.encoder, settings.searched_by)
        by_length = geometry.has_points or BY_LENGTH.intersection(settings.losses)
        lengths = self._searcher.document_lengths(self.encoder) if by_length else None

        def measured(candidate: QueryEncoder) -> Measures:
            run = encoder_run(candidate, self._documents, self._searcher.chunk_ids, self.held_out, geometry, lengths)
            return measure(run, self.held_out.projection)

        unfinished = self._file(recipe).with_suffix("")
        unfinished.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()

        def score(candidate: QueryEncoder) -> float:
            return measured(candidate).mean[self.rule.measure]

        watch = Watch(score if self.stops else None, score, evaluated=evaluated)
        trained = train(encoder, self._documents, examples, settings, unfinished, tell, lengths, watch)
        found_after = measured(encoder)
        tried = Tried(
            recipe,
            found_after.mean[self.rule.measure],
            tuple(entry.score for entry in trained.history if entry.score is not None),
            tuple(entry.loss for entry in trained.history),
            found_after.per_query,
            round(time.monotonic() - started, 2),
            peak_memory(),
        )
        write_json(self._file(recipe), {**asdict(tried), "recipe": asdict(recipe)})
        shutil.rmtree(unfinished)
        return tried

    def forget(self, recipe: Recipe) -> None:
        """Remove what an unfinished training left."""
        shutil.rmtree(self._file(recipe).with_suffix(""), ignore_errors=True)

    def compare(self, before: Sequence[Tried], after: Sequence[Tried]) -> Comparison:
        """Compare two recipes on the development queries, each on the mean of its seeds."""
        return compare(mean_of(before), mean_of(after), self.held_out.groups, self.rule.measure, self.rule.level)

    @cached_property
    def _documents(self) -> np.ndarray:
        return self._searcher.document_vectors(self.encoder)

    def build(self, recipe: Recipe) -> tuple[Example, ...]:
        """Return what a recipe trains on. Raises SpecmineError where nothing is left."""
        key = (recipe.settings.needs_ledger, recipe.without)
        if key not in self._examples:
            if key[0] and self.ledger is None:
                raise SpecmineError(f"loss {recipe.settings.system!r} needs mined negatives: run `specmine mine` first")
            part = self.splits
            chunks = self._searcher.chunks.values()
            ledger = _without(self.ledger, recipe.without)
            queries = [query for query in part.train if query.split not in recipe.without]
            made = build_examples(queries, part.train_judgements, part.train_projection, chunks, ledger, key[0])
            if not made.examples:
                raise SpecmineError(
                    f"no training query has a judged passage and a negative for {recipe.settings.system!r}"
                )
            self._examples[key] = tuple(_unmasked(made.examples) if MASKS in recipe.without else made.examples)
        return self._examples[key]

    def _start(self, settings: TrainSettings) -> str:
        return self._searcher.release.encoders[self.encoder] if settings.start == "served" else BASE

    def _file(self, recipe: Recipe) -> Path:
        made_of = [asdict(recipe.settings), recipe.without, self._start(recipe.settings)]
        return self.folder / f"{fingerprint_of(made_of)[:16]}.json"


def mean_of(tried: Sequence[Tried]) -> Measures:
    """Return each query's mean over several trainings."""
    queries = tried[0].per_query
    values = {
        query: {name: sum(one.per_query[query][name] for one in tried) / len(tried) for name in MEASURES}
        for query in queries
    }
    mean = {name: sum(value[name] for value in values.values()) / len(values) for name in MEASURES}
    return Measures(values, mean, ())


def _unmasked(examples: Sequence[Example]) -> Iterator[Example]:
    for example in examples:
        yield replace(example, masked=np.zeros(0, dtype=np.int64))


def _without(ledger: Ledger | None, without: Collection[str]) -> Ledger | None:
    if ledger is None or not without:
        return ledger
    alone = {name.removeprefix(SOURCE) for name in without if name.startswith(SOURCE)}

    def stays(row: LedgerRow) -> bool:
        lone = len(row.sources) == 1 and row.verdict != RANDOM and row.sources[0].name in alone
        return row.verdict not in without and not lone

    return replace(ledger, rows=tuple(row for row in ledger.rows if stays(row)))
