"""Softmax cross-entropy with several positives: ``-log (sum_pos e^S / (sum_pos e^S + sum_neg e^S))``.

A judged section that spans many chunks is found as soon as one of its chunks is, so the positives are summed. The three
losses are one formula over other candidates (``training.negatives``): the whole frozen corpus, the batch, or a query's
own mined negatives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from training.batch import Batch
from training.loss_settings import LossSettings

# Documents scored at a time: at batch 32 a block of logits is 1 MB, which stays in the cache.
BLOCK = 8192


def full_softmax(batch: Batch, settings: LossSettings) -> Tensor:
    """Softmax over the whole frozen corpus: every document that is not masked is a negative.

    Because the documents are frozen this is exact where ANCE (arXiv 2007.00808) and ADORE (arXiv 2104.08051)
    approximate by mining anew. Memory is that of one block of logits, whatever n is.
    """
    return _softmax(batch, settings.temperature)


def infonce(batch: Batch, settings: LossSettings) -> Tensor:
    """Softmax over what the batch holds: a query's mined negatives and the others' positives and negatives.

    InfoNCE (van den Oord et al., arXiv 1807.03748) with in-batch negatives.
    """
    return _softmax(batch, settings.temperature)


def lce(batch: Batch, settings: LossSettings) -> Tensor:
    """Softmax over a query's positives and its own mined negatives: localised contrastive estimation (2101.08751).

    For scores of pairs, as a re-ranker's. A query encoder against frozen documents should not be trained with it alone:
    nothing keeps the query among the passages that are in no ledger (``docs/RESULTS.md``).
    """
    return _softmax(batch, settings.temperature)


def _softmax(batch: Batch, temperature: float) -> Tensor:
    everything, found = _StreamedSums.apply(  # type: ignore[no-untyped-call]
        batch.queries, batch.documents, batch.positives, batch.negatives, temperature
    )
    if batch.synthetic is not None:
        made = (batch.synthetic_cosines() / temperature).logsumexp(dim=1)
        everything = torch.logaddexp(everything, made)
    loss: Tensor = (everything - found).mean()
    return loss


class _Sum(NamedTuple):
    """A running sum of e^logit · row, relative to the highest logit so far: (B,), (B,) and (B, d)."""

    peak: Tensor
    total: Tensor
    weighted: Tensor

    @classmethod
    def empty(cls, queries: Tensor) -> _Sum:
        zeros = queries.new_zeros(len(queries))
        return cls(torch.full_like(zeros, -torch.inf), zeros, torch.zeros_like(queries))

    def add(self, logits: Tensor, rows: Tensor) -> _Sum:
        """Return the sum with a block of (B, n) logits, -inf where masked, and their (n, d) rows."""
        peak = torch.maximum(self.peak, logits.amax(dim=1))
        origin = torch.where(peak.isinf(), torch.zeros_like(peak), peak)  # -inf - -inf would be NaN
        shrink = (self.peak - origin).exp()
        weights = (logits - origin[:, None]).exp_()
        weighted = torch.addmm(self.weighted * shrink[:, None], weights, rows)
        return _Sum(peak, self.total * shrink + weights.sum(dim=1), weighted)

    def logarithm(self) -> Tensor:
        return self.peak + self.total.log()

    def mean_row(self) -> Tensor:
        return self.weighted / self.total[:, None]


class _StreamedSums(torch.autograd.Function):
    """(B,) log Σ_candidates e^S and (B,) log Σ_positives e^S, S = queries · documentsᵀ / temperature.

    The gradient of a log-sum-exp is the mean row under its softmax, which the same pass over the blocks accumulates
    (as flash attention does, arXiv 2205.14135): nothing of size n is kept for the backward pass or computed again.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, documents: Tensor, positives: Tensor, negatives: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        found, everything = _Sum.empty(queries), _Sum.empty(queries)
        for start in range(0, len(documents), BLOCK):
            block = slice(start, start + BLOCK)
            rows, wanted = documents[block].to(queries.dtype), positives[:, block]
            logits = queries @ rows.T / temperature
            everything = everything.add(logits.masked_fill(~(wanted | negatives[:, block]), -torch.inf), rows)
            if wanted.any():
                found = found.add(logits.masked_fill(~wanted, -torch.inf), rows)
        ctx.save_for_backward(everything.mean_row() / temperature, found.mean_row() / temperature)
        return everything.logarithm(), found.logarithm()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_everything: Tensor, of_found: Tensor) -> tuple[Tensor, None, None, None, None]:
        everything, found = ctx.saved_tensors
        return of_everything[:, None] * everything + of_found[:, None] * found, None, None, None, None
