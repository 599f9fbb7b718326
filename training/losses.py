"""The family of losses: what a batch of query embeddings costs against frozen document embeddings.

Every loss has one signature and returns a scalar of the queries' dtype::

    loss(batch, settings) -> Tensor

Which documents count against a query is chosen apart from the loss (``training.negatives``); what each loss is used
with unless others are named stands here in ``NEGATIVES_OF``.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from training.batch import Batch
from training.loss_settings import LossSettings
from training.losses_debiased import debiased, hard_debiased
from training.losses_histogram import histogram
from training.losses_hyperbolic import hybrid, hyperbolic
from training.losses_ranking import adore, kl, margin_mse
from training.losses_softmax import full_softmax, infonce, lce

Loss = Callable[[Batch, LossSettings], Tensor]

LOSSES: dict[str, Loss] = {
    "full_softmax": full_softmax,
    "infonce": infonce,
    "lce": lce,
    "debiased": debiased,
    "hard_debiased": hard_debiased,
    "histogram": histogram,
    "hyperbolic": hyperbolic,
    "hybrid": hybrid,
    "adore": adore,
    "margin_mse": margin_mse,
    "kl": kl,
}

NEGATIVES_OF: dict[str, tuple[str, ...]] = {
    "full_softmax": ("corpus",),
    "infonce": ("ledger", "in_batch"),
    "lce": ("ledger",),
    "debiased": ("ledger", "in_batch"),
    "hard_debiased": ("ledger", "in_batch"),
    "histogram": ("ledger", "in_batch"),
    "hyperbolic": ("ledger", "in_batch"),
    "hybrid": ("ledger", "in_batch"),
    "adore": ("live",),
    "margin_mse": ("ledger", "in_batch"),
    "kl": ("ledger", "in_batch"),
}

# Losses that read a cross-encoder's scores, and those that read the vectors' lengths.
TAUGHT = frozenset({"margin_mse", "kl"})
BY_LENGTH = frozenset({"hyperbolic", "hybrid"})

# Which of the parameters each loss reads; a sweep varies no other (``training.search_space``).
READ_BY_LOSS: dict[str, tuple[str, ...]] = {
    "full_softmax": ("temperature",),
    "infonce": ("temperature",),
    "lce": ("temperature",),
    "debiased": ("temperature", "false_share"),
    "hard_debiased": ("temperature", "false_share", "hardness"),
    "histogram": ("bins", "slots"),
    "hyperbolic": ("curvature", "hyperbolic_temperature"),
    "hybrid": ("temperature", "curvature", "hyperbolic_temperature", "hyperbolic_weight"),
    "adore": ("temperature", "live_depth"),
    "margin_mse": ("temperature", "teacher_temperature"),
    "kl": ("temperature", "teacher_temperature"),
}
