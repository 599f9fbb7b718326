"""An ablation: what each part of the configured training is worth, by leaving out one at a time.

Each variant and the whole are trained with the same seeds on the development part of the training queries
(``training.development``); the queries that decide take no part. Parts that are switched off are not listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from evaluation.judgements import SYNTHETIC
from evaluation.significance import holm
from evaluation.verdict import Comparison
from mining.ledger import BORDERLINE, DUPLICATE, FALSE_NEGATIVE, PROPOSED_POSITIVE, RANDOM, RELEVANT, Ledger
from training.development import MASKS, SOURCE, Lab, Recipe, Tried
from training.losses import NEGATIVES_OF
from training.search_space import plain
from training.splits import Splits
from training.sweep import Job, RunJobs
from training.train_settings import TrainSettings

# What of a ledger must not count as a negative.
_LEDGER_MASKS = (FALSE_NEGATIVE, PROPOSED_POSITIVE, DUPLICATE, BORDERLINE)


@dataclass(frozen=True)
class Ablated:
    """A part, what was trained without it by seed, and how that differs from the whole.

    ``difference`` of the comparison is without minus with: below 0 where the part helps. ``p_holm`` is corrected for
    the number of parts.
    """

    part: str
    tried: tuple[Tried, ...]
    comparison: Comparison
    p_holm: float


@dataclass(frozen=True)
class Ablation:
    """The whole by seed, and each part that was left out."""

    whole: tuple[Tried, ...]
    parts: tuple[Ablated, ...]


def parts_of(settings: TrainSettings, splits: Splits, ledger: Ledger | None) -> dict[str, Recipe]:
    """Return by the name of each part that is switched on how to train without it."""
    return {name: recipe for name, recipe in _parts(settings, splits, ledger) if recipe != Recipe(settings)}


def ablate(lab: Lab, settings: TrainSettings, seeds: int, run_jobs: RunJobs) -> Ablation:
    """Train the whole and every variant with ``seeds`` seeds each, and compare them."""
    parts = parts_of(settings, lab.splits, lab.ledger)
    recipes = {"": Recipe(settings), **parts}
    seeded = {name: [_seeded(recipe, number) for number in range(seeds)] for name, recipe in recipes.items()}
    jobs = [Job(plain(one.settings), without=one.without) for number in range(seeds) for one in _column(seeded, number)]
    run_jobs("trainings", jobs)
    tried = {name: tuple(lab.required(one) for one in row) for name, row in seeded.items()}
    comparisons = {name: lab.compare(tried[""], tried[name]) for name in parts}
    corrected = holm([comparison.p_value for comparison in comparisons.values()])
    return Ablation(
        tried[""],
        tuple(
            Ablated(name, tried[name], comparison, p)
            for (name, comparison), p in zip(comparisons.items(), corrected, strict=True)
        ),
    )


def _parts(settings: TrainSettings, splits: Splits, ledger: Ledger | None) -> Iterator[tuple[str, Recipe]]:
    for name in settings.losses if len(settings.losses) > 1 else ():
        left = {other: weight for other, weight in settings.losses.items() if other != name}
        yield f"loss {name}", Recipe(replace(settings, loss=left))
    if settings.synthesis != "none":
        yield f"synthesis {settings.synthesis}", Recipe(replace(settings, synthesis="none"))
    yield from _negatives(settings)
    if settings.average and splits.stopping is not None:
        yield "averaging", Recipe(replace(settings, average=()))
    if settings.start != "base":
        yield "warm start", Recipe(replace(settings, start="base"))
    if settings.warmup:
        yield "warm-up", Recipe(replace(settings, warmup=0.0))
    if settings.weight_decay:
        yield "weight decay", Recipe(replace(settings, weight_decay=0.0))
    yield "masks", Recipe(settings, (MASKS,))
    if any(query.split == SYNTHETIC for query in splits.train):
        yield "synthetic queries", Recipe(settings, (SYNTHETIC,))
    yield from _ledger(settings, ledger)


def _negatives(settings: TrainSettings) -> Iterator[tuple[str, Recipe]]:
    """Each kind of negatives, and the stages; what several losses are used with by default cannot be taken apart."""
    stages = settings.negatives
    if not stages and len(settings.losses) == 1:
        stages = (NEGATIVES_OF[next(iter(settings.losses))],)
    for name in dict.fromkeys(name for stage in stages for name in stage):
        left = tuple(tuple(other for other in stage if other != name) for stage in stages)
        if any(left):
            yield f"negatives {name}", Recipe(replace(settings, negatives=tuple(stage for stage in left if stage)))
    if len(stages) > 1:
        yield "stages of negatives", Recipe(replace(settings, negatives=stages[-1:]))


def _ledger(settings: TrainSettings, ledger: Ledger | None) -> Iterator[tuple[str, Recipe]]:
    if ledger is None:
        return
    verdicts = {row.verdict for row in ledger.rows}
    masks = tuple(verdict for verdict in _LEDGER_MASKS if verdict in verdicts)
    if masks:
        yield "masks of the ledger", Recipe(settings, masks)
    if RELEVANT in verdicts:
        yield "relevant passages of the ledger", Recipe(settings, (RELEVANT,))
    stages = settings.negatives or tuple(NEGATIVES_OF[name] for name in settings.losses)
    if not any("ledger" in stage or "in_batch" in stage for stage in stages):
        return
    if RANDOM in verdicts:
        yield "random share of the ledger", Recipe(settings, (RANDOM,))
    alone = {row.sources[0].name for row in ledger.rows if len(row.sources) == 1 and row.verdict != RANDOM}
    for source in sorted(alone):
        yield f"what only {source} found", Recipe(settings, (f"{SOURCE}{source}",))


def _seeded(recipe: Recipe, number: int) -> Recipe:
    return replace(recipe, settings=replace(recipe.settings, seed=(recipe.settings.seed + number) % 2**32))


def _column(rows: dict[str, list[Recipe]], number: int) -> Sequence[Recipe]:
    return [row[number] for row in rows.values()]
