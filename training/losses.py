"""Losses: what a batch of query embeddings costs against frozen document embeddings.

Every loss has one signature and returns a scalar in float32 (float64 when the queries are)::

    loss(queries, documents, masks, temperature) -> Tensor

``queries`` (B, d) carry the gradient; ``documents`` (N, d) are the index as it is searched and never get one. Both
have unit rows, so that a logit is cosine / temperature. The masks say, for each query, which documents it is drawn to
and which it may be pushed away from; a document in no mask changes neither the loss nor the gradient.

Both losses are softmax cross-entropy with several positives, ``-log (sum_pos e^S / sum_candidates e^S)``: a judged
section that spans many chunks is found as soon as one of its chunks is. They differ in their candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Documents scored at a time: at batch 32 a block of logits is 1 MB, which stays in the cache.
BLOCK = 8192


@dataclass(frozen=True)
class Masks:
    """(B, N) bool tensors over the documents, for each query of a batch.

    ``positives`` are the judged passages. ``negatives`` are all documents that may count against a query: every known
    positive, its siblings, its duplicates and what is undecided are False there. ``ledger`` marks the mined negatives.
    """

    positives: Tensor
    negatives: Tensor
    ledger: Tensor


Loss = Callable[[Tensor, Tensor, Masks, float], Tensor]


def full_softmax(queries: Tensor, documents: Tensor, masks: Masks, temperature: float) -> Tensor:
    """Softmax over the whole frozen corpus: every document that is not masked is a negative.

    Because the documents are frozen this is exact where ANCE (arXiv 2007.00808) and ADORE (arXiv 2104.08051)
    approximate by mining anew. Memory is that of one block of logits, whatever N is. Raises ValueError when a query
    has no positive or no negative.
    """
    return _softmax(queries, documents, masks.positives, masks.negatives, temperature)


def ledger_softmax(queries: Tensor, documents: Tensor, masks: Masks, temperature: float) -> Tensor:
    """Softmax over a query's positives and its mined negatives: LCE, localised contrastive estimation (2101.08751).

    Mined negatives that ``masks.negatives`` forbids stay out. Raises ValueError when a query has no positive or no
    negative left.
    """
    mined = masks.ledger & masks.negatives
    columns = (masks.positives | mined).any(dim=0).nonzero().flatten()
    return _softmax(queries, documents[columns], masks.positives[:, columns], mined[:, columns], temperature)


def _softmax(queries: Tensor, documents: Tensor, positives: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    if documents.requires_grad:
        raise ValueError("the document side is frozen: its tensor must not require a gradient")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, not {temperature}")
    for mask, what in ((positives, "positive"), (negatives & ~positives, "negative")):
        empty = (~mask.any(dim=1)).nonzero().flatten().tolist()
        if empty:
            raise ValueError(f"query {empty[0]} of the batch has no {what} left: every one is masked")
    exact = torch.promote_types(queries.dtype, torch.float32)
    return _StreamedSoftmax.apply(  # type: ignore[no-any-return, no-untyped-call]
        queries.to(exact), documents, positives, negatives, temperature
    )


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


class _StreamedSoftmax(torch.autograd.Function):
    """Mean over the queries of log Σ_candidates e^S − log Σ_positives e^S, S = queries · documentsᵀ / temperature.

    The gradient of a log-sum-exp is the mean row under its softmax, which the same pass over the blocks accumulates
    (as flash attention does, arXiv 2205.14135): nothing of size N is kept for the backward pass or computed again.
    """

    @staticmethod
    def forward(
        ctx: Any, queries: Tensor, documents: Tensor, positives: Tensor, negatives: Tensor, temperature: float
    ) -> Tensor:
        found, everything = _Sum.empty(queries), _Sum.empty(queries)
        for start in range(0, len(documents), BLOCK):
            block = slice(start, start + BLOCK)
            rows, wanted = documents[block].to(queries.dtype), positives[:, block]
            logits = queries @ rows.T / temperature
            everything = everything.add(logits.masked_fill(~(wanted | negatives[:, block]), -torch.inf), rows)
            if wanted.any():
                found = found.add(logits.masked_fill(~wanted, -torch.inf), rows)
        gradient = (everything.mean_row() - found.mean_row()) / (temperature * len(queries))
        ctx.save_for_backward(gradient)
        return (everything.logarithm() - found.logarithm()).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return above * gradient, None, None, None, None


LOSSES: dict[str, Loss] = {"full_softmax": full_softmax, "ledger_softmax": ledger_softmax}
