"""How a re-ranker is trained and judged: the table ``[reranker]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chunking.checks import check_range
from training.step_settings import StepSettings

HEAD, LEDGER = "head", "ledger"


@dataclass(frozen=True)
class RerankerSettings(StepSettings):
    """How a re-ranker is trained.

    Each of ``queries`` training queries at most (drawn by ``seed``; 0: all) gives a group of ``group_size`` passages in
    each epoch, a judged one and others: with ``groups`` "head" all of them from the first passages of its list, as the
    encoders as published rank it, with "ledger" any judged one and its mined and random negatives. ``held_out`` queries
    of train are set aside: they choose the best evaluation, and how the score is put together with the fused one. The
    referee judges on ``judged`` of its queries at most (0: all).

    The last ``layers`` of the transformer are trained (0: all, embeddings too). A step learns from ``batch_size``
    groups. After ``minutes`` of training the best weights so far are taken. A checkpoint is written every
    ``checkpoint_steps``.
    """

    epochs: int = 1
    evaluations: int = 2
    groups: Literal["head", "ledger"] = "head"
    group_size: int = 8
    queries: int = 2400
    held_out: int = 120
    judged: int = 0
    layers: int = 0
    checkpoint_steps: int = 10
    minutes: float = 240.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups not in (HEAD, LEDGER):
            raise ValueError(f'groups must be "{HEAD}" or "{LEDGER}", not {self.groups!r}')
        for name, low, high in (
            ("group_size", 2, 1024),
            ("queries", 0, 10_000_000),
            ("held_out", 1, 100_000),
            ("judged", 0, 10_000_000),
            ("layers", 0, 1000),
            ("checkpoint_steps", 1, 1_000_000),
        ):
            check_range(self, name, low, high)
        if not 0 < self.minutes < float("inf"):
            raise ValueError(f"minutes must be above 0, not {self.minutes}")
