"""Negatives that no document holds, made from those that documents hold: the family of syntheses.

A member mixes the hardest negatives of each query and returns unit rows without gradient; they are added to all real
negatives. Queries are compared as they are embedded now, so that what is made keeps up with the training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from training.batch import Batch
from training.loss_settings import LossSettings


class Synthetic(NamedTuple):
    """``rows`` (B, k, d) unit rows; ``parents`` (B, k) the higher of the cosines of the query with the two mixed."""

    rows: Tensor
    parents: Tensor


Synthesis = Callable[[Batch, LossSettings, torch.Generator], Synthetic]


def mix(batch: Batch, settings: LossSettings, random: torch.Generator) -> Synthetic:
    """``norm(α n₁ + (1-α) n₂)`` of pairs of the hardest negatives, drawn with replacement, α uniform in (0, 1).

    Dong et al., arXiv 2304.02971. A query with fewer negatives than are wanted mixes those it has.
    """
    return _mix_pairs(*_hardest(batch, settings.hardest), settings.synthetic, random)


def mochi(batch: Batch, settings: LossSettings, random: torch.Generator) -> Synthetic:
    """Half as ``mix``, half mixed with the query itself, ``norm(β q + (1-β) n)``, β uniform in (0, ½).

    MoCHi (Kalantidis et al., arXiv 2010.01028): the second half is harder than any negative, its parents' cosine being
    that of the one negative mixed.
    """
    half = settings.synthetic // 2
    nearest, cosines = _hardest(batch, settings.hardest)
    made = _mix_pairs(nearest, cosines, settings.synthetic - half, random)
    drawn = _draw(cosines, half, random)
    share = torch.rand(drawn.shape, generator=random, dtype=nearest.dtype)[..., None] / 2
    queries = batch.queries.detach().to(nearest.dtype)[:, None, :]
    rows = normalize(share * queries + (1 - share) * _rows(nearest, drawn), dim=2)
    parents = torch.cat([made.parents, cosines.gather(1, drawn)], dim=1)
    return Synthetic(torch.cat([made.rows, rows], dim=1), parents)


def audit_synthetic(synthetic: Synthetic, batch: Batch) -> dict[str, float]:
    """Return the share of the synthetic negatives that are nearer to their query than both of their parents
    (``harder``), and the mean cosines of synthetic negatives and of each query's nearest real one."""
    queries = batch.queries.detach().to(synthetic.rows.dtype)
    cosines = torch.einsum("bd,bkd->bk", queries, synthetic.rows)
    real = batch.cosines().detach().masked_fill(~batch.negatives, -torch.inf).amax(dim=1)
    return {
        "harder": float((cosines > synthetic.parents + 1e-6).double().mean()),
        "synthetic_cosine": float(cosines.mean()),
        "nearest_cosine": float(real.mean()),
    }


def _hardest(batch: Batch, count: int) -> tuple[Tensor, Tensor]:
    """Return (B, s, d) rows and (B, s) cosines of each query's nearest negatives, -inf where it has fewer than s."""
    with torch.no_grad():
        cosines = batch.cosines().float().masked_fill(~batch.negatives, -torch.inf)
        values, places = cosines.topk(min(count, cosines.shape[1]), dim=1)
        return batch.documents[places].float(), values


def _mix_pairs(nearest: Tensor, cosines: Tensor, count: int, random: torch.Generator) -> Synthetic:
    """Mix ``count`` pairs drawn of each query's nearest negatives (B, s, d) with their cosines (B, s)."""
    first, second = (_draw(cosines, count, random) for _ in range(2))
    share = torch.rand(first.shape, generator=random, dtype=nearest.dtype)[..., None]
    rows = normalize(share * _rows(nearest, first) + (1 - share) * _rows(nearest, second), dim=2)
    return Synthetic(rows, torch.maximum(cosines.gather(1, first), cosines.gather(1, second)))


def _draw(cosines: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Return (B, k) places drawn evenly, with replacement, among the negatives that a query has."""
    weights = cosines.isfinite().float()
    return torch.multinomial(weights, count, replacement=True, generator=random)


def _rows(nearest: Tensor, places: Tensor) -> Tensor:
    return nearest.gather(1, places[..., None].expand(-1, -1, nearest.shape[2]))


SYNTHESES: dict[str, Synthesis] = {"mix": mix, "mochi": mochi}
