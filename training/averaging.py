"""A guard against forgetting: the trained weights averaged with those they started from.

WiSE-FT (Wortsman et al., arXiv 2109.01903): a point on the line between both is often better on what was not trained
for, and no worse on what was. Which point is chosen on held-out queries that do not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from indexing.encoders.query import QueryEncoder


def choose_average(
    encoder: QueryEncoder,
    started: Mapping[str, Tensor],
    shares: Sequence[float],
    score: Callable[[QueryEncoder], float],
) -> dict[float, float]:
    """Leave ``encoder`` with the best average of its weights and of ``started``; return the score of each share.

    A share is that of the trained weights: 1 keeps them, 0 would be the start. Of equals the larger share wins, for it
    learnt more. ``started`` are the encoder's ``trained_weights`` as they were before.
    """
    trained = {name: tensor.clone() for name, tensor in encoder.trained_weights().items()}
    found: dict[float, float] = {}
    for share in sorted({*shares, 1.0}):
        set_average(encoder, started, trained, share)
        found[share] = score(encoder)
    best = max(found, key=lambda share: (found[share], share))
    set_average(encoder, started, trained, best)
    return found


def set_average(
    encoder: QueryEncoder, started: Mapping[str, Tensor], trained: Mapping[str, Tensor], share: float
) -> None:
    """Give ``encoder`` the weights on the line from ``started`` (share 0) to ``trained`` (share 1)."""
    with torch.no_grad():
        for name, tensor in encoder.trained_weights().items():
            # Of a low-rank addition B A one factor is scaled, so that the addition is.
            if not tensor.is_floating_point() or name.endswith(".down"):
                tensor.copy_(trained[name])
            else:
                tensor.copy_(torch.lerp(started[name], trained[name], share))
