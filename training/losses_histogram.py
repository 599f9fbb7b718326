"""Histogram loss (Ustinova & Lempitsky, arXiv 1611.00822): the chance that a negative pair outscores a positive one.

No temperature and no margin: the similarities of all positive and of all negative pairs of a batch make one histogram
each, and the loss is how much they overlap. With ``linear`` slots the gradient is zero wherever the other histogram is
empty (fully reversed pairs cost 1 and learn nothing): begin from a trained encoder or another loss. ``exponential``
slots reach over all nodes and have a gradient everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from training.batch import Batch
from training.loss_settings import LossSettings


def histogram(batch: Batch, settings: LossSettings) -> Tensor:
    """Return Σ_r h⁻_r Σ_{q≤r} h⁺_q over the pairs of the whole batch, in [0, 1]."""
    cosines, negatives = batch.negative_cosines()
    of_documents = cosines[:, : batch.positives.shape[1]]
    slots = SLOTS[settings.slots]
    positive = slots(of_documents[batch.positives], settings.bins)
    negative = slots(cosines[negatives], settings.bins)
    return (negative * positive.cumsum(dim=0)).sum()


def linear_slots(similarities: Tensor, bins: int) -> Tensor:
    """Return (bins,) the histogram of (m,) similarities: each is shared by its two nearest nodes of [-1, 1]."""
    width = 2 / (bins - 1)
    place = (similarities.clamp(-1, 1) + 1) / width
    low = place.detach().floor().clamp(max=bins - 2).long()
    share = place - low
    counts = similarities.new_zeros(bins)
    counts = counts.index_add(0, low, 1 - share).index_add(0, low + 1, share)
    return counts / len(similarities)


def exponential_slots(similarities: Tensor, bins: int) -> Tensor:
    """Return (bins,) the histogram of (m,) similarities: each is spread over all nodes by e^(-distance / width)."""
    nodes = torch.linspace(-1, 1, bins, dtype=similarities.dtype, device=similarities.device)
    width = 2 / (bins - 1)
    total = similarities.new_zeros(bins)
    for part in torch.split(similarities.clamp(-1, 1), 8192):  # (m, bins) at once would be large
        shares = torch.softmax(-(part[:, None] - nodes).abs() / width, dim=1)
        total = total + shares.sum(dim=0)
    return total / len(similarities)


SLOTS: dict[str, Callable[[Tensor, int], Tensor]] = {"linear": linear_slots, "exponential": exponential_slots}
