"""Negatives that no document holds, and what the operators should know of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.batch import Batch


class Synthetic(NamedTuple):
    """``rows`` (B, k, d) unit rows without gradient; ``parents`` (B, k) the highest cosine of the query with what each
    was made of."""

    rows: Tensor
    parents: Tensor


def audit_synthetic(synthetic: Synthetic, batch: Batch) -> dict[str, float]:
    """Return the share of the synthetic negatives that are nearer to their query than all of their parents
    (``harder``), and the mean cosines of synthetic negatives and of each query's nearest real one."""
    queries = batch.queries.detach().to(synthetic.rows.dtype)
    cosines = torch.einsum("bd,bkd->bk", queries, synthetic.rows)
    real = batch.cosines().detach().masked_fill(~batch.negatives, -torch.inf).amax(dim=1)
    return {
        "harder": float((cosines > synthetic.parents + 1e-6).double().mean()),
        "synthetic_cosine": float(cosines.mean()),
        "nearest_cosine": float(real.mean()),
    }
