"""What every training here takes its steps by, whatever it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chunking.checks import check_range
from training.device import AUTO, check_device

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class StepSettings:
    """How the steps of a training are taken.

    The learning rate rises over the share ``warmup`` of all steps and then falls to 0. ``evaluations`` are made in each
    epoch. ``precision`` ``auto`` times float32 and bfloat16 autocast and takes the faster. ``device`` is one of torch's
    names; ``auto`` is an accelerator where there is one, else the processor (``training.device``).
    """

    learning_rate: float = 3e-5
    batch_size: int = 16
    epochs: int = 6
    evaluations: int = 1
    warmup: float = 0.1
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    precision: Precision = "auto"
    device: str = AUTO
    seed: int = 17

    def __post_init__(self) -> None:
        for name in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name, low, high in (
            ("batch_size", 1, 4096),
            ("epochs", 1, 1000),
            ("evaluations", 1, 100),
            ("seed", 0, 2**32 - 1),
        ):
            check_range(self, name, low, high)
        check_device(self.device)
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the steps, 0 to below 1, not {self.warmup}")
        if not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay must be 0 to below 1, not {self.weight_decay}")
