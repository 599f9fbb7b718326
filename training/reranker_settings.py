"""How a re-ranker is trained and judged: the table ``[reranker]``."""

from __future__ import annotations

from dataclasses import dataclass

from chunking.checks import check_range
from training.query_training import Precision


@dataclass(frozen=True)
class RerankerSettings:
    """How a re-ranker is trained.

    Each of ``queries`` training queries at most (drawn by ``seed``; 0: all) gives a group of ``group_size`` passages in
    each epoch. ``held_out`` queries of train are set aside: they choose the best evaluation, and how the score is put
    together with the fused one. The referee judges on ``judged`` of its queries at most (0: all).

    The last ``layers`` of the transformer are trained (0: all, embeddings too). A step learns from ``batch_size``
    groups. The learning rate rises over the share ``warmup`` of all steps and then falls to 0. After ``minutes`` of
    training the best weights so far are taken. A checkpoint is written every ``checkpoint_steps``. ``precision``
    ``auto`` times float32 and bfloat16 autocast and takes the faster.
    """

    group_size: int = 8
    queries: int = 2400
    held_out: int = 120
    judged: int = 0
    layers: int = 0
    learning_rate: float = 3e-5
    batch_size: int = 16
    epochs: int = 1
    evaluations: int = 2
    checkpoint_steps: int = 10
    minutes: float = 240.0
    warmup: float = 0.1
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    precision: Precision = "auto"
    seed: int = 17

    def __post_init__(self) -> None:
        for name, low, high in (
            ("group_size", 2, 1024),
            ("queries", 0, 10_000_000),
            ("held_out", 1, 100_000),
            ("judged", 0, 10_000_000),
            ("layers", 0, 1000),
            ("batch_size", 1, 4096),
            ("epochs", 1, 1000),
            ("evaluations", 1, 100),
            ("checkpoint_steps", 1, 1_000_000),
            ("seed", 0, 2**32 - 1),
        ):
            check_range(self, name, low, high)
        for name in ("learning_rate", "gradient_clip", "minutes"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup is a share of the steps, 0 to below 1, not {self.warmup}")
        if not 0 <= self.weight_decay < 1:
            raise ValueError(f"weight_decay must be 0 to below 1, not {self.weight_decay}")
