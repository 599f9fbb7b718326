"""Losses over the order of a list: ADORE's pairs, and what a cross-encoder teaches about it."""

from __future__ import annotations

import torch
from torch import Tensor

from training.batch import Batch
from training.loss_settings import LossSettings


def adore(batch: Batch, settings: LossSettings) -> Tensor:
    """``Σ |1/r_i - 1/r_j| softplus(s_j - s_i) / pairs`` over the pairs of a positive i and a negative j of each query.

    ADORE (Zhan et al., arXiv 2104.08051): ranks r are those among the ``live_depth`` nearest documents as the query
    encoder finds them now; positives outside come after them. s are cosines over the temperature.
    """
    scores = batch.cosines() / settings.temperature
    costs = []
    for row in range(len(scores)):
        candidates = (batch.positives[row] | batch.negatives[row]).nonzero().flatten()
        order = scores[row, candidates].detach().argsort(descending=True, stable=True)
        kept = candidates[order]
        near = torch.arange(len(kept), device=kept.device) < settings.live_depth
        kept = kept[near | batch.positives[row, kept]]
        weight = 1 / torch.arange(1, len(kept) + 1, dtype=scores.dtype, device=scores.device)
        relevant = batch.positives[row, kept]
        own, others = scores[row, kept[relevant]], scores[row, kept[~relevant]]
        worth = (weight[relevant][:, None] - weight[~relevant]).abs()
        pairs = worth * torch.nn.functional.softplus(others - own[:, None])
        costs.append(pairs.mean() if pairs.numel() else scores.new_zeros(()))
    return torch.stack(costs).mean()


def margin_mse(batch: Batch, settings: LossSettings) -> Tensor:
    """Mean over the pairs of ``((s⁺ - s⁻) - (T⁺ - T⁻))²``: the student's margin shall be the teacher's.

    Hofstätter et al., arXiv 2010.02666. s are cosines over the temperature, T the cross-encoder's logits over its own.
    To a negative that it was not asked about the margin shall be no less than the query's widest taught one: the mean
    square of what is missing is added. Without that, against frozen documents, a query that keeps its margins to a few
    passages drifts to where all others are nearer. A batch without a taught pair costs nothing.
    """
    student, teacher, known = _lists(batch, settings)
    taught = _pairs(batch.positives & known, batch.negatives & known)
    if not len(taught[0]):
        return student.sum() * 0
    query, own, other = taught
    wanted = teacher[query, own] - teacher[query, other]
    cost = (student[query, own] - student[query, other] - wanted).square().mean()

    widest = torch.full_like(student[:, 0], -torch.inf).scatter_reduce(0, query, wanted, "amax")
    query, own, other = _pairs(batch.positives & known, batch.negatives & ~known & widest.isfinite()[:, None])
    missing = widest[query] - (student[query, own] - student[query, other])
    return cost + missing.clamp_min(0).square().sum() / max(1, len(query))


def kl(batch: Batch, settings: LossSettings) -> Tensor:
    """Mean over the queries of KL(softmax T ‖ softmax s), the listwise distillation of a cross-encoder's scores.

    T is over the candidates that the cross-encoder was asked about; s is over these and all negatives that it was not
    asked about, to which the teacher gives nothing. Without the latter, against frozen documents, a query that ranks a
    few passages rightly drifts to where all others are nearer.
    """
    student, teacher, known = _lists(batch, settings)
    enough = known.sum(dim=1) > 1
    if not enough.any():
        return student.sum() * 0
    student = student.masked_fill(~(known | batch.negatives), -torch.inf)[enough].log_softmax(dim=1)
    teacher = teacher.masked_fill(~known, -torch.inf)[enough].log_softmax(dim=1)
    apart = teacher.exp() * (teacher - student)
    return apart.masked_fill(~known[enough], 0.0).sum(dim=1).mean()


def _pairs(positives: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (pairs,) indices: the query, one of its positives and one of its negatives."""
    query, own, other = (positives[:, :, None] & negatives[:, None, :]).nonzero(as_tuple=True)
    return query, own, other


def _lists(batch: Batch, settings: LossSettings) -> tuple[Tensor, Tensor, Tensor]:
    """Return (B, n) student's and teacher's logits, 0 where the teacher said nothing, and where it did."""
    if batch.teacher is None:
        raise ValueError("this loss learns from a cross-encoder's scores and there are none")
    known = batch.teacher.isfinite() & (batch.positives | batch.negatives)
    teacher = batch.teacher.to(batch.queries.dtype).masked_fill(~known, 0.0) / settings.teacher_temperature
    return batch.cosines() / settings.temperature, teacher, known
