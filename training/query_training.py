"""The training loop: one query encoder learns against the frozen document vectors of an index.

A run is a plain sequence of steps that is fixed by its settings: the order of the queries by seed and epoch, dropout by
seed and step, the learning rate by the step. A checkpoint therefore holds weights, optimiser moments and the history
of evaluations, and a run that was killed continues from its last one to the very result of an uninterrupted run.

Besides what ``training.steps`` tells, a checkpoint has ``synthesis.safetensors``, what a synthesis learnt, where one
learns; its manifest has the precision and the history so far.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from indexing.embedding import Progress
from indexing.encoders.query import QueryEncoder
from indexing.home import MANIFEST, SpecmineError, read_json, write_artifact, write_json
from training.averaging import choose_average
from training.batch import Batch, restrict
from training.device import device_of, moved
from training.evaluations import UNWATCHED, Evaluation, Trained, Watch
from training.health import Look, in_blocks, look, peak_memory, sample_of, worries
from training.losses import LOSSES, TAUGHT
from training.losses_debiased import clamped_share
from training.negatives import choose_negatives
from training.steps import (
    MOMENTS,
    WEIGHTS,
    Plan,
    autocast,
    checkpoint,
    faster_precision,
    keep_checkpoints,
    latest_checkpoint,
    moments_of,
    optimiser_of,
    restore_moments,
)
from training.synthesis import SYNTHESES
from training.targets import Example, masks_of, teacher_of
from training.train_settings import TrainSettings

log = logging.getLogger(__name__)

SYNTHESIS = "synthesis.safetensors"
# Bump when the loop makes other weights of the same settings and data: what was made before is then trained again.
VERSION = 4
# Queries of like length share a batch, so that little padding is computed; these many batches are sorted at a time,
# few enough that an epoch stays well shuffled.
_BATCHES_SORTED = 16


def train(
    encoder: QueryEncoder,
    documents: np.ndarray,
    examples: Sequence[Example],
    settings: TrainSettings,
    folder: Path,
    progress: Progress,
    lengths: np.ndarray | None = None,
    watch: Watch = UNWATCHED,
) -> Trained:
    """Train ``encoder`` in place on ``examples`` against ``documents`` (N, d) float32, which are only read.

    ``lengths`` (N,) are the documents' norms before they were normalised, where they were kept; only hyperbolic losses
    read them. ``watch`` says what measures the encoder meanwhile, and which weights are kept.

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
    device = device_of(settings.device)
    # The caller's random state is left as it was; every step seeds its own.
    with moved(encoder.module, device), torch.random.fork_rng(devices=[]):
        weights = encoder.trained_weights() if settings.average else {}
        started = {name: tensor.clone() for name, tensor in weights.items()}
        run = _Run(encoder, documents, examples, settings, folder, lengths, watch, device)
        if not run.resume():
            run.begin()
        stage = f"training {encoder.spec.name}"
        while run.step < run.plan.steps and not run.patience_is_over():
            run.advance()
            if run.step in run.plan.evaluations:
                run.evaluate()
                if watch.evaluated:
                    watch.evaluated(run.history, run.plan.steps)
            progress(stage, run.step, run.plan.steps)
        encoder.load_weights(checkpoint(folder, run.best().step) / WEIGHTS)
        encoder.module.eval()
        averaging = watch.stopping or watch.averaging
        if settings.average and averaging:
            scores = choose_average(encoder, started, settings.average, averaging)
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
        watch: Watch,
        device: torch.device,
    ) -> None:
        self.encoder = encoder
        self.watch = watch
        self.examples = examples
        self.settings = settings
        self.folder = folder
        self.device = device
        self.rows = documents
        self.documents = _frozen_tensor(documents).to(device)
        self.unit = float(np.median(lengths)) if lengths is not None else 1.0
        self.lengths = torch.from_numpy(lengths / self.unit).to(device) if lengths is not None else None
        self.plan = Plan(settings, len(examples), settings.batch_size * settings.accumulate)
        self.optimiser = optimiser_of(encoder.module, settings)
        make = SYNTHESES.get(settings.synthesis)
        self.synthesis = make(settings, documents.shape[1], settings.seed, device) if make else None
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

    def begin(self) -> None:
        """Measure the encoder as it is, and keep it: the best so far."""
        self.precision = self.settings.precision
        if self.precision == "auto":
            self.precision = self._faster_precision()
        self.evaluate()

    def advance(self) -> None:
        """Take one step of the optimiser."""
        started = time.perf_counter()
        torch.manual_seed(self.settings.seed * 1_000_003 + self.step)
        random = torch.Generator().manual_seed(self.settings.seed * 1_000_003 + self.step)
        self.encoder.module.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate(self.step)
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
            if self.step % self.plan.steps_per_epoch == 0:
                self.synthesis.end_epoch()
        self.losses.append(cost)
        self.queries += len(drawn)
        self.seconds += time.perf_counter() - started

    def _cost(self, examples: Sequence[Example], random: torch.Generator) -> Tensor:
        """Return what a batch costs by all losses together, and note what the operators should know of it."""
        settings = self.settings
        with autocast(self.precision, self.device):
            embedded = self.encoder.forward_tokens([example.text for example in examples])
        queries = embedded.unit.float()
        masks = masks_of(examples, len(self.documents)).to(self.device)
        taught = None
        if TAUGHT.intersection(settings.losses):
            taught = teacher_of(examples, len(self.documents)).to(self.device)
        total = queries.new_zeros(())
        for name, weight in settings.losses.items():
            names = settings.negatives_at(name, self.step / self.plan.steps)
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

    def evaluate(self) -> None:
        """Measure, then write a checkpoint."""
        score = self.watch.stopping or self.watch.looking
        self.encoder.module.eval()
        loss = sum(self.losses) / len(self.losses) if self.losses else None
        self.history.append(
            Evaluation(
                self.step,
                score(self.encoder) if score else None,
                loss,
                self._audited(),
                in_blocks(self.losses),
                look(self.encoder, self.rows, self.sample),
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
        return worries(looks, losses, self.history[-1].audit, self.step / self.plan.steps)

    def _audited(self) -> dict[str, float]:
        names = sorted({name for entry in self.audit for name in entry})
        return {name: float(np.mean([entry[name] for entry in self.audit if name in entry])) for name in names}

    def best(self) -> Evaluation:
        """Return the best evaluation, of equals the first; the last where no score chooses."""
        if self.watch.stopping is None:
            return self.history[-1]
        return max(self.history, key=lambda entry: (entry.score or 0.0, -entry.step))

    def patience_is_over(self) -> bool:
        """Tell whether the last ``patience`` evaluations brought nothing better."""
        since = [evaluation for evaluation in self.history if evaluation.step > self.best().step]
        return len(since) >= self.settings.patience

    def resume(self) -> bool:
        """Continue from the latest checkpoint; return False when there is none."""
        found = latest_checkpoint(self.folder)
        if found is None:
            return False
        saved = read_json(found / MANIFEST)
        self.precision = saved["precision"]
        self.history = [Evaluation(**{**entry, "look": Look(**entry.get("look", {}))}) for entry in saved["history"]]
        self.step = self.history[-1].step
        self.encoder.load_weights(found / WEIGHTS)
        if self.synthesis is not None and self.synthesis.state():
            self.synthesis.resume(load_file(found / SYNTHESIS))
        restore_moments(self.encoder.module.named_parameters(), self.optimiser, load_file(found / MOMENTS), self.step)
        return True

    def result(self) -> Trained:
        """Return how the run went."""
        return Trained(
            before=self.history[0],
            best=self.best(),
            history=tuple(self.history),
            planned_steps=self.plan.steps,
            precision=self.precision,
            device=str(self.device),
            seconds=self.seconds,
            queries_per_second=self.queries / self.seconds if self.seconds else 0.0,
            wall_seconds=round(time.perf_counter() - self.started, 2),
            peak_mb=peak_memory(),
            worries=tuple(self.worries()),
        )

    def _save(self) -> None:
        with write_artifact(checkpoint(self.folder, self.step)) as folder:
            self.encoder.save_weights(folder / WEIGHTS)
            save_file(moments_of(self.encoder.module.named_parameters(), self.optimiser), folder / MOMENTS)
            if self.synthesis is not None and (learnt := self.synthesis.state()):
                save_file(learnt, folder / SYNTHESIS)
            write_json(
                folder / MANIFEST, {"precision": self.precision, "history": [asdict(entry) for entry in self.history]}
            )
        keep_checkpoints(self.folder, {self.step, self.best().step})

    def _batch(self) -> np.ndarray:
        epoch, position = divmod(self.step, self.plan.steps_per_epoch)
        if self.epoch != epoch:
            lengths = [len(example.text) for example in self.examples]
            order = np.random.default_rng([self.settings.seed, epoch])
            size = self.settings.batch_size * self.settings.accumulate
            self.epoch, self.batches = epoch, batches(lengths, size, order)
        return self.batches[position]

    def _faster_precision(self) -> str:
        texts = sorted((example.text for example in self.examples), key=len)
        sample = texts[:: max(1, len(texts) // 16)][:16]
        self.encoder.module.train()
        return faster_precision(
            self.encoder.module,
            [lambda: self.encoder.forward_tokens(sample).unit.float().square().sum()] * 3,
            self.device,
        )


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


def _frozen_tensor(documents: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        # torch warns that it could write into a read-only array; nothing here does, and a copy may be gigabytes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(documents)
