"""Every loss of the family, by one contract; then the known values of each."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training import losses
from training.losses import LOSSES, Masks, full_softmax, ledger_softmax

QUERIES, DOCUMENTS, DIMENSION = 5, 40, 8


def unit(generator: torch.Generator, rows: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, DIMENSION, generator=generator, dtype=dtype), dim=1)


def problem(seed: int = 0) -> tuple[Tensor, Tensor, Masks]:
    """Unit embeddings in float64; each query has positives, masked and mined documents."""
    generator = torch.Generator().manual_seed(seed)
    role = torch.rand(QUERIES, DOCUMENTS, generator=generator)
    positives = role < 0.05
    negatives = role >= 0.2
    for query in range(QUERIES):
        positives[query, query] = True
        negatives[query, query] = False
    ledger = torch.rand(QUERIES, DOCUMENTS, generator=generator) < 0.4
    for query in range(QUERIES):
        negatives[query, QUERIES + query] = ledger[query, QUERIES + query] = True
        positives[query, QUERIES + query] = False
    return unit(generator, QUERIES), unit(generator, DOCUMENTS), Masks(positives, negatives, ledger)


def oracle(name: str, queries: Tensor, documents: Tensor, masks: Masks, temperature: float) -> float:
    """The formula as it is written, in numpy and float64, one query at a time."""
    costs = []
    for row, query in enumerate(queries.double().numpy()):
        strength = np.exp(documents.double().numpy() @ query / temperature)
        wanted = masks.positives[row].numpy()
        against = masks.negatives[row].numpy()
        if name == "ledger_softmax":
            against = against & masks.ledger[row].numpy()
        costs.append(-math.log(strength[wanted].sum() / strength[wanted | against].sum()))
    return float(np.mean(costs))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("block", [1, 7, 64])
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.02, 2.0))
@settings(max_examples=25, deadline=None)
def test_the_loss_is_the_formula(name: str, block: int, seed: int, temperature: float) -> None:
    queries, documents, masks = problem(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "BLOCK", block)
        value = LOSSES[name](queries, documents, masks, temperature)
    assert value.item() == pytest.approx(oracle(name, queries, documents, masks, temperature), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_and_bfloat16_queries_give_a_float32_scalar(name: str) -> None:
    queries, documents, masks = problem()
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.05)):
        value = LOSSES[name](queries.to(dtype), documents.float(), masks, 0.05)
        assert value.dtype == torch.float32
        assert value.shape == ()
        assert value.item() == pytest.approx(oracle(name, queries, documents, masks, 0.05), rel=tolerance)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("block", [7, 64])
def test_the_gradient_is_that_of_finite_differences(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "BLOCK", block)
    queries, documents, masks = problem(3)
    queries.requires_grad_()
    assert torch.autograd.gradcheck(lambda q: LOSSES[name](q, documents, masks, 0.2), (queries,))


@pytest.mark.parametrize("name", LOSSES)
def test_the_documents_get_no_gradient_and_do_not_change(name: str) -> None:
    queries, documents, masks = problem()
    before = hashlib.sha256(documents.numpy().tobytes()).hexdigest()
    weights = torch.nn.Parameter(torch.eye(DIMENSION, dtype=torch.float64))
    optimiser = torch.optim.SGD([weights], lr=0.1)
    LOSSES[name](torch.nn.functional.normalize(queries @ weights, dim=1), documents, masks, 0.1).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert documents.grad is None
    assert not torch.equal(weights, torch.eye(DIMENSION, dtype=torch.float64))
    assert hashlib.sha256(documents.numpy().tobytes()).hexdigest() == before


@pytest.mark.parametrize("name", LOSSES)
def test_documents_that_require_a_gradient_are_refused(name: str) -> None:
    queries, documents, masks = problem()
    with pytest.raises(ValueError, match="the document side is frozen"):
        LOSSES[name](queries, documents.requires_grad_(), masks, 0.1)


@pytest.mark.parametrize("name", LOSSES)
def test_masked_documents_change_neither_loss_nor_gradient(name: str) -> None:
    queries, documents, masks = problem(1)
    masks = replace(masks, negatives=masks.negatives.clone(), positives=masks.positives.clone())
    masks.negatives[:, -3:] = masks.positives[:, -3:] = False
    other = documents.clone()
    other[-3:] = queries[:3]  # as similar as can be: they would dominate if they were seen

    def value_and_gradient(matrix: Tensor) -> tuple[Tensor, Tensor]:
        leaf = queries.clone().requires_grad_()
        value = LOSSES[name](leaf, matrix, masks, 0.05)
        (gradient,) = torch.autograd.grad(value, leaf)
        return value, gradient

    for first, second in zip(value_and_gradient(documents), value_and_gradient(other), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize("name", LOSSES)
def test_masking_everything_is_an_error_that_names_the_query(name: str) -> None:
    queries, documents, masks = problem()
    no_negative = replace(masks, negatives=masks.negatives.clone())
    no_negative.negatives[2] = False
    with pytest.raises(ValueError, match="query 2 of the batch has no negative left"):
        LOSSES[name](queries, documents, no_negative, 0.1)
    no_positive = replace(masks, positives=masks.positives.clone())
    no_positive.positives[4] = False
    with pytest.raises(ValueError, match="query 4 of the batch has no positive left"):
        LOSSES[name](queries, documents, no_positive, 0.1)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_above_zero_is_refused(temperature: float) -> None:
    queries, documents, masks = problem()
    with pytest.raises(ValueError, match="temperature must be above 0"):
        full_softmax(queries, documents, masks, temperature)


def one_positive_and(negatives: int, more_documents: int = 0) -> Masks:
    """One query whose document 0 is the positive, the next ones are mined; others are only in the corpus."""
    size = 1 + negatives + more_documents
    positives = torch.zeros(1, size, dtype=torch.bool)
    positives[0, 0] = True
    ledger = torch.zeros(1, size, dtype=torch.bool)
    ledger[0, 1 : 1 + negatives] = True
    return Masks(positives, ~positives, ledger)


@pytest.mark.parametrize("name", LOSSES)
def test_equal_scores_in_a_group_of_8_cost_ln_8(name: str) -> None:
    query = torch.eye(DIMENSION)[:1]
    documents = torch.eye(DIMENSION)[1:2].repeat(8, 1)
    assert LOSSES[name](query, documents, one_positive_and(7), 0.03).item() == pytest.approx(math.log(8), rel=1e-6)


def test_only_the_corpus_loss_sees_documents_that_were_not_mined() -> None:
    query = torch.eye(DIMENSION)[:1]
    documents = torch.eye(DIMENSION)[1:2].repeat(20, 1)
    masks = one_positive_and(7, more_documents=12)
    assert ledger_softmax(query, documents, masks, 0.03).item() == pytest.approx(math.log(8), rel=1e-6)
    assert full_softmax(query, documents, masks, 0.03).item() == pytest.approx(math.log(20), rel=1e-6)


def test_a_second_positive_takes_part_in_the_numerator() -> None:
    query = torch.eye(DIMENSION)[:1]
    documents = torch.eye(DIMENSION)[1:2].repeat(8, 1)
    masks = one_positive_and(7)
    masks.positives[0, 1] = True
    assert full_softmax(query, documents, masks, 0.03).item() == pytest.approx(math.log(8 / 2), rel=1e-6)


def test_a_mined_negative_that_is_a_known_positive_stays_out() -> None:
    query = torch.eye(DIMENSION)[:1]
    documents = torch.eye(DIMENSION)[1:2].repeat(8, 1)
    masks = one_positive_and(7)
    masks.negatives[0, 7] = False
    assert ledger_softmax(query, documents, masks, 0.03).item() == pytest.approx(math.log(7), rel=1e-6)


def test_large_logits_do_not_overflow() -> None:
    query = torch.eye(DIMENSION)[:1]
    documents = torch.cat([-query, query.repeat(7, 1)])
    value = full_softmax(query, documents, one_positive_and(7), 1e-3)
    assert value.item() == pytest.approx(2 / 1e-3 + math.log(7), rel=1e-6)
