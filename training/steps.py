"""What every training loop here shares: steps that are fixed by their settings, and checkpoints to go on from.

Layout of a run's folder::

    step-00000120/weights.safetensors    what is trained
    step-00000120/moments.safetensors    AdamW's first and second moments
    step-00000120/manifest.json          last: what else the loop needs to go on

Only the latest step and the best evaluated one are kept.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from indexing.home import is_whole
from training.step_settings import StepSettings

WEIGHTS = "weights.safetensors"
MOMENTS = "moments.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Plan:
    """The steps of a training on ``examples`` examples, ``per_step`` of them in each step."""

    settings: StepSettings
    examples: int
    per_step: int

    @property
    def steps_per_epoch(self) -> int:
        """How many steps an epoch has; the last may have fewer examples."""
        return -(-self.examples // self.per_step)

    @property
    def steps(self) -> int:
        """How many steps all epochs have."""
        return self.steps_per_epoch * self.settings.epochs

    @property
    def evaluations(self) -> frozenset[int]:
        """The steps after which there is an evaluation, the last among them."""
        parts = self.settings.epochs * self.settings.evaluations
        return frozenset(max(1, -(-self.steps * part // parts)) for part in range(1, parts + 1))

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0: it rises over the warm-up, then falls to 0."""
        warm = round(self.steps * self.settings.warmup)
        share = (step + 1) / warm if step < warm else (self.steps - step) / (self.steps - warm)
        return self.settings.learning_rate * share


def optimiser_of(module: nn.Module, settings: StepSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter, arXiv 1711.05101); as is usual, biases and layer norms are not decayed."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.learning_rate, fused=True)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a training with this precision computes on a device."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bfloat16" else nullcontext()


def faster_precision(module: nn.Module, costs: Sequence[Callable[[], Tensor]], device: torch.device) -> str:
    """Time forward and backward passes, each a cost to compute, in both precisions; the weights do not change."""
    seconds = {}
    for precision in ("float32", "bfloat16"):
        times = []
        for cost in costs:  # the first pass allocates
            started = time.perf_counter()
            with autocast(precision, device):
                total = cost()
            total.backward()  # type: ignore[no-untyped-call]
            if device.type != "cpu":
                torch.accelerator.synchronize(device)  # it computes while Python goes on
            times.append(time.perf_counter() - started)
        seconds[precision] = min(times[1:] or times)
    module.zero_grad(set_to_none=True)
    # Rounding is a price: it must buy something that can be felt.
    return "bfloat16" if seconds["bfloat16"] < 0.9 * seconds["float32"] else "float32"


def moments_of(named: Iterable[tuple[str, nn.Parameter]], optimiser: torch.optim.AdamW) -> dict[str, Tensor]:
    """Return AdamW's moments of the parameters that have any, as ``name/moment``."""
    return {
        f"{name}/{moment}": optimiser.state[parameter][moment].cpu().contiguous()
        for name, parameter in named
        if parameter in optimiser.state
        for moment in _MOMENTS
    }


def restore_moments(
    named: Iterable[tuple[str, nn.Parameter]], optimiser: torch.optim.AdamW, moments: Mapping[str, Tensor], steps: int
) -> None:
    """Let the optimiser go on after ``steps`` steps with what ``moments_of`` gave."""
    for name, parameter in named:
        if f"{name}/{_MOMENTS[0]}" in moments:
            optimiser.state[parameter] = {
                "step": torch.tensor(float(steps)).to(parameter.device),
                **{moment: moments[f"{name}/{moment}"].to(parameter.device) for moment in _MOMENTS},
            }


def checkpoint(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}"


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the latest whole checkpoint, None when there is none."""
    found = [path for path in folder.glob("step-*") if is_whole(path) and path.suffix == ""]
    return max(found, default=None)


def keep_checkpoints(folder: Path, steps: Collection[int]) -> None:
    """Remove all checkpoints but those of ``steps``."""
    wanted = {checkpoint(folder, step) for step in steps}
    for path in folder.glob("step-*"):
        if path not in wanted:
            shutil.rmtree(path, ignore_errors=True)
