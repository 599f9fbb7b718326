"""Syntheses that mix: a query's hardest negatives with one another, or with the query itself. They learn nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from training.batch import Batch, restrict
from training.loss_settings import LossSettings
from training.synthetic import Synthetic, audit_synthetic

Mixture = Callable[[Batch, LossSettings, torch.Generator], Synthetic]


class Mixing:
    """A mixture as a member of the family: what it makes counts beside all real negatives (``training.synthesis``)."""

    def __init__(self, mixture: Mixture, settings: LossSettings) -> None:
        self._mixture = mixture
        self._settings = settings

    def make(self, batch: Batch, allowed: Tensor, random: torch.Generator) -> Synthetic:
        """See ``training.synthesis.Synthesis.make``."""
        return self._mixture(restrict(batch), self._settings, random)

    def cost(
        self, batch: Batch, allowed: Tensor, loss: Callable[[Batch], Tensor], random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """See ``training.synthesis.Synthesis.cost``."""
        seen = restrict(batch)
        made = self._mixture(seen, self._settings, random)
        return loss(replace(seen, synthetic=made.rows)), audit_synthetic(made, seen)

    def step(self) -> None:
        """See ``training.synthesis.Synthesis.step``."""

    def end_epoch(self) -> None:
        """See ``training.synthesis.Synthesis.end_epoch``."""

    def state(self) -> dict[str, Tensor]:
        """See ``training.synthesis.Synthesis.state``."""
        return {}

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """See ``training.synthesis.Synthesis.resume``."""


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
    share = _uniform(drawn.shape, nearest, random) / 2
    queries = batch.queries.detach().to(nearest.dtype)[:, None, :]
    rows = normalize(share * queries + (1 - share) * _rows(nearest, drawn), dim=2)
    parents = torch.cat([made.parents, cosines.gather(1, drawn)], dim=1)
    return Synthetic(torch.cat([made.rows, rows], dim=1), parents)


def _hardest(batch: Batch, count: int) -> tuple[Tensor, Tensor]:
    """Return (B, s, d) rows and (B, s) cosines of each query's nearest negatives, -inf where it has fewer than s."""
    with torch.no_grad():
        cosines = batch.cosines().float().masked_fill(~batch.negatives, -torch.inf)
        values, places = cosines.topk(min(count, cosines.shape[1]), dim=1)
        return batch.documents[places].float(), values


def _mix_pairs(nearest: Tensor, cosines: Tensor, count: int, random: torch.Generator) -> Synthetic:
    """Mix ``count`` pairs drawn of each query's nearest negatives (B, s, d) with their cosines (B, s)."""
    first, second = (_draw(cosines, count, random) for _ in range(2))
    share = _uniform(first.shape, nearest, random)
    rows = normalize(share * _rows(nearest, first) + (1 - share) * _rows(nearest, second), dim=2)
    return Synthetic(rows, torch.maximum(cosines.gather(1, first), cosines.gather(1, second)))


def _draw(cosines: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Return (B, k) places drawn evenly, with replacement, among the negatives that a query has."""
    weights = cosines.isfinite().float().cpu()  # drawn on the processor: the same on every device
    return torch.multinomial(weights, count, replacement=True, generator=random).to(cosines.device)


def _uniform(shape: torch.Size, like: Tensor, random: torch.Generator) -> Tensor:
    """Return (*shape, 1) values drawn evenly between 0 and 1, of the kind of ``like`` and where it is."""
    return torch.rand(shape, generator=random, dtype=like.dtype)[..., None].to(like.device)


def _rows(nearest: Tensor, places: Tensor) -> Tensor:
    return nearest.gather(1, places[..., None].expand(-1, -1, nearest.shape[2]))
