"""Every loss of the family, by one contract; then the known values of each."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor

from tests.training.loss_oracle import ORACLES
from training import losses_softmax
from training.batch import Batch, restrict
from training.loss_settings import LossSettings
from training.losses import BY_LENGTH, LOSSES, NEGATIVES_OF, TAUGHT
from training.losses_debiased import clamped_share
from training.negatives import NEGATIVES

QUERIES, DOCUMENTS, DIMENSION = 5, 40, 8
SETTINGS = LossSettings(temperature=0.2, bins=21, live_depth=9, false_share=0.02)
OF_COSINES = sorted(LOSSES.keys() - BY_LENGTH)


def unit(generator: torch.Generator, rows: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(rows, DIMENSION, generator=generator, dtype=dtype), dim=1)


def problem(seed: int = 0) -> Batch:
    """Unit embeddings in float64 with lengths and a teacher; each query has positives, masked and other documents."""
    generator = torch.Generator().manual_seed(seed)
    role = torch.rand(QUERIES, DOCUMENTS, generator=generator)
    positives, negatives = role < 0.05, role >= 0.2
    teacher = 5 * torch.randn(QUERIES, DOCUMENTS, generator=generator, dtype=torch.float64)
    teacher[torch.rand(QUERIES, DOCUMENTS, generator=generator) < 0.5] = torch.nan
    for query in range(QUERIES):
        for document, relevant in ((query, True), (QUERIES + query, False)):
            positives[query, document], negatives[query, document] = relevant, not relevant
            teacher[query, document] = float(relevant)
    return Batch(
        unit(generator, QUERIES),
        unit(generator, DOCUMENTS),
        positives,
        negatives,
        query_lengths=0.5 + torch.rand(QUERIES, generator=generator, dtype=torch.float64),
        document_lengths=0.5 + torch.rand(DOCUMENTS, generator=generator, dtype=torch.float64),
        teacher=teacher,
    )


def with_synthetic(batch: Batch, seed: int = 5) -> Batch:
    made = unit(torch.Generator().manual_seed(seed), QUERIES * 3).reshape(QUERIES, 3, DIMENSION)
    return replace(batch, synthetic=made)


def test_every_loss_has_negatives_and_an_oracle() -> None:
    assert LOSSES.keys() == NEGATIVES_OF.keys() == ORACLES.keys()
    assert LOSSES.keys() >= BY_LENGTH | TAUGHT
    assert all(set(names) <= NEGATIVES.keys() for names in NEGATIVES_OF.values())


@pytest.mark.parametrize("name", LOSSES)
@given(
    seed=st.integers(0, 10_000),
    settings=st.builds(
        LossSettings,
        temperature=st.floats(0.05, 2.0),
        false_share=st.floats(0, 0.2),
        hardness=st.floats(0, 2),
        bins=st.integers(2, 40),
        slots=st.sampled_from(["linear", "exponential"]),
        curvature=st.floats(1e-3, 2),
        hyperbolic_temperature=st.floats(0.05, 1),
        hyperbolic_weight=st.floats(0, 5),
        live_depth=st.integers(2, 60),
        teacher_temperature=st.floats(0.5, 4),
    ),
)
@hypothesis_settings(max_examples=25, deadline=None)
def test_the_loss_is_the_formula(name: str, seed: int, settings: LossSettings) -> None:
    batch = problem(seed)
    expected = ORACLES[name](batch, settings)
    assert LOSSES[name](batch, settings).item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["full_softmax", "debiased", "hard_debiased", "histogram"])
def test_synthetic_negatives_count_like_real_ones(name: str) -> None:
    batch = with_synthetic(problem(2))
    value = LOSSES[name](batch, SETTINGS).item()
    assert value == pytest.approx(ORACLES[name](batch, SETTINGS), rel=1e-9)
    assert value != pytest.approx(LOSSES[name](problem(2), SETTINGS).item(), rel=1e-4)


@pytest.mark.parametrize("name", sorted(BY_LENGTH))
def test_synthetic_negatives_have_no_place_in_the_ball(name: str) -> None:
    with pytest.raises(ValueError, match="synthetic negatives have no length"):
        LOSSES[name](with_synthetic(problem()), SETTINGS)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_queries_give_a_float32_scalar(name: str) -> None:
    exact = problem()
    batch = replace(exact, queries=exact.queries.float(), documents=exact.documents.float())
    value = LOSSES[name](batch, SETTINGS)
    assert value.dtype == torch.float32
    assert value.shape == ()
    assert value.item() == pytest.approx(ORACLES[name](exact, SETTINGS), rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("block", [7, 64])
def test_the_gradient_is_that_of_finite_differences(name: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses_softmax, "BLOCK", block)
    batch = problem(3) if name in BY_LENGTH | TAUGHT | {"adore"} else with_synthetic(problem(3))
    queries = batch.queries.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda q: LOSSES[name](replace(batch, queries=q), SETTINGS), (queries,))


@pytest.mark.parametrize("name", sorted(BY_LENGTH))
def test_hyperbolic_losses_have_a_gradient_to_the_lengths(name: str) -> None:
    batch = problem(3)
    assert batch.query_lengths is not None
    lengths = batch.query_lengths.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda n: LOSSES[name](replace(batch, query_lengths=n), SETTINGS), (lengths,))


@pytest.mark.parametrize("name", LOSSES)
def test_the_documents_get_no_gradient_and_do_not_change(name: str) -> None:
    batch = problem()
    before = hashlib.sha256(batch.documents.numpy().tobytes()).hexdigest()
    weights = torch.nn.Parameter(torch.eye(DIMENSION, dtype=torch.float64))
    optimiser = torch.optim.SGD([weights], lr=0.1)
    queries = torch.nn.functional.normalize(batch.queries @ weights, dim=1)
    LOSSES[name](replace(batch, queries=queries), SETTINGS).backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    assert batch.documents.grad is None
    assert not torch.equal(weights, torch.eye(DIMENSION, dtype=torch.float64))
    assert hashlib.sha256(batch.documents.numpy().tobytes()).hexdigest() == before


def test_documents_that_require_a_gradient_are_refused() -> None:
    batch = problem()
    with pytest.raises(ValueError, match="the document side is frozen"):
        replace(batch, documents=batch.documents.clone().requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_masked_documents_change_neither_loss_nor_gradient(name: str) -> None:
    batch = problem(1)
    batch.negatives[:, -3:] = batch.positives[:, -3:] = False
    other = batch.documents.clone()
    other[-3:] = batch.queries[:3]  # as similar as can be: they would dominate if they were seen

    def value_and_gradient(seen: Batch) -> tuple[Tensor, Tensor]:
        leaf = seen.queries.clone().requires_grad_()
        value = LOSSES[name](replace(seen, queries=leaf), SETTINGS)
        (gradient,) = torch.autograd.grad(value, leaf)
        return value, gradient

    first = value_and_gradient(batch)
    for alike in (replace(batch, documents=other), restrict(batch)):
        for one, two in zip(first, value_and_gradient(alike), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-12)
    assert restrict(batch).documents.shape[0] == int((batch.positives | batch.negatives).any(0).sum()) < DOCUMENTS


@pytest.mark.parametrize("name", LOSSES)
@given(seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=10, deadline=None)
def test_the_order_of_queries_and_documents_does_not_matter(name: str, seed: int) -> None:
    batch = problem(seed)
    rows = torch.randperm(QUERIES, generator=torch.Generator().manual_seed(seed))
    columns = torch.randperm(DOCUMENTS, generator=torch.Generator().manual_seed(seed + 1))
    assert batch.query_lengths is not None and batch.document_lengths is not None and batch.teacher is not None
    shuffled = Batch(
        batch.queries[rows],
        batch.documents[columns],
        batch.positives[rows][:, columns],
        batch.negatives[rows][:, columns],
        batch.query_lengths[rows],
        batch.document_lengths[columns],
        batch.teacher[rows][:, columns],
    )
    assert LOSSES[name](shuffled, SETTINGS).item() == pytest.approx(LOSSES[name](batch, SETTINGS).item(), rel=1e-9)


def test_masking_everything_is_an_error_that_names_the_query() -> None:
    batch = problem()
    for what, query in (("negative", 2), ("positive", 4)):
        mask = getattr(batch, f"{what}s").clone()
        mask[query] = False
        with pytest.raises(ValueError, match=f"query {query} of the batch has no {what} left"):
            replace(batch, **{f"{what}s": mask})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"temperature": math.nan}, "temperature must be above 0"),
        ({"false_share": 1.0}, "false_share must be 0 to below 1"),
        ({"hardness": -1.0}, "hardness must be 0 to 100"),
        ({"bins": 1}, "bins must be 2 to"),
        ({"slots": "round"}, "slots must be 'linear' or 'exponential'"),
        ({"curvature": 0.0}, "curvature must be above 0"),
        ({"synthetic": 0}, "synthetic must be 2 to"),
    ],
)
def test_parameters_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LossSettings(**settings)  # type: ignore[arg-type]


def group(scores: list[float], relevant: int = 0) -> Batch:
    """One query and documents with these cosines, one of which is relevant."""
    values = torch.tensor(scores, dtype=torch.float64)
    documents = torch.stack([values, (1 - values.square()).clamp(min=0).sqrt()], dim=1)
    positives = torch.zeros(1, len(scores), dtype=torch.bool)
    positives[0, relevant] = True
    return Batch(torch.tensor([[1.0, 0.0]], dtype=torch.float64), documents, positives, ~positives)


@pytest.mark.parametrize("name", ["full_softmax", "infonce", "lce"])
def test_equal_scores_in_a_group_of_8_cost_ln_8(name: str) -> None:
    assert LOSSES[name](group([0.3] * 8), SETTINGS).item() == pytest.approx(math.log(8), rel=1e-9)


def test_a_second_positive_takes_part_in_the_numerator() -> None:
    batch = group([0.3] * 8)
    batch.positives[0, 1], batch.negatives[0, 1] = True, False
    assert LOSSES["full_softmax"](batch, SETTINGS).item() == pytest.approx(math.log(8 / 2), rel=1e-9)


def test_large_logits_do_not_overflow() -> None:
    settings = replace(SETTINGS, temperature=1e-3)
    value = LOSSES["full_softmax"](group([-1.0] + [1.0] * 7), settings)
    assert value.item() == pytest.approx(2 / 1e-3 + math.log(7), rel=1e-6)


@given(seed=st.integers(0, 1000), temperature=st.floats(0.05, 2))
@hypothesis_settings(max_examples=25, deadline=None)
def test_without_bias_and_hardness_the_debiased_losses_are_infonce_with_one_positive(
    seed: int, temperature: float
) -> None:
    batch = problem(seed)
    only = torch.zeros_like(batch.positives)
    only[torch.arange(QUERIES), torch.arange(QUERIES)] = True
    batch = replace(batch, positives=only)
    settings = replace(SETTINGS, temperature=temperature, false_share=0.0, hardness=0.0)
    expected = LOSSES["infonce"](batch, settings).item()
    for name in ("debiased", "hard_debiased"):
        assert LOSSES[name](batch, settings).item() == pytest.approx(expected, rel=1e-9)


def test_a_clamped_query_gives_its_negatives_no_gradient_and_is_counted() -> None:
    # τ⁺ N e^{s⁺/t} = .5 · 2 · e² exceeds Σ e^{s/t} = 2: the bound N e^{-1/t} = 2 e^-2 stands for the negatives.
    settings = replace(SETTINGS, temperature=0.5, false_share=0.5)
    batch = group([1.0, 0.0, 0.0])
    assert clamped_share(batch, settings, 0.0) == 1.0
    value = LOSSES["debiased"](batch, settings).item()
    assert value == pytest.approx(-math.log(math.e**2 / (math.e**2 + 2 * math.exp(-2))), rel=1e-9)
    assert clamped_share(batch, replace(settings, false_share=0.01), 0.0) == 0.0


def test_the_histogram_loss_of_two_and_two_pairs() -> None:
    # R = 5: nodes -1, -.5, 0, .5, 1. S⁺ = {.5, 1}, S⁻ = {0, .5}: h⁻ = ½ at 0 and at .5; below these lie 0 and ½ of h⁺.
    batch = group([0.5, 0.0, 0.5, 1.0])
    batch.positives[0, 3], batch.negatives[0, 3] = True, False
    assert LOSSES["histogram"](batch, replace(SETTINGS, bins=5)).item() == pytest.approx(0.5 * 0 + 0.5 * 0.5)


def test_the_histogram_loss_of_separated_and_of_reversed_pairs() -> None:
    settings = replace(SETTINGS, bins=21)
    assert LOSSES["histogram"](group([0.9, 0.1, -0.5]), settings).item() == pytest.approx(0, abs=1e-12)
    reversed_pairs = group([-0.9, 0.1, 0.5])
    for slots, has_gradient in (("linear", False), ("exponential", True)):
        leaf = reversed_pairs.queries.clone().requires_grad_()
        value = LOSSES["histogram"](replace(reversed_pairs, queries=leaf), replace(settings, slots=slots))
        value.backward()  # type: ignore[no-untyped-call]
        assert value.item() == pytest.approx(1.0, abs=0.01)
        assert leaf.grad is not None
        assert bool(leaf.grad.abs().max() > 1e-6) is has_gradient


@given(seed=st.integers(0, 1000), bins=st.integers(5, 60))
@hypothesis_settings(max_examples=25, deadline=None)
def test_the_histogram_loss_counts_reversed_pairs(seed: int, bins: int) -> None:
    batch = problem(seed)
    cosines = batch.cosines().numpy()
    own, others = cosines[batch.positives.numpy()], cosines[batch.negatives.numpy()]
    apart = own[:, None] - others[None, :]
    value = LOSSES["histogram"](batch, replace(SETTINGS, bins=bins)).item()
    assert abs(value - float((apart < 0).mean())) <= float((np.abs(apart) < 2 * 2 / (bins - 1)).mean()) + 1e-9


def test_adore_by_hand() -> None:
    # Scores 3, 2, 1, 0, the second relevant:
    # (|1/2 - 1| softplus(1) + |1/2 - 1/3| softplus(-1) + |1/2 - 1/4| softplus(-2)) / 3.
    settings = replace(SETTINGS, temperature=0.1, live_depth=4)
    batch = group([0.3, 0.2, 0.1, 0.0], relevant=1)
    assert LOSSES["adore"](batch, settings).item() == pytest.approx(0.2468577, abs=1e-7)
    # Three are looked at: the fourth is no pair any more, and a positive outside comes after them, as the third.
    outside = LOSSES["adore"](group([0.3, 0.2, 0.1, 0.0], relevant=3), replace(settings, live_depth=2)).item()
    pairs = abs(1 / 3 - 1) * math.log1p(math.e**3) + abs(1 / 3 - 1 / 2) * math.log1p(math.e**2)
    assert outside == pytest.approx(pairs / 2, rel=1e-9)


def test_unit_lengths_order_as_cosines_do_in_the_ball() -> None:
    from training.losses_hyperbolic import distances

    batch = replace(problem(4), query_lengths=None, document_lengths=None)
    away = distances(batch, 0.7)
    assert torch.equal(away.argsort(dim=1), batch.cosines().argsort(dim=1, descending=True))
    one = Batch(torch.eye(2)[:1].double(), torch.eye(2)[1:].double(), *(torch.ones(1, 1, dtype=torch.bool),) * 2)
    assert distances(one, 0.1).item() == pytest.approx(2.9163433, abs=1e-7)


def test_a_student_that_agrees_with_its_teacher_costs_nothing() -> None:
    batch = group([0.6, 0.2, -0.1])
    taught = replace(batch, teacher=batch.cosines() / SETTINGS.temperature + 7.0)
    for name in sorted(TAUGHT):
        assert LOSSES[name](taught, SETTINGS).item() == pytest.approx(0, abs=1e-12)
        with pytest.raises(ValueError, match="cross-encoder's scores and there are none"):
            LOSSES[name](batch, SETTINGS)
        silent = replace(batch, teacher=torch.full((1, 3), torch.nan, dtype=torch.float64))
        assert LOSSES[name](silent, SETTINGS).item() == 0
