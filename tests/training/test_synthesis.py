"""Synthetic negatives: unit rows between their parents, made of a query's own negatives and of nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from tests.training.test_losses import problem
from training.batch import Batch
from training.device import CPU
from training.loss_settings import LossSettings
from training.losses import LOSSES
from training.synthesis import SYNTHESES
from training.synthesis_mix import mix, mochi
from training.synthetic import Synthetic, audit_synthetic

SETTINGS = LossSettings(synthetic=6, hardest=5)


def made(name: str, batch: Batch, seed: int = 0, settings: LossSettings = SETTINGS) -> Synthetic:
    synthesis = SYNTHESES[name](settings, batch.documents.shape[1], seed, CPU)
    return synthesis.make(batch, batch.negatives, torch.Generator().manual_seed(seed))


def with_a_farther_negative(batch: Batch) -> Batch:
    """The first query's only positive is itself: all of its negatives are farther away, as all that is made needs."""
    documents = batch.documents.clone()
    documents[0] = batch.queries[0]
    positives = batch.positives.clone()
    positives[0] = False
    positives[:, 0] = False
    positives[0, 0] = True
    positives[1:, 1] = True
    negatives = batch.negatives & ~positives
    negatives[:, 0] = False
    return replace(batch, documents=documents, positives=positives, negatives=negatives)


@pytest.mark.parametrize("name", SYNTHESES)
def test_what_is_made_counts_and_the_document_side_does_not_change(name: str) -> None:
    batch = problem(4)
    queries = batch.queries.clone().requires_grad_()
    batch = replace(batch, queries=queries)
    before = batch.documents.clone()
    synthesis = SYNTHESES[name](replace(SETTINGS, temperature=0.2), batch.documents.shape[1], 1, CPU)
    seen: list[Batch] = []

    def loss(costed: Batch) -> Tensor:
        seen.append(costed)
        return LOSSES["infonce"](costed, SETTINGS)

    cost, audit = synthesis.cost(batch, batch.negatives, loss, torch.Generator().manual_seed(0))
    assert queries.grad is None  # what learns along does not touch the encoder
    cost.backward()  # type: ignore[no-untyped-call]
    assert queries.grad is not None
    assert seen[-1].synthetic is not None
    assert torch.equal(batch.documents, before)
    assert batch.documents.grad is None
    assert {"harder", "synthetic_cosine", "nearest_cosine"} <= audit.keys()


@pytest.mark.parametrize("name", SYNTHESES)
@given(seed=st.integers(0, 1000), hardest=st.integers(2, 60))
@hypothesis_settings(max_examples=20, deadline=None)
def test_rows_are_unit_without_gradient_and_the_same_for_the_same_seed(name: str, seed: int, hardest: int) -> None:
    batch = with_a_farther_negative(problem(seed))
    batch = replace(batch, queries=batch.queries.clone().requires_grad_())
    settings = replace(SETTINGS, hardest=hardest, synthetic=6)
    synthetic = made(name, batch, seed, settings)
    assert synthetic.rows.shape == (len(batch.queries), 6, batch.documents.shape[1])
    assert synthetic.parents.shape == synthetic.rows.shape[:2]
    assert not synthetic.rows.requires_grad
    torch.testing.assert_close(synthetic.rows.norm(dim=2), torch.ones(len(batch.queries), 6))
    assert torch.equal(synthetic.rows, made(name, batch, seed, settings).rows)
    assert not torch.equal(synthetic.rows, made(name, batch, seed + 1, settings).rows)


def test_a_mixture_lies_between_its_two_parents() -> None:
    # Two negatives: whatever is drawn is one of them or lies on the arc between them, so the angles add up.
    batch = problem(7)
    negatives = torch.zeros_like(batch.negatives)
    negatives[:, 20:22] = True
    batch = replace(batch, negatives=negatives, positives=batch.positives & ~negatives)
    first, second = batch.documents[20].float(), batch.documents[21].float()
    whole = torch.arccos(first @ second)
    rows = made("mix", batch).rows
    angles = torch.arccos((rows @ first).clamp(-1, 1)) + torch.arccos((rows @ second).clamp(-1, 1))
    alone = (rows @ first > 1 - 1e-6) | (rows @ second > 1 - 1e-6)
    torch.testing.assert_close(angles[~alone], whole.expand_as(angles[~alone]), rtol=1e-3, atol=1e-3)
    assert (~alone).any()


def test_only_the_hardest_negatives_of_the_query_itself_are_mixed() -> None:
    batch = problem(3)
    cosines = batch.cosines().masked_fill(~batch.negatives, -torch.inf)
    for row in range(len(batch.queries)):
        hardest = batch.documents[cosines[row].topk(5).indices].float()
        # Every row is a combination of two of the five: its distance to their span is nothing.
        basis = torch.linalg.qr(hardest.T).Q
        rows = made("mix", batch).rows[row]
        torch.testing.assert_close((rows @ basis) @ basis.T, rows, rtol=1e-4, atol=1e-4)


def test_a_query_with_fewer_negatives_than_wanted_mixes_those_it_has() -> None:
    batch = problem(3)
    negatives = batch.negatives.clone()
    negatives[1] = False
    negatives[1, 30] = True
    rows = made("mix", replace(batch, negatives=negatives)).rows[1]
    torch.testing.assert_close(rows, batch.documents[30].float().expand_as(rows))


def test_mixing_with_the_query_makes_all_of_them_harder_than_their_parents() -> None:
    batch = problem(5)
    synthetic = mochi(batch, SETTINGS, torch.Generator().manual_seed(0))
    cosines = torch.einsum("bd,bkd->bk", batch.queries.float(), synthetic.rows)
    assert (cosines[:, 3:] > synthetic.parents[:, 3:]).all()


def test_the_audit_counts_those_harder_than_both_parents() -> None:
    batch = problem(5)
    rows = batch.queries.float()[:, None, :].expand(-1, 2, -1)
    audit = audit_synthetic(Synthetic(rows, torch.tensor([[0.5, 1.0]] * len(rows))), batch)
    assert audit["harder"] == 0.5
    assert audit["synthetic_cosine"] == pytest.approx(1.0)
    hardest = batch.cosines().masked_fill(~batch.negatives, -9).amax(1).mean()
    assert audit["nearest_cosine"] == pytest.approx(hardest.item())
    assert mix(batch, SETTINGS, torch.Generator().manual_seed(0)).rows.dtype == torch.float32
