"""The parameters of losses and syntheses, validated; they are saved with every version that a training makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chunking.checks import check_range

Slots = Literal["linear", "exponential"]


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
    (s) real ones of each query.
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
