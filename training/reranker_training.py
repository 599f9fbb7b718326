"""The re-ranker's training loop: a cross-encoder learns to put a judged passage above the mined ones.

Localized contrastive estimation (Gao, Dai & Callan, arXiv 2101.08751): of each query a group of one judged passage and
``group_size - 1`` negatives, drawn from its ledger's hard and random ones, anew in each epoch; the loss is the cross
entropy of the judged one among them.

A run is a plain sequence of steps that is fixed by its settings; nothing else is drawn. A checkpoint
(``training.steps``) holds weights, optimiser moments and history: a run that was killed continues from its last one to
the very result of an uninterrupted run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from indexing.embedding import Progress
from indexing.encoders.cross import CrossEncoder
from indexing.home import MANIFEST, SpecmineError, read_json, write_artifact, write_json
from training.device import device_of, moved
from training.reranker_settings import RerankerSettings
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
from training.targets import Example

_GROUPS_TIMED = 3


@dataclass(frozen=True)
class GroupEvaluation:
    """One evaluation on the held-out groups after ``step`` steps.

    ``held_out`` is their mean loss, ``first`` the share of groups whose judged passage stands first, ``loss`` the mean
    of the training groups since the last evaluation (None at the start).
    """

    step: int
    held_out: float
    first: float
    loss: float | None


@dataclass(frozen=True)
class TrainedReranker:
    """How a run went; ``best`` is the evaluation whose weights the cross-encoder carries, of step 0 the untrained one.

    ``seconds`` counts the training steps of all processes that took part, ``pairs_per_second`` those of the last.
    """

    best: GroupEvaluation
    history: tuple[GroupEvaluation, ...]
    planned_steps: int
    precision: str
    seconds: float
    pairs_per_second: float


def lce(logits: Tensor) -> Tensor:
    """Return the mean over B groups of ``-log softmax``; ``logits`` (B, group), the judged passage first."""
    return torch.logsumexp(logits, dim=1).sub(logits[:, 0]).mean()


def draw_group(example: Example, size: int, passages: int, random: np.random.Generator) -> list[int]:
    """Return ``size`` different rows of all ``passages``: a judged one, then negatives of the ledger.

    Where the ledger has too few, what is missing is drawn from all passages that may count against the query.
    """
    positive = int(random.choice(example.positives))
    mined = random.choice(example.ledger, min(size - 1, len(example.ledger)), replace=False).tolist()
    used = {*mined, *example.positives.tolist(), *example.masked.tolist()}
    if size - 1 - len(mined) > passages - len(used):
        raise SpecmineError(
            f"the index has too few passages for groups of {size}: lower group_size in [reranker], or ingest more"
        )
    while len(mined) < size - 1:
        row = int(random.integers(passages))
        if row not in used:
            used.add(row)
            mined.append(row)
    return [positive, *mined]


def train_reranker(
    encoder: CrossEncoder,
    texts: Sequence[str],
    examples: Sequence[Example],
    held_out: Sequence[Example],
    settings: RerankerSettings,
    folder: Path,
    progress: Progress,
) -> TrainedReranker:
    """Train ``encoder``, which must be exact, in place; ``texts`` are all passages as it reads them.

    The examples' rows count ``texts``. Checkpoints go to ``folder``; when it holds some of the same run, training
    continues from the latest. Raises SpecmineError when the loss is no longer a number.
    """
    # No dropout: on a processor it doubles a step's time, and what is seen once or twice is not learned by heart.
    encoder.module.eval()
    stage = f"training {encoder.spec.name}, groups"
    device = device_of(settings.device)
    with moved(encoder.module, device):
        run = _Run(encoder, texts, examples, held_out, settings, folder, device)
        progress(stage, 0, run.groups_planned())
        if not run.resume():
            run.begin()
        progress(stage, run.groups_done(), run.groups_planned())
        while run.step < run.plan.steps and run.in_time():
            run.advance()
            if run.step in run.plan.evaluations or not run.in_time():
                run.evaluate()
                run.save()
            elif run.step % settings.checkpoint_steps == 0:
                run.save()
            progress(stage, run.groups_done(), run.groups_planned())
        encoder.module.load_state_dict(load_file(checkpoint(folder, run.best().step) / WEIGHTS))
        return run.result()


class _Run:
    """The state of one training: cross-encoder, optimiser, step and history."""

    def __init__(
        self,
        encoder: CrossEncoder,
        texts: Sequence[str],
        examples: Sequence[Example],
        held_out: Sequence[Example],
        settings: RerankerSettings,
        folder: Path,
        device: torch.device,
    ) -> None:
        self.device = device
        self.encoder, self.texts, self.examples, self.settings, self.folder = encoder, texts, examples, settings, folder
        self.plan = Plan(settings, len(examples), settings.batch_size)
        self.held_out = [self.group(example, (0, place)) for place, example in enumerate(held_out)]
        choose_layers(encoder.module, settings.layers)
        self.optimiser = optimiser_of(encoder.module, settings)
        self.step = 0
        self.history: list[GroupEvaluation] = []
        self.precision = ""
        self.losses: list[float] = []
        self.seconds = 0.0
        self.pairs, self.pair_seconds = 0, 0.0

    def group(self, example: Example, seed: tuple[int, int]) -> list[tuple[str, str]]:
        """Return the pairs of one group; the draw is fixed by the run's seed and ``seed``."""
        random = np.random.default_rng([self.settings.seed, *seed])
        rows = draw_group(example, self.settings.group_size, len(self.texts), random)
        return [(example.text, self.texts[row]) for row in rows]

    def begin(self) -> None:
        """Evaluate the cross-encoder as it is, and keep it: the best so far."""
        self.precision = self.settings.precision
        if self.precision == "auto":
            groups = self.held_out[:_GROUPS_TIMED]
            self.precision = faster_precision(
                self.encoder.module, [partial(self._group_loss, pairs) for pairs in groups], self.device
            )
        self.evaluate()
        self.save()

    def in_time(self) -> bool:
        """Tell whether there is time for another step."""
        return self.seconds < 60.0 * self.settings.minutes

    def groups_done(self) -> int:
        """Return how many groups were learned from."""
        epoch, position = divmod(self.step, self.plan.steps_per_epoch)
        return epoch * len(self.examples) + min(position * self.settings.batch_size, len(self.examples))

    def groups_planned(self) -> int:
        """Return how many groups all epochs have."""
        return len(self.examples) * self.settings.epochs

    def advance(self) -> None:
        """Take one step of the optimiser: a group's graph at a time is in memory."""
        started = time.perf_counter()
        for part in self.optimiser.param_groups:
            part["lr"] = self.plan.learning_rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        epoch, drawn = self._batch()
        for place in drawn:
            pairs = self.group(self.examples[place], (epoch + 1, int(place)))
            with autocast(self.precision, self.device):
                loss = self._group_loss(pairs)
            if not torch.isfinite(loss):
                raise SpecmineError(
                    f"training {self.encoder.spec.name}: the loss is {loss.item()} at step {self.step + 1}; "
                    "lower learning_rate in [reranker]"
                )
            (loss / len(drawn)).backward()  # type: ignore[no-untyped-call]
            self.losses.append(loss.item())
            self.pairs += len(pairs)
        nn.utils.clip_grad_norm_(self.encoder.module.parameters(), self.settings.gradient_clip)
        self.optimiser.step()
        self.step += 1
        self.seconds += time.perf_counter() - started
        self.pair_seconds += time.perf_counter() - started

    def evaluate(self) -> None:
        """Measure the held-out groups, which are the same at every evaluation."""
        with torch.no_grad(), autocast(self.precision, self.device):
            logits = torch.stack([self.encoder.forward_pairs(pairs) for pairs in self.held_out])
        loss = sum(self.losses) / len(self.losses) if self.losses else None
        first = float((logits.argmax(dim=1) == 0).float().mean())
        self.history.append(GroupEvaluation(self.step, lce(logits).item(), first, loss))
        self.losses = []

    def best(self) -> GroupEvaluation:
        """Return the evaluation with the least held-out loss, of equals the first."""
        return min(self.history, key=lambda entry: (entry.held_out, entry.step))

    def resume(self) -> bool:
        """Continue from the latest checkpoint; return False when there is none."""
        found = latest_checkpoint(self.folder)
        if found is None:
            return False
        saved = read_json(found / MANIFEST)
        self.step, self.precision, self.seconds = saved["step"], saved["precision"], saved["seconds"]
        self.history = [GroupEvaluation(**entry) for entry in saved["history"]]
        self.losses = saved["losses"]
        self.encoder.module.load_state_dict(load_file(found / WEIGHTS))
        restore_moments(self.encoder.module.named_parameters(), self.optimiser, load_file(found / MOMENTS), self.step)
        return True

    def save(self) -> None:
        """Write a checkpoint; of the others only the best evaluated one is kept."""
        with write_artifact(checkpoint(self.folder, self.step)) as folder:
            weights = {name: tensor.cpu().contiguous() for name, tensor in self.encoder.module.state_dict().items()}
            save_file(weights, folder / WEIGHTS)
            save_file(moments_of(self.encoder.module.named_parameters(), self.optimiser), folder / MOMENTS)
            manifest = {"step": self.step, "precision": self.precision, "seconds": self.seconds, "losses": self.losses}
            write_json(folder / MANIFEST, {**manifest, "history": [asdict(entry) for entry in self.history]})
        keep_checkpoints(self.folder, {self.step, self.best().step})

    def result(self) -> TrainedReranker:
        """Return how the run went."""
        return TrainedReranker(
            best=self.best(),
            history=tuple(self.history),
            planned_steps=self.plan.steps,
            precision=self.precision,
            seconds=self.seconds,
            pairs_per_second=self.pairs / self.pair_seconds if self.pair_seconds else 0.0,
        )

    def _group_loss(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        return lce(self.encoder.forward_pairs(pairs)[None])

    def _batch(self) -> tuple[int, np.ndarray]:
        epoch, position = divmod(self.step, self.plan.steps_per_epoch)
        order = np.random.default_rng([self.settings.seed, epoch]).permutation(len(self.examples))
        size = self.settings.batch_size
        return epoch, order[position * size : (position + 1) * size]


def choose_layers(module: nn.Module, layers: int) -> None:
    """Let exactly the last ``layers`` of the longest stack, and what comes after it, be trained; 0: everything.

    Raises SpecmineError when the model has fewer.
    """
    module.requires_grad_(True)
    if layers == 0:
        return
    stacks = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    stack = max(stacks, key=len, default=nn.ModuleList())
    if len(stack) < layers:
        raise SpecmineError(f"the cross-encoder has {len(stack)} layers, fewer than the {layers} of [reranker]")
    for name, part in module.named_modules():
        if name.endswith("embeddings"):
            part.requires_grad_(False)
    for layer in list(stack)[: len(stack) - layers]:
        layer.requires_grad_(False)
