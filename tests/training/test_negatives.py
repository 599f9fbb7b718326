"""Which documents count against a query, by one contract and one by one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.training.test_losses import DOCUMENTS, QUERIES, problem
from training.batch import Masks
from training.loss_settings import LossSettings
from training.negatives import NEGATIVES, choose_negatives

SETTINGS = LossSettings(live_depth=7)


def masks(seed: int) -> Masks:
    batch = problem(seed)
    ledger = torch.rand(QUERIES, DOCUMENTS, generator=torch.Generator().manual_seed(seed)) < 0.5
    return Masks(batch.positives, batch.negatives, ledger)


def chosen(names: list[str], known: Masks, seed: int = 0) -> torch.Tensor:
    batch = problem(seed)
    draws = torch.Generator().manual_seed(seed)
    return choose_negatives(names, batch.queries, batch.documents, known, SETTINGS, draws)


@pytest.mark.parametrize("name", NEGATIVES)
@given(seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=20, deadline=None)
def test_what_may_not_count_never_does_and_every_query_has_some(name: str, seed: int) -> None:
    known = masks(seed)
    mask = chosen([name], known, seed)
    assert mask.shape == (QUERIES, DOCUMENTS)
    assert not (mask & ~known.negatives).any()
    assert not (mask & known.positives).any()
    assert mask.any(dim=1).all()
    assert torch.equal(mask, chosen([name], known, seed))


def test_each_member_by_what_it_says() -> None:
    known = masks(4)
    allowed = known.negatives & ~known.positives
    assert torch.equal(chosen(["corpus"], known, 4), allowed)
    assert torch.equal(chosen(["ledger"], known, 4), known.ledger & allowed)
    anybody = (known.positives | known.ledger).any(dim=0)
    assert torch.equal(chosen(["in_batch"], known, 4), anybody & allowed)
    batch = problem(4)
    nearest = batch.cosines().masked_fill(~allowed, -9).topk(7, dim=1).indices
    assert torch.equal(chosen(["live"], known, 4), torch.zeros_like(allowed).scatter(1, nearest, True))


def test_members_are_added_up() -> None:
    known = masks(4)
    both = chosen(["ledger", "live"], known, 4)
    assert torch.equal(both, chosen(["ledger"], known, 4) | chosen(["live"], known, 4))


def test_a_query_without_any_gets_the_nearest_that_may_count() -> None:
    known = masks(6)
    known.ledger[2] = False
    allowed = (known.negatives & ~known.positives)[2]
    mask = chosen(["ledger"], known, 6)[2]
    nearest = problem(6).cosines()[2].masked_fill(~allowed, -9).argmax()
    assert mask.nonzero().flatten().tolist() == [int(nearest)]


def test_random_ones_come_from_the_whole_corpus_by_the_seed() -> None:
    known = masks(1)
    free = Masks(torch.zeros_like(known.positives), torch.ones_like(known.negatives), known.ledger)
    batch = problem(1)
    documents = batch.documents.repeat(100, 1)
    wide = Masks(*(mask.repeat(1, 100) for mask in (free.positives, free.negatives, free.ledger)))
    draws = [
        choose_negatives(["random"], batch.queries, documents, wide, SETTINGS, torch.Generator().manual_seed(seed))[0]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert 200 < int(draws[0].sum()) <= 256
    assert int(draws[0].nonzero().max()) > len(documents) // 2
