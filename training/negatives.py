"""Which documents count against a query: the family of negatives in training.

A member takes the queries as they are embedded now and returns a mask over all documents; what may not count (judged
passages, their siblings, what people left undecided) is taken out of it afterwards, whatever it says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from training.batch import Masks
from training.loss_settings import LossSettings

Negatives = Callable[[Tensor, Tensor, Masks, LossSettings, torch.Generator], Tensor]
"""From (B, d) queries without gradient, (N, d) documents and what is known of them to a (B, N) bool mask."""

# Documents drawn at random for a batch, enough that a rare one is met and few enough to cost nothing.
DRAWN = 256


def _ledger(queries: Tensor, documents: Tensor, masks: Masks, settings: LossSettings, draws: torch.Generator) -> Tensor:
    """A query's own mined negatives."""
    return masks.ledger


def _in_batch(
    queries: Tensor, documents: Tensor, masks: Masks, settings: LossSettings, draws: torch.Generator
) -> Tensor:
    """Everybody's positives and mined negatives."""
    return (masks.positives | masks.ledger).any(dim=0).expand_as(masks.ledger)


def _random(queries: Tensor, documents: Tensor, masks: Masks, settings: LossSettings, draws: torch.Generator) -> Tensor:
    """Documents drawn at random, the same for all queries of the batch."""
    drawn = torch.zeros(len(documents), dtype=torch.bool)
    drawn[torch.randint(len(documents), (DRAWN,), generator=draws)] = True  # on the processor: the same everywhere
    drawn = drawn.to(documents.device)
    return drawn.expand_as(masks.ledger)


def _live(queries: Tensor, documents: Tensor, masks: Masks, settings: LossSettings, draws: torch.Generator) -> Tensor:
    """What the query encoder finds nearest now, searched anew at every step (ADORE, arXiv 2104.08051).

    Against frozen documents a search is one product, far cheaper than the encoder's own step.
    """
    scores = (queries @ documents.to(queries.dtype).T).masked_fill(~(masks.negatives & ~masks.positives), -torch.inf)
    nearest = scores.topk(min(settings.live_depth, len(documents)), dim=1).indices
    return torch.zeros_like(masks.ledger).scatter_(1, nearest, True)


def _corpus(queries: Tensor, documents: Tensor, masks: Masks, settings: LossSettings, draws: torch.Generator) -> Tensor:
    """Every document of the index."""
    return torch.ones_like(masks.ledger)


NEGATIVES: dict[str, Negatives] = {
    "ledger": _ledger,
    "in_batch": _in_batch,
    "random": _random,
    "live": _live,
    "corpus": _corpus,
}

READ_BY_NEGATIVES: dict[str, tuple[str, ...]] = {"live": ("live_depth",)}


def choose_negatives(
    names: Sequence[str],
    queries: Tensor,
    documents: Tensor,
    masks: Masks,
    settings: LossSettings,
    draws: torch.Generator,
) -> Tensor:
    """Return the (B, N) union of what the named members propose, without what may not count.

    A query that is left without any gets the document nearest to it that may count: a batch of others must not stop at
    it. Raises ValueError where even that is masked.
    """
    allowed = masks.negatives & ~masks.positives
    chosen = torch.zeros_like(masks.ledger)
    for name in names:
        chosen = chosen | NEGATIVES[name](queries, documents, masks, settings, draws)
    chosen = chosen & allowed
    bare = (~chosen.any(dim=1)).nonzero().flatten()
    if len(bare):
        scores = (queries[bare] @ documents.to(queries.dtype).T).masked_fill(~allowed[bare], -torch.inf)
        chosen[bare, scores.argmax(dim=1)] = True
        chosen = chosen & allowed
    return chosen
