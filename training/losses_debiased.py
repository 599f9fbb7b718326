"""Contrastive losses that allow for false negatives: DCL (arXiv 2007.00224) and, with hard ones weighed up, HCL
(arXiv 2010.04592).

Of N negatives a share τ⁺ is taken to be answers nobody judged; what they add to the denominator, e^{s⁺/t} each, is
taken out again. What is left is bounded below by N e^{-1/t}, the least that N negatives can weigh; where that bound is
reached no gradient flows to the negatives, so ``clamped_share`` is a measure of every training.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.batch import Batch
from training.loss_settings import LossSettings


def debiased(batch: Batch, settings: LossSettings) -> Tensor:
    """DCL: ``-log(e^{s⁺/t} / (e^{s⁺/t} + Ng))`` with ``Ng = max((Σ e^{s/t} - τ⁺ N e^{s⁺/t}) / (1-τ⁺), N e^{-1/t})``.

    Of several positives the mean of e^{s⁺/t} stands for s⁺.
    """
    return _cost(batch, settings, hardness=0.0)


def hard_debiased(batch: Batch, settings: LossSettings) -> Tensor:
    """HCL: as ``debiased``, with Σ e^{s/t} replaced by ``Σ w e^{s/t} / mean(w)``, ``w = e^{β s/t}``."""
    return _cost(batch, settings, hardness=settings.hardness)


def clamped_share(batch: Batch, settings: LossSettings, hardness: float) -> float:
    """Return the share of the queries whose negatives are at the bound and give no gradient."""
    with torch.no_grad():
        positive, weight, count = _terms(batch, settings, hardness)
        left, floor = _left(positive, weight, count, settings)
        return float((left <= floor).double().mean())


def _cost(batch: Batch, settings: LossSettings, hardness: float) -> Tensor:
    positive, weight, count = _terms(batch, settings, hardness)
    left, floor = _left(positive, weight, count, settings)
    against = torch.maximum(left, floor)
    return (torch.logaddexp(positive, against) - positive).mean()


def _terms(batch: Batch, settings: LossSettings, hardness: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return (B,) log mean e^{s⁺/t}, log of the weighed sum of e^{s/t}, and log N."""
    cosines, negatives = batch.negative_cosines()
    logits = cosines / settings.temperature
    of_documents = logits[:, : batch.positives.shape[1]].masked_fill(~batch.positives, -torch.inf)
    positive = of_documents.logsumexp(dim=1) - batch.positives.sum(dim=1).to(logits.dtype).log()
    count = negatives.sum(dim=1).to(logits.dtype).log()
    masked = logits.masked_fill(~negatives, -torch.inf)
    # log(Σ w e^s / mean w) = log N + LSE((1 + β) s) - LSE(β s); with β = 0 the last is log N and they cancel.
    weight = ((1 + hardness) * masked).logsumexp(dim=1)
    if hardness > 0:
        weight = weight + count - (hardness * masked).logsumexp(dim=1)
    return positive, weight, count


def _left(positive: Tensor, weight: Tensor, count: Tensor, settings: LossSettings) -> tuple[Tensor, Tensor]:
    """Return log of what the true negatives weigh, -inf where nothing is left, and log of the bound."""
    floor = count - 1 / settings.temperature
    if settings.false_share == 0:
        return weight, floor
    share = settings.false_share
    excess = math.log(share) + count + positive - weight  # log of the part that is taken out
    some = excess < 0
    safe = torch.where(some, excess, torch.full_like(excess, -1.0))  # the other branch must not make NaN gradients
    left = weight + torch.log(-torch.expm1(safe)) - math.log1p(-share)
    return torch.where(some, left, torch.full_like(left, -torch.inf)), floor
