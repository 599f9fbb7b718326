"""What a loss reads: the queries of a batch, the candidates they are compared with, and what each candidate is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Masks:
    """(B, N) bool tensors over all documents of the index, for each query of a batch.

    ``positives`` are the judged passages. ``negatives`` are all documents that may count against a query: every known
    positive, its siblings, its duplicates and what is undecided are False there. ``ledger`` marks the mined negatives.
    """

    positives: Tensor
    negatives: Tensor
    ledger: Tensor

    def to(self, device: torch.device) -> Masks:
        """Return the masks on a device."""
        return Masks(self.positives.to(device), self.negatives.to(device), self.ledger.to(device))


@dataclass(frozen=True)
class Batch:
    """A batch of B queries and n candidate documents. The documents are frozen: none of their tensors has a gradient.

    ``queries`` (B, d) unit rows carry the gradient; ``documents`` (n, d) unit rows. ``positives`` and ``negatives``
    (B, n) bool: what a query is drawn to and what it is pushed from; a document in neither changes neither the loss nor
    the gradient. ``query_lengths`` (B,), with gradient, and ``document_lengths`` (n,) are the vectors' lengths before
    they were normalised, in units of the documents' median; None counts as 1. ``teacher`` (B, n) float are the
    cross-encoder's logits, not a number where it was not asked. ``synthetic`` (B, k, d) unit rows are negatives made
    for each query; None where there are none.
    """

    queries: Tensor
    documents: Tensor
    positives: Tensor
    negatives: Tensor
    query_lengths: Tensor | None = None
    document_lengths: Tensor | None = None
    teacher: Tensor | None = None
    synthetic: Tensor | None = None

    def __post_init__(self) -> None:
        if self.documents.requires_grad:
            raise ValueError("the document side is frozen: its tensor must not require a gradient")
        wanted = [(self.positives, "positive")]
        wanted += [(self.negatives, "negative")] if self.synthetic is None else []
        for mask, what in wanted:
            empty = (~mask.any(dim=1)).nonzero().flatten().tolist()
            if empty:
                raise ValueError(f"query {empty[0]} of the batch has no {what} left: every one is masked")

    def cosines(self) -> Tensor:
        """Return (B, n) cosines of queries and documents."""
        return self.queries @ self.documents.to(self.queries.dtype).T

    def synthetic_cosines(self) -> Tensor:
        """Return (B, k) cosines of each query with the negatives made for it; (B, 0) where there are none."""
        if self.synthetic is None:
            return self.queries.new_zeros(len(self.queries), 0)
        return torch.einsum("bd,bkd->bk", self.queries, self.synthetic.to(self.queries.dtype))

    def negative_cosines(self) -> tuple[Tensor, Tensor]:
        """Return (B, n + k) cosines with documents and synthetic negatives, and which of them are negatives."""
        made = self.synthetic_cosines()
        mask = torch.cat([self.negatives, torch.ones_like(made, dtype=torch.bool)], dim=1)
        return torch.cat([self.cosines(), made], dim=1), mask


def restrict(batch: Batch) -> Batch:
    """Return the batch without the documents that are nobody's positive and nobody's negative."""
    columns = (batch.positives | batch.negatives).any(dim=0).nonzero().flatten()
    if len(columns) == len(batch.documents):
        return batch  # the whole corpus: nothing is copied
    return replace(
        batch,
        documents=batch.documents[columns],
        positives=batch.positives[:, columns],
        negatives=batch.negatives[:, columns],
        document_lengths=batch.document_lengths[columns] if batch.document_lengths is not None else None,
        teacher=batch.teacher[:, columns] if batch.teacher is not None else None,
    )
