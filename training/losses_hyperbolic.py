"""Softmax over distances of the Poincaré ball, alone and with cosines (Yue et al., arXiv 2404.15523).

Points are exp0 of the vectors with the lengths they had before they were normalised: of unit vectors the ranking would
be that of the cosine, and the geometry would only weigh gradients.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from indexing.hyperbolic import CLIPPING_RADIUS
from training.batch import Batch
from training.loss_settings import LossSettings

_LEAST = 1e-7


def hyperbolic(batch: Batch, settings: LossSettings) -> Tensor:
    """Softmax cross-entropy of -distance / τ_h."""
    _no_synthetic(batch)
    return _cross_entropy(-distances(batch, settings.curvature) / settings.hyperbolic_temperature, batch)


def hybrid(batch: Batch, settings: LossSettings) -> Tensor:
    """Softmax cross-entropy of cosine / t - λ distance / τ_h: the logits of both geometries are added."""
    _no_synthetic(batch)
    logits = batch.cosines() / settings.temperature
    if settings.hyperbolic_weight > 0:
        away = distances(batch, settings.curvature) / settings.hyperbolic_temperature
        logits = logits - settings.hyperbolic_weight * away
    return _cross_entropy(logits, batch)


def distances(batch: Batch, c: float) -> Tensor:
    """Return (B, n) distances in the ball of curvature -c."""
    queries = exp0(_of_length(batch.queries, batch.query_lengths), c)
    documents = exp0(_of_length(batch.documents.to(batch.queries.dtype), batch.document_lengths), c)
    of_queries, of_documents = queries.square().sum(1, keepdim=True), documents.square().sum(1)
    squared = (of_queries + of_documents - 2 * queries @ documents.T).clamp(min=0)
    z = (2 * c * squared / ((1 - c * of_queries) * (1 - c * of_documents))).clamp(min=_LEAST)
    away: Tensor = torch.log1p(z + (z * (z + 2)).sqrt()) / math.sqrt(c)
    return away


def exp0(tangent: Tensor, c: float) -> Tensor:
    """Map (m, d) tangent vectors at the centre, clipped to a length of 2.3, to points of the ball of curvature -c."""
    length = tangent.norm(dim=1, keepdim=True).clamp(min=_LEAST)
    reached = torch.tanh(math.sqrt(c) * length.clamp(max=CLIPPING_RADIUS)) / math.sqrt(c)
    placed: Tensor = tangent / length * reached.clamp(max=(1 - 1e-3) / math.sqrt(c))
    return placed


def _of_length(rows: Tensor, lengths: Tensor | None) -> Tensor:
    return rows if lengths is None else rows * lengths.to(rows.dtype)[:, None]


def _cross_entropy(logits: Tensor, batch: Batch) -> Tensor:
    found = logits.masked_fill(~batch.positives, -torch.inf).logsumexp(dim=1)
    everything = logits.masked_fill(~(batch.positives | batch.negatives), -torch.inf).logsumexp(dim=1)
    return (everything - found).mean()


def _no_synthetic(batch: Batch) -> None:
    if batch.synthetic is not None:
        raise ValueError("synthetic negatives have no length, which hyperbolic losses read: choose a loss of cosines")
