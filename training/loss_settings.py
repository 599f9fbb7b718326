"""The parameters of losses and syntheses, validated; they are saved with every version that a training makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from chunking.checks import check_range

Slots = Literal["linear", "exponential"]


@dataclass(frozen=True)
class GcaSettings:
    """What the synthesis ``gca`` reads beside ``synthetic`` and ``temperature``; the defaults are its paper's.

    ``layers`` and ``heads`` (which must divide the encoder's dimension) make the generator, and ``learning_rate`` is
    its own. ``bank`` documents of earlier batches are in every graph. ``alpha`` (α) is how fast what is made comes
    nearer as the loss falls, ``beta`` (β) how much of the generator's loss is forgiven before it counts for less.
    """

    layers: int = 1
    heads: int = 4
    bank: int = 64
    learning_rate: float = 1.5e-4
    alpha: float = 5.0
    beta: float = 20.0

    def __post_init__(self) -> None:
        for name, low, high in (("layers", 1, 12), ("heads", 1, 64), ("bank", 0, 100_000)):
            check_range(self, name, low, high)
        for name in ("learning_rate", "alpha", "beta"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"gca.{name} must be above 0, not {getattr(self, name)}")


@dataclass(frozen=True)
class LossSettings:
    """What ``training.losses``, ``training.negatives`` and ``training.synthesis`` read, each its own part.

    ``temperature`` divides cosines wherever a loss needs logits; below .02 a softmax sees the nearest negative alone.
    ``false_share`` (τ⁺, ``debiased`` and ``hard_debiased``) is how large a share of the negatives is taken to be
    answers nobody judged, and ``hardness`` (β, ``hard_debiased``) how much more the near ones count. ``bins`` (R) and
    ``slots`` (``histogram``): nodes of the histograms over [-1, 1], and whether a similarity falls between its two
    nearest nodes or is spread over all by e^-distance. ``curvature`` (c), ``hyperbolic_temperature`` (τ_h) and
    ``hyperbolic_weight`` (λ) (``hyperbolic``, ``hybrid``) are those of Yue et al. ``live_depth`` (``adore`` and the
    negatives ``live``) is how many of the nearest documents are looked at. ``teacher_temperature`` (``kl``,
    ``margin_mse``) divides the cross-encoder's logits. A synthesis makes ``synthetic`` (k) negatives of the ``hardest``
    (s) real ones of each query; ``gca`` makes one of each of the k hardest.
    """

    temperature: float = 0.03
    false_share: float = 0.01
    hardness: float = 1.0
    bins: int = 201
    slots: Slots = "linear"
    curvature: float = 0.1
    hyperbolic_temperature: float = 0.05
    hyperbolic_weight: float = 0.5
    live_depth: int = 200
    teacher_temperature: float = 1.0
    synthetic: int = 32
    hardest: int = 64
    gca: GcaSettings = field(default_factory=GcaSettings)

    def __post_init__(self) -> None:
        for name in ("temperature", "hyperbolic_temperature", "curvature", "teacher_temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.false_share < 1:
            raise ValueError(f"false_share must be 0 to below 1, not {self.false_share}")
        for name, low, high in (
            ("hardness", 0, 100),
            ("hyperbolic_weight", 0, 100),
            ("bins", 2, 100_001),
            ("live_depth", 2, 1_000_000),
            ("synthetic", 2, 100_000),
            ("hardest", 2, 100_000),
        ):
            check_range(self, name, low, high)
        if self.slots not in ("linear", "exponential"):
            raise ValueError(f"slots must be 'linear' or 'exponential', not {self.slots!r}")
