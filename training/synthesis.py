"""The family of syntheses: negatives that no document holds, made from those that documents hold.

Queries are compared as they are embedded now, so that what is made keeps up with the training. A member is made once
for a training; what it learns on the way goes into the checkpoints, and is thrown away with them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from training.batch import Batch
from training.loss_settings import LossSettings
from training.synthesis_gca import Gca
from training.synthesis_mix import Mixing, mix, mochi
from training.synthetic import Synthetic


class Synthesis(Protocol):
    """A way of making negatives, with all that it learnt so far.

    A ``batch`` is over all documents of the index; ``allowed`` (B, N) bool are those that may count against a query,
    whether or not they are among the batch's negatives.
    """

    def make(self, batch: Batch, allowed: Tensor, random: torch.Generator) -> Synthetic:
        """Return the negatives that would be made now. Nothing is learnt from it."""
        ...

    def cost(
        self, batch: Batch, allowed: Tensor, loss: Callable[[Batch], Tensor], random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Return what the batch costs with synthetic negatives, and what the operators should know of these."""
        ...

    def step(self) -> None:
        """Learn from the batches that were costed since the last step."""
        ...

    def end_epoch(self) -> None:
        """Take note that every query was seen once more."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return all that a checkpoint must keep, empty where nothing is learnt."""
        ...

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the state of a checkpoint."""
        ...


SYNTHESES: dict[str, Callable[[LossSettings, int, int, torch.device], Synthesis]] = {
    "mix": lambda settings, dimension, seed, device: Mixing(mix, settings),
    "mochi": lambda settings, dimension, seed, device: Mixing(mochi, settings),
    "gca": Gca,
}
"""Each makes its member from the settings, the encoder's dimension, a seed and the device it computes on."""

READ_BY_SYNTHESIS: dict[str, tuple[str, ...]] = {
    "mix": ("synthetic", "hardest"),
    "mochi": ("synthetic", "hardest"),
    "gca": ("synthetic", "temperature", "gca"),
}
