"""The training loop: one query encoder learns against the frozen document vectors of an index.

A run is a plain sequence of steps that is fixed by its settings: the order of the queries by seed and epoch, dropout by
seed and step, the learning rate by the step. A checkpoint therefore holds weights, optimiser moments and the history
of evaluations, and a run that was killed continues from its last one to the very result of an uninterrupted run.

Layout of a run's folder::

    step-00000120/weights.safetensors    the encoder
    step-00000120/moments.safetensors    AdamW's first and second moments
    step-00000120/synthesis.safetensors  what a synthesis learnt, where it learns
    step-00000120/manifest.json          precision and the history so far

Only the latest step and the best one are kept.
"""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from chunking.checks import check_range
from indexing.embedding import Progress
from indexing.encoders import QueryEncoder
from indexing.encoders_forms import parse
from indexing.geometry import GEOMETRIES, Geometry, GeometryKind
from indexing.home import MANIFEST, SpecmineError, is_whole, read_json, write_artifact, write_json
from training.averaging import choose_average
from training.batch import Batch, restrict
from training.health import Look, in_blocks, look, peak_memory, sample_of, worries
from training.loss_settings import LossSettings
from training.losses import BY_LENGTH, LOSSES, NEGATIVES_OF, READ_BY_LOSS, TAUGHT
from training.losses_debiased import clamped_share
from training.negatives import NEGATIVES, READ_BY_NEGATIVES, choose_negatives
from training.synthesis import READ_BY_SYNTHESIS, SYNTHESES
from training.targets import Example, masks_of, teacher_of

log = logging.getLogger(__name__)

WEIGHTS = "weights.safetensors"
MOMENTS = "moments.safetensors"
SYNTHESIS = "synthesis.safetensors"
# Queries of like length share a batch, so that little padding is computed; these many batches are sorted at a time,
# few enough that an epoch stays well shuffled.
_BATCHES_SORTED = 16
_MOMENTS = ("exp_avg", "exp_avg_sq")

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class TrainSettings(LossSettings):
    """How a query encoder is trained, with the parameters of the losses.

    ``loss`` is a name of ``training.losses.LOSSES``, or several with their weights. ``negatives`` are names of
    ``training.negatives.NEGATIVES`` by stage: the steps are divided evenly among the stages, the easier first. Without
    any each loss has those it is used with. ``synthesis`` is a name of ``training.synthesis.SYNTHESES`` or "none".

    ``form`` says what of the encoder is trained and kept (``indexing.encoders_forms``): ``full``, ``last:LAYERS``,
    ``lora:RANK`` or ``head:RANK``. ``start`` is "base", the weights as published, or "served", those of the release.
    ``average`` are shares of the trained weights that are tried against those they started from, 1 among them
    (``training.averaging``); which is best is found on the queries that stop the training, and nothing is averaged
    without such. ``geometry`` says by what the trained encoder's documents are found when it is judged and served:
    "auto" is by hyperbolic distance where every loss is ``hyperbolic``, by both where one is ``hybrid``, and else by
    the cosine.

    The learning rate rises over the share ``warmup`` of all steps and then falls to 0. A step learns from
    ``accumulate`` batches. ``evaluations`` are made in each epoch; training ends when ``patience`` of them in a row
    brought nothing, after ``epochs`` at the latest, and the best weights are kept. ``precision`` ``auto`` times float32
    and bfloat16 autocast and takes the faster. The defaults are the best of those tried for MiniLM on judged RFCs
    (``docs/RESULTS.md``).
    """

    loss: str | dict[str, float] = "full_softmax"
    negatives: tuple[tuple[str, ...], ...] = ()
    synthesis: str = "none"
    form: str = "full"
    start: Literal["base", "served"] = "base"
    average: tuple[float, ...] = ()
    geometry: Literal["auto", "cosine", "hyperbolic", "hybrid"] = "auto"
    learning_rate: float = 3e-5
    batch_size: int = 16
    accumulate: int = 1
    epochs: int = 6
    evaluations: int = 1
    patience: int = 3
    warmup: float = 0.1
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    precision: Precision = "auto"
    seed: int = 17

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, weight in self.losses.items():
            if name not in LOSSES:
                raise ValueError(f"unknown loss {name!r}; known: {', '.join(LOSSES)}")
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of loss {name} must be above 0, not {weight}")
        if not self.losses:
            raise ValueError(f"no loss is named; known: {', '.join(LOSSES)}")
        for stage in self.negatives:
            for name in stage:
                if name not in NEGATIVES:
                    raise ValueError(f"unknown negatives {name!r}; known: {', '.join(NEGATIVES)}")
            if not stage:
                raise ValueError("a stage of negatives is empty")
        if self.synthesis not in ("none", *SYNTHESES):
            raise ValueError(f"unknown synthesis {self.synthesis!r}; known: none, {', '.join(SYNTHESES)}")
        if self.synthesis != "none" and (by_length := BY_LENGTH.intersection(self.losses)):
            raise ValueError(
                f"loss {min(by_length)!r} reads lengths, which synthetic negatives have not: set synthesis to none"
            )
        parse(self.form)
        if self.start not in ("base", "served"):
            raise ValueError(f"start must be 'base' or 'served', not {self.start!r}")
        if self.geometry not in ("auto", *GEOMETRIES):
            raise ValueError(f"geometry must be one of auto, {', '.join(GEOMETRIES)}, not {self.geometry!r}")
        for share in self.average:
            if not 0 < share <= 1:
                raise ValueError(f"average must be shares above 0 and at most 1, not {share}")
        for name in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name, low, high in (
            ("batch_size", 1, 4096),
            ("accumulate", 1, 4096),
            ("epochs", 1, 1000),
            ("evaluations", 1, 100),
            ("patience", 1, 100_000),
            ("seed", 0, 2**32 - 1),
        ):
            check_range(self, name, low, high)
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the steps, 0 to below 1, not {self.warmup}")
        if not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay must be 0 to below 1, not {self.weight_decay}")

    @property
    def losses(self) -> dict[str, float]:
        """The losses by name with their weights."""
        return {self.loss: 1.0} if isinstance(self.loss, str) else self.loss

    @property
    def system(self) -> str:
        """What is trained with, in a few words: "full_softmax", "infonce + 0.2 histogram, mix, lora:8"."""
        parts = [name if weight == 1 else f"{weight:g} {name}" for name, weight in self.losses.items()]
        more = [self.synthesis] if self.synthesis != "none" else []
        more += [self.form] if self.form != "full" else []
        return ", ".join([" + ".join(parts), *more])

    @property
    def searched_by(self) -> Geometry:
        """By what the trained encoder's documents are found, with the losses' curvature and weight of the distance.

        Its unit is still that of no documents.
        """
        kind: GeometryKind = "cosine"
        if self.geometry != "auto":
            kind = self.geometry
        elif self.losses.keys() == {"hyperbolic"}:
            kind = "hyperbolic"
        elif "hybrid" in self.losses:
            kind = "hybrid"
        weight = self.hyperbolic_weight * self.temperature / self.hyperbolic_temperature
        return Geometry(kind, self.curvature, weight)

    @property
    def needs_ledger(self) -> bool:
        """Whether a query without mined negatives can teach nothing."""
        stages = self.negatives or [NEGATIVES_OF[name] for name in self.losses]
        return bool(TAUGHT.intersection(self.losses)) or any(set(stage) == {"ledger"} for stage in stages)

    @property
    def parameters(self) -> frozenset[str]:
        """The names of those of ``LossSettings`` that a training with these settings reads."""
        stages = self.negatives or [NEGATIVES_OF[name] for name in self.losses]
        read = [READ_BY_LOSS[name] for name in self.losses]
        read += [READ_BY_NEGATIVES.get(name, ()) for stage in stages for name in stage]
        read += [READ_BY_SYNTHESIS.get(self.synthesis, ())]
        # What documents are found by reads what the losses of that name read.
        read += [READ_BY_LOSS.get(self.searched_by.kind, ())]
        return frozenset(name for names in read for name in names)

    def negatives_at(self, loss: str, share: float) -> tuple[str, ...]:
        """Return the names of what counts against a query after ``share`` of the steps."""
        if not self.negatives:
            return NEGATIVES_OF[loss]
        return self.negatives[min(int(share * len(self.negatives)), len(self.negatives) - 1)]


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: after ``step`` steps the held-out measure is ``score``; ``loss`` is the mean since the last.

    ``score`` is None in a training without held-out queries. ``audit`` are means since the last one too: the share of
    the queries whose negatives a debiased loss clamped (``clamped``), of the synthetic negatives that are harder than
    what they were made of (``harder``), the mean cosines of synthetic and of the hardest real ones, and what the
    synthesis says of itself (``training.synthesis_gca``). ``losses`` are the means of some 20 runs of steps since the
    last evaluation, ``look`` the similarities of training queries now.
    """

    step: int
    score: float | None
    loss: float | None
    audit: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    look: Look = field(default_factory=Look)


@dataclass(frozen=True)
class Trained:
    """How a run went. The encoder carries the weights of step ``best.step``; 0 is where it started from.

    ``seconds`` and ``queries_per_second`` count the training steps of this process, without evaluations. ``averages``
    maps each share of the trained weights that was tried to its score; empty where none were averaged. ``wall_seconds``
    count everything in this process, ``peak_mb`` is the most memory it ever held, ``worries`` are the warnings given.
    """

    before: Evaluation
    best: Evaluation
    history: tuple[Evaluation, ...]
    planned_steps: int
    precision: str
    seconds: float
    queries_per_second: float
    averages: dict[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
    peak_mb: int = 0
    worries: tuple[str, ...] = ()


Score = Callable[[QueryEncoder], float]
"""The held-out measure of an encoder, higher is better."""

Evaluated = Callable[[Sequence[Evaluation], int], None]
"""Called after each evaluation with all so far and the planned number of steps; what it raises ends the training."""


def train(
    encoder: QueryEncoder,
    documents: np.ndarray,
    examples: Sequence[Example],
    score: Score | None,
    settings: TrainSettings,
    folder: Path,
    progress: Progress,
    lengths: np.ndarray | None = None,
    choose: bool = True,
    evaluated: Evaluated | None = None,
) -> Trained:
    """Train ``encoder`` in place on ``examples`` against ``documents`` (N, d) float32, which are only read.

    ``lengths`` (N,) are the documents' norms before they were normalised, where they were kept; only hyperbolic losses
    read them. With ``score`` None nothing stops the training, and its last weights are kept: the learning rate is 0 by
    then. So it is without ``choose``, where the score is only looked at.

    Checkpoints go to ``folder``; when it holds some of the same run, training continues from the latest. Raises
    SpecmineError when the loss is no longer a number, and when a loss needs a cross-encoder's scores and no example has
    any.
    """
    if TAUGHT.intersection(settings.losses) and not any(len(example.taught) for example in examples):
        raise SpecmineError(
            f"loss {settings.system!r} learns from the cross-encoder's scores and the ledger holds none: mine with the "
            "filter cross_encoder, and minimum_agreement 0 where it is not believed"
        )
    encoder.take_form(settings.form)
    started = {name: tensor.clone() for name, tensor in encoder.trained_weights().items()} if settings.average else {}
    run = _Run(encoder, documents, examples, settings, folder, lengths, choose)
    # The caller's random state is left as it was; every step seeds its own.
    with torch.random.fork_rng(devices=[]):
        if not run.resume():
            run.begin(score)
        stage = f"training {encoder.spec.name}"
        while run.step < run.planned and not run.patience_is_over():
            run.advance()
            if run.step in run.evaluation_steps:
                run.evaluate(score)
                if evaluated:
                    evaluated(run.history, run.planned)
            progress(stage, run.step, run.planned)
    encoder.load_weights(run.checkpoint(run.best().step) / WEIGHTS)
    encoder.module.eval()
    if settings.average and score is not None and choose:
        scores = choose_average(encoder, started, settings.average, score)
        return replace(run.result(), averages={f"{share:g}": value for share, value in scores.items()})
    return run.result()


class _Run:
    """The state of one training: encoder, optimiser, step and history."""

    def __init__(
        self,
        encoder: QueryEncoder,
        documents: np.ndarray,
        examples: Sequence[Example],
        settings: TrainSettings,
        folder: Path,
        lengths: np.ndarray | None,
        choose: bool = True,
    ) -> None:
        self.encoder = encoder
        self.choose = choose
        self.examples = examples
        self.settings = settings
        self.folder = folder
        self.documents = _frozen_tensor(documents)
        self.unit = float(np.median(lengths)) if lengths is not None else 1.0
        self.lengths = torch.from_numpy(lengths / self.unit) if lengths is not None else None
        self.steps_per_epoch = -(-len(examples) // (settings.batch_size * settings.accumulate))
        self.planned = self.steps_per_epoch * settings.epochs
        parts = settings.epochs * settings.evaluations
        self.evaluation_steps = {max(1, -(-self.planned * part // parts)) for part in range(1, parts + 1)}
        self.optimiser = _optimiser(encoder.module, settings)
        make = SYNTHESES.get(settings.synthesis)
        self.synthesis = make(settings, documents.shape[1], settings.seed) if make else None
        self.step = 0
        self.epoch = -1
        self.batches: list[np.ndarray] = []
        self.history: list[Evaluation] = []
        self.precision = ""
        self.sample = sample_of(examples)
        self.losses: list[float] = []
        self.audit: list[dict[str, float]] = []
        self.started = time.perf_counter()
        self.seconds = 0.0
        self.queries = 0

    def begin(self, score: Score | None) -> None:
        """Measure the encoder as it is, and keep it: the best so far."""
        self.precision = self.settings.precision
        if self.precision == "auto":
            self.precision = _faster_precision(self.encoder, [example.text for example in self.examples])
        self.evaluate(score)

    def advance(self) -> None:
        """Take one step of the optimiser."""
        started = time.perf_counter()
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)
        random = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.step)
        self.encoder.module.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.optimiser.zero_grad(set_to_none=True)
        drawn = self._batch()
        cost = 0.0
        for part in np.array_split(drawn, -(-len(drawn) // self.settings.batch_size)):
            batch = [self.examples[i] for i in part]
            loss = self._cost(batch, random) * (len(part) / len(drawn))
            if not torch.isfinite(loss):
                raise SpecmineError(
                    f"training {self.encoder.spec.name}: the loss is {loss.item()} at step {self.step + 1}; "
                    "lower learning_rate or raise temperature"
                )
            loss.backward()  # type: ignore[no-untyped-call]
            cost += loss.item()
        torch.nn.utils.clip_grad_norm_(self.encoder.module.parameters(), self.settings.gradient_clip)
        self.optimiser.step()
        self.step += 1
        if self.synthesis is not None:
            self.synthesis.step()
            if self.step % self.steps_per_epoch == 0:
                self.synthesis.end_epoch()
        self.losses.append(cost)
        self.queries += len(drawn)
        self.seconds += time.perf_counter() - started

    def _cost(self, examples: Sequence[Example], random: torch.Generator) -> Tensor:
        """Return what a batch costs by all losses together, and note what the operators should know of it."""
        settings = self.settings
        with _autocast(self.precision):
            embedded = self.encoder.forward_tokens([example.text for example in examples])
        queries = embedded.unit.float()
        masks = masks_of(examples, len(self.documents))
        taught = teacher_of(examples, len(self.documents)) if TAUGHT.intersection(settings.losses) else None
        total = queries.new_zeros(())
        for name, weight in settings.losses.items():
            names = settings.negatives_at(name, self.step / self.planned)
            chosen = choose_negatives(names, queries.detach(), self.documents, masks, settings, random)
            batch = Batch(
                queries=queries,
                documents=self.documents,
                positives=masks.positives,
                negatives=chosen,
                query_lengths=embedded.norms.float() / self.unit if self.lengths is not None else None,
                document_lengths=self.lengths,
                teacher=taught,
            )
            if self.synthesis is None:
                total = total + weight * self._loss(name, batch)
                continue
            allowed = masks.negatives & ~masks.positives
            cost, audit = self.synthesis.cost(batch, allowed, partial(self._loss, name), random)
            self.audit.append(audit)
            total = total + weight * cost
        return total

    def _loss(self, name: str, batch: Batch) -> Tensor:
        """Return what a batch over all documents costs by one loss, and note how much of it was clamped."""
        batch = restrict(batch)
        if name in ("debiased", "hard_debiased"):
            hardness = self.settings.hardness if name == "hard_debiased" else 0.0
            self.audit.append({"clamped": clamped_share(batch, self.settings, hardness)})
        return LOSSES[name](batch, self.settings)

    def evaluate(self, score: Score | None) -> None:
        """Measure, then write a checkpoint."""
        self.encoder.module.eval()
        loss = sum(self.losses) / len(self.losses) if self.losses else None
        self.history.append(
            Evaluation(
                self.step,
                score(self.encoder) if score else None,
                loss,
                self._audited(),
                in_blocks(self.losses),
                look(self.encoder, self.documents.numpy(), self.sample),
            )
        )
        self.losses, self.audit = [], []
        self._save()
        for worry in self.worries():
            log.warning("training %s: %s", self.encoder.spec.name, worry)

    def worries(self) -> list[str]:
        """Return what is wrong by now."""
        losses = [loss for entry in self.history for loss in entry.losses]
        looks = [entry.look for entry in self.history]
        return worries(looks, losses, self.history[-1].audit, self.step / self.planned)

    def _audited(self) -> dict[str, float]:
        names = sorted({name for entry in self.audit for name in entry})
        return {name: float(np.mean([entry[name] for entry in self.audit if name in entry])) for name in names}

    def best(self) -> Evaluation:
        """Return the best evaluation, of equals the first; the last where no score chooses."""
        scored = [
            (entry.score, -entry.step, entry) for entry in self.history if self.choose and entry.score is not None
        ]
        return max(scored)[2] if scored else self.history[-1]

    def patience_is_over(self) -> bool:
        """Tell whether the last ``patience`` evaluations brought nothing better."""
        since = [evaluation for evaluation in self.history if evaluation.step > self.best().step]
        return len(since) >= self.settings.patience

    def checkpoint(self, step: int) -> Path:
        """Return where the checkpoint of a step lies."""
        return self.folder / f"step-{step:08d}"

    def resume(self) -> bool:
        """Continue from the latest checkpoint; return False when there is none."""
        found = sorted(path for path in self.folder.glob("step-*") if is_whole(path) and path.suffix == "")
        if not found:
            return False
        saved = read_json(found[-1] / MANIFEST)
        self.precision = saved["precision"]
        self.history = [Evaluation(**{**entry, "look": Look(**entry.get("look", {}))}) for entry in saved["history"]]
        self.step = self.history[-1].step
        self.encoder.load_weights(found[-1] / WEIGHTS)
        if self.synthesis is not None and self.synthesis.state():
            self.synthesis.resume(load_file(found[-1] / SYNTHESIS))
        moments = load_file(found[-1] / MOMENTS)
        for name, parameter in self.encoder.module.named_parameters():
            if f"{name}/{_MOMENTS[0]}" in moments:
                self.optimiser.state[parameter] = {
                    "step": torch.tensor(float(self.step)),
                    **{moment: moments[f"{name}/{moment}"] for moment in _MOMENTS},
                }
        return True

    def result(self) -> Trained:
        """Return how the run went."""
        return Trained(
            before=self.history[0],
            best=self.best(),
            history=tuple(self.history),
            planned_steps=self.planned,
            precision=self.precision,
            seconds=self.seconds,
            queries_per_second=self.queries / self.seconds if self.seconds else 0.0,
            wall_seconds=round(time.perf_counter() - self.started, 2),
            peak_mb=peak_memory(),
            worries=tuple(self.worries()),
        )

    def _save(self) -> None:
        names: dict[Tensor, str] = {parameter: name for name, parameter in self.encoder.module.named_parameters()}
        moments = {
            f"{names[parameter]}/{moment}": state[moment].contiguous()
            for parameter, state in self.optimiser.state.items()
            for moment in _MOMENTS
        }
        with write_artifact(self.checkpoint(self.step)) as partial:
            self.encoder.save_weights(partial / WEIGHTS)
            save_file(moments, partial / MOMENTS)
            if self.synthesis is not None and (learnt := self.synthesis.state()):
                save_file(learnt, partial / SYNTHESIS)
            write_json(
                partial / MANIFEST, {"precision": self.precision, "history": [asdict(entry) for entry in self.history]}
            )
        wanted = {self.checkpoint(self.step), self.checkpoint(self.best().step)}
        for path in self.folder.glob("step-*"):
            if path not in wanted:
                shutil.rmtree(path, ignore_errors=True)

    def _batch(self) -> np.ndarray:
        epoch, position = divmod(self.step, self.steps_per_epoch)
        if self.epoch != epoch:
            lengths = [len(example.text) for example in self.examples]
            order = np.random.default_rng([self.settings.seed, epoch])
            size = self.settings.batch_size * self.settings.accumulate
            self.epoch, self.batches = epoch, batches(lengths, size, order)
        return self.batches[position]

    def _learning_rate(self) -> float:
        warm = round(self.planned * self.settings.warmup)
        share = (self.step + 1) / warm if self.step < warm else (self.planned - self.step) / (self.planned - warm)
        return self.settings.learning_rate * share


def batches(lengths: Sequence[int], size: int, random: np.random.Generator) -> list[np.ndarray]:
    """Cut a shuffled epoch into batches of queries of like length, and shuffle the batches.

    Returns index arrays of ``size`` (the last of the shuffle may be smaller) that hold every index once.
    """
    order = random.permutation(len(lengths))
    pool = size * _BATCHES_SORTED
    cut: list[np.ndarray] = []
    for start in range(0, len(order), pool):
        by_length = np.asarray(sorted(order[start : start + pool], key=lambda i: lengths[i]), dtype=np.int64)
        cut += [by_length[first : first + size] for first in range(0, len(by_length), size)]
    return [cut[i] for i in random.permutation(len(cut))]


def _optimiser(module: torch.nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, arXiv 1711.05101); as is usual, biases and layer norms are not decayed."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.learning_rate, fused=True)


def _frozen_tensor(documents: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        # torch warns that it could write into a read-only array; nothing here does, and a copy may be gigabytes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(documents)


def _autocast(precision: str) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _faster_precision(encoder: QueryEncoder, texts: Sequence[str]) -> str:
    """Time a forward and a backward pass on a few queries in both precisions; the weights do not change."""
    sample = sorted(texts, key=len)[:: max(1, len(texts) // 16)][:16]
    encoder.module.train()
    seconds = {}
    for precision in ("float32", "bfloat16"):
        times = []
        for _ in range(3):  # the first pass allocates
            started = time.perf_counter()
            with _autocast(precision):
                queries = encoder.forward_tokens(sample).unit
            queries.float().square().sum().backward()  # type: ignore[no-untyped-call]
            times.append(time.perf_counter() - started)
        seconds[precision] = min(times[1:])
    encoder.module.zero_grad(set_to_none=True)
    # Rounding is a price: it must buy something that can be felt.
    return "bfloat16" if seconds["bfloat16"] < 0.9 * seconds["float32"] else "float32"
