"""GCA-HNG: its generator and its formulas against loops in float64, and what must hold whatever it learnt."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from indexing.home import SpecmineError
from tests.training import gca_oracle
from tests.training.test_losses import problem
from training.batch import Batch
from training.gca_network import Generator, Graph, attention_weights, correlate
from training.loss_settings import GcaSettings, LossSettings
from training.losses import LOSSES
from training.synthesis_gca import Curriculum, Gca, interpolate

SETTINGS = LossSettings(temperature=0.2, synthetic=6, gca=GcaSettings(layers=2, heads=2, bank=4))
DIMENSION = 8


def infonce(batch: Batch) -> Tensor:
    return LOSSES["infonce"](batch, SETTINGS)


def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def near_positives(seed: int) -> Batch:
    """A problem whose positives are so near that most negatives are farther away."""
    batch = problem(seed)
    documents = batch.documents.clone()
    for query in range(len(batch.queries)):
        documents[query] = torch.nn.functional.normalize(3 * batch.queries[query] + documents[query], dim=0)
    return replace(batch, documents=documents)


def graph(seed: int) -> tuple[Graph, Tensor]:
    """Four queries and seven documents in float64, some pairs masked; and which edges are asked about."""
    draws = torch.Generator().manual_seed(seed)
    queries, documents = (torch.randn(rows, DIMENSION, generator=draws, dtype=torch.float64) for rows in (4, 7))
    against = torch.rand(4, 7, generator=draws) < 0.6
    against[:, 0] = False  # a document that is nobody's negative hears nothing
    edges = (torch.rand(4, 7, generator=draws) < 0.6).nonzero().T
    return Graph(queries, documents, against, edges), torch.arange(0, edges.shape[1], 2)


def generator(seed: int, layers: int = 2, heads: int = 2) -> Generator:
    made = Generator(DIMENSION, layers, heads).double()
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draws, dtype=torch.float64) / 2)
    return made


def test_attention_leaves_room_for_hearing_nothing() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0], [900.0, 0.0, 0.0], [-900.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, False], [False, False, False], [True, True, True], [True, False, False]])
    total = 1 + math.e + math.e**2
    expected = [[math.e / total, math.e**2 / total, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]]
    torch.testing.assert_close(attention_weights(scores, mask), torch.tensor(expected))


def test_an_edge_is_a_correlation_told_apart_by_channels() -> None:
    one, other = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[5.0, 1.0, 0.0]])
    # centred: (-1, 0, 1) of length √2 and (3, -1, -2) of length √14
    expected = torch.tensor([[-3.0, 0.0, -2.0]]) / math.sqrt(28)
    torch.testing.assert_close(correlate(one, other), expected)
    assert correlate(one, other).sum() == pytest.approx(np.corrcoef(one[0], other[0])[0, 1])


@pytest.mark.parametrize(("seed", "layers", "heads"), [(0, 1, 1), (1, 1, 4), (2, 2, 2)])
def test_the_generator_is_the_formula(seed: int, layers: int, heads: int) -> None:
    of, asked = graph(seed)
    made = generator(seed, layers, heads)
    weights = {name: tensor.numpy() for name, tensor in made.state_dict().items()}
    edges = [(int(i), int(j)) for i, j in of.edges.T]
    expected = gca_oracle.difficulties(
        weights, of.queries.numpy(), of.documents.numpy(), of.against.numpy(), edges, asked.tolist(), layers, heads
    )
    np.testing.assert_allclose(made(of, asked).detach().numpy(), expected, rtol=1e-8)


@given(seed=st.integers(0, 1000))
@hypothesis_settings(max_examples=10, deadline=None)
def test_the_order_of_nodes_and_edges_does_not_matter(seed: int) -> None:
    of, asked = graph(seed)
    made = generator(seed)
    draws = torch.Generator().manual_seed(seed + 1)
    rows, columns, turn = (torch.randperm(size, generator=draws) for size in (4, 7, of.edges.shape[1]))
    moved = torch.stack([rows.argsort()[of.edges[0]], columns.argsort()[of.edges[1]]])[:, turn]
    shuffled = Graph(of.queries[rows], of.documents[columns], of.against[rows][:, columns], moved)
    torch.testing.assert_close(made(shuffled, turn.argsort()[asked]), made(of, asked))


def test_queries_and_documents_are_nodes_of_one_kind() -> None:
    of, _ = graph(3)
    made = generator(3)
    swapped = Graph(of.documents, of.queries, of.against.T, of.edges.flip(0))
    torch.testing.assert_close(made.correlations(swapped), made.correlations(of))


def test_the_ends_of_the_interpolation() -> None:
    a, n = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]])
    near = torch.tensor([[2.0]])
    torch.testing.assert_close(interpolate(a, n, near, torch.ones(1, 2)), n)
    # no share is left: on the sphere of the positive, in the direction of the negative
    torch.testing.assert_close(interpolate(a, n, near, torch.zeros(1, 2)), torch.tensor([[1.2, 1.6]]))
    # channel by channel: 3 (2 + 3 · ½) / 5 and 4 (2 + 3 · 0) / 5
    torch.testing.assert_close(interpolate(a, n, near, torch.tensor([[0.5, 0.0]])), torch.tensor([[2.1, 1.6]]))
    # a negative that is as near as the positive stays
    torch.testing.assert_close(interpolate(a, n, torch.tensor([[5.0]]), torch.zeros(1, 2)), n)


@given(seed=st.integers(0, 10_000))
def test_what_is_made_lies_between_the_positive_and_the_negative(seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    a, p, n = (torch.randn(5, DIMENSION, generator=draws, dtype=torch.float64) for _ in range(3))
    share = torch.rand(5, DIMENSION, generator=draws, dtype=torch.float64)
    near, away = ((other - a).norm(dim=1, keepdim=True) for other in (p, n))
    reached = (interpolate(a, n, near, share) - a).norm(dim=1, keepdim=True)
    assert (reached >= torch.minimum(near, away) - 1e-9).all()
    assert (reached <= away + 1e-9).all()


def test_the_curriculum() -> None:
    curriculum = Curriculum()
    assert curriculum.pull(5.0) == pytest.approx(1.0, abs=1e-5)  # at first nothing is pulled
    assert curriculum.weight(20.0) == pytest.approx(0.0, abs=1e-4)  # and what is made counts for nothing
    curriculum.note(4.0, 1.0)
    curriculum.note(1.0, 3.0)
    assert curriculum.pull(5.0) == pytest.approx(1.0, abs=1e-5)  # before the epoch is over
    curriculum.end_epoch()
    assert curriculum.pull(5.0) == pytest.approx(math.exp(-5 / 2.5))
    assert curriculum.weight(20.0) == pytest.approx(1 - math.exp(-20 / 2))
    curriculum.note(0.0, 1.0)
    curriculum.end_epoch()
    assert curriculum.pull(5.0) == 0.0
    curriculum.end_epoch()  # an epoch without batches changes nothing
    assert curriculum.weight(1.0) == pytest.approx(1 - math.exp(-1))


def members(batch: Batch, gca: Gca, mean_loss: float) -> dict[tuple[int, int], np.ndarray]:
    """Every pair that something is made of, and what the paper's formulas make of it, in float64."""
    settings, negatives, positives = SETTINGS, batch.negatives, batch.positives
    cosines = (batch.queries @ batch.documents.T).detach()
    pairs = []
    for i in range(len(cosines)):
        own = sorted(negatives[i].nonzero().flatten().tolist(), key=lambda j, i=i: -float(cosines[i, j]))
        pairs += [(i, j) for j in own[: settings.synthetic]]
    columns = sorted({j for _, j in pairs} | set(positives.any(0).nonzero().flatten().tolist()))
    edges = [(i, c) for i in range(len(cosines)) for c, j in enumerate(columns) if (i, j) in pairs or positives[i, j]]
    asked = [place for place, (i, c) in enumerate(edges) if (i, columns[c]) in pairs]
    weights = {name: tensor.double().numpy() for name, tensor in gca.generator.state_dict().items()}
    queries, documents = batch.queries.detach().numpy(), batch.documents.numpy()
    found = gca_oracle.difficulties(
        weights, queries, documents[columns], negatives[:, columns].numpy(), edges, asked, 2, 2
    )
    nearest = cosines.masked_fill(~positives, -9).argmax(1).tolist()
    made = {}
    for place, lam in zip(asked, found, strict=True):
        i, j = edges[place][0], columns[edges[place][1]]
        made[i, j] = gca_oracle.synthesise(queries[i], documents[nearest[i]], documents[j], lam, 5.0, mean_loss)
    return made


@pytest.mark.parametrize("mean_loss", [1e6, 3.0])
def test_what_is_made_is_the_formula(mean_loss: float) -> None:
    batch = near_positives(2)
    gca = Gca(SETTINGS, DIMENSION, seed=3)
    gca.generator.double()
    gca.curriculum.loss = mean_loss
    expected = members(batch, gca, mean_loss)
    synthetic = gca.make(batch, batch.negatives, random())
    for i in range(len(batch.queries)):
        rows = [row for (query, _), row in expected.items() if query == i]
        assert len(rows) == SETTINGS.synthetic
        for row in synthetic.rows[i].numpy():
            assert min(np.abs(row - other).max() for other in rows) < 1e-8
    own = [expected[0, j] @ batch.queries[0].numpy() for i, j in expected if i == 0]
    parents = [float(batch.documents[j] @ batch.queries[0]) for i, j in expected if i == 0]
    assert sorted(synthetic.parents[0].tolist()) == pytest.approx(sorted(parents))
    assert np.mean(own) > np.mean(parents)  # harder than what they were made of


def test_the_encoder_pays_for_both_and_what_was_made_takes_the_place_of_its_parents() -> None:
    batch = near_positives(5)
    gca = Gca(SETTINGS, DIMENSION, seed=0)
    gca.curriculum = Curriculum(loss=2.0, generator=8.0)
    synthetic = gca.make(batch, batch.negatives, random())
    seen: list[Batch] = []

    def loss(costed: Batch) -> Tensor:
        seen.append(costed)
        return infonce(costed)

    cost, audit = gca.cost(batch, batch.negatives, loss, random())
    real, hard = seen
    assert real is batch
    assert hard.synthetic is not None
    torch.testing.assert_close(hard.synthetic, synthetic.rows)
    cosines = batch.cosines().masked_fill(~batch.negatives, -9)
    for i in range(len(batch.queries)):
        gone = (batch.negatives[i] & ~hard.negatives[i]).nonzero().flatten()
        assert sorted(gone.tolist()) == sorted(cosines[i].topk(6).indices.tolist())
    weight = 1 - math.exp(-20 / 8)
    assert cost.item() == pytest.approx(infonce(batch).item() + weight * infonce(hard).item(), rel=1e-6)
    assert audit["synthetic_weight"] == pytest.approx(weight)
    assert audit["pull"] == pytest.approx(math.exp(-5 / 2))
    assert 0 < audit["difficulty"] < 1
    assert 0 <= audit["recognised"] <= 1
    assert gca.curriculum.loss_sum == pytest.approx(infonce(batch).item())


def test_the_generator_pays_for_what_is_not_recognised_and_learns() -> None:
    batch = near_positives(5)
    settings = replace(SETTINGS, gca=replace(SETTINGS.gca, learning_rate=1e-2))
    gca = Gca(settings, DIMENSION, seed=0)
    gca.curriculum = Curriculum(loss=20.0, generator=1.0)
    paid = []
    for _ in range(40):
        _, audit = gca.cost(batch, batch.negatives, infonce, random())
        paid.append(audit["generator_loss"])
        assert all(parameter.grad is not None for parameter in gca.generator.difficulty.parameters())
        gca.step()
        assert all(parameter.grad is None for parameter in gca.generator.parameters())
    assert paid[-1] < paid[0] - 0.01


def test_the_generators_loss_is_the_formula() -> None:
    batch = near_positives(2)
    gca = Gca(SETTINGS, DIMENSION, seed=3)
    gca.generator.double()
    gca.curriculum.loss = 3.0
    made = gca._make(batch, batch.negatives)
    costs, near, recognised = [], [], []
    for (i, j), row in members(batch, gca, 3.0).items():
        seen = (batch.negatives[i] | batch.positives[i]).numpy()
        inside = np.isin(batch.documents.numpy(), made.graph.documents.numpy()).all(axis=1) & seen
        logits = batch.documents.numpy()[inside] @ row / SETTINGS.temperature
        source = int(inside[:j].sum())
        costs.append(math.log(np.exp(logits).sum()) - logits[source])
        recognised.append(int(logits.argmax()) == source)
        near.append(1 - float(batch.queries[i].numpy() @ row))
    lam = made.difficulty.detach().numpy()
    expected = np.mean(costs) + np.mean(near) + 0.01 * (1 - np.sqrt(((lam - lam.mean()) ** 2).mean()))
    loss, share = gca._generator_loss(made)
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    assert share == pytest.approx(np.mean(recognised))


def test_documents_that_may_not_count_change_nothing() -> None:
    batch = near_positives(1)
    batch.negatives[:, -3:] = batch.positives[:, -3:] = False
    other = batch.documents.clone()
    other[-3:] = batch.queries[:3]
    found = []
    for documents in (batch.documents, other):
        gca = Gca(SETTINGS, DIMENSION, seed=0)
        gca.bank = torch.tensor([37, 38, 39])  # even where they were met before
        found.append(gca.make(replace(batch, documents=documents), batch.negatives, random()).rows)
    assert torch.equal(*found)


def test_the_bank_takes_part_is_bounded_and_forgets_the_oldest() -> None:
    batch = near_positives(1)
    batch.positives[:] = False
    for query in range(5):
        batch.positives[query, query] = True
    allowed = batch.negatives & ~batch.positives
    few = torch.zeros_like(batch.negatives)
    few[:, 20:24] = True
    few &= allowed
    few[:, 24] = True
    batch = replace(batch, negatives=few)
    gca = Gca(SETTINGS, DIMENSION, seed=0)
    before = gca.make(batch, allowed, random()).rows
    gca.cost(batch, allowed, infonce, random())
    assert gca.bank.tolist() == [1, 2, 3, 4]  # of the five positives, four
    gca._remember(torch.tensor([2, 9]))
    assert gca.bank.tolist() == [3, 4, 2, 9]
    gca.bank = torch.tensor([30, 31, 32, 33])
    assert not torch.equal(gca.make(batch, allowed, random()).rows, before)


def test_a_query_with_fewer_negatives_than_wanted_has_some_of_them_again() -> None:
    batch = near_positives(3)
    negatives = batch.negatives.clone()
    negatives[1] = False
    negatives[1, [30, 31]] = True
    batch = replace(batch, negatives=negatives, positives=batch.positives & ~negatives)
    synthetic = Gca(SETTINGS, DIMENSION, seed=0).make(batch, batch.negatives, random())
    assert len({tuple(row) for row in synthetic.rows[1].tolist()}) == 2
    assert torch.isfinite(synthetic.rows).all()


def test_it_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    batches = [near_positives(seed) for seed in range(6)]

    def train(gca: Gca, some: list[Batch]) -> Gca:
        for batch in some:
            gca.cost(batch, batch.negatives, infonce, random())
            gca.step()
            if batch is batches[1] or batch is batches[4]:
                gca.end_epoch()
        return gca

    whole = train(Gca(SETTINGS, DIMENSION, seed=0), batches)
    half = train(Gca(SETTINGS, DIMENSION, seed=0), batches[:3])
    save_file(half.state(), tmp_path / "state.safetensors")
    resumed = Gca(SETTINGS, DIMENSION, seed=1)
    resumed.resume(load_file(tmp_path / "state.safetensors"))
    train(resumed, batches[3:])
    assert resumed.curriculum == whole.curriculum
    for name, tensor in whole.state().items():
        assert torch.equal(resumed.state()[name], tensor), name


def test_heads_must_divide_the_dimension() -> None:
    with pytest.raises(SpecmineError, match=r"\[train.gca\] heads must divide the encoder's 8 dimensions, and 3 does"):
        Gca(replace(SETTINGS, gca=GcaSettings(heads=3)), DIMENSION, seed=0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"layers": 0}, "layers must be 1 to 12"), ({"bank": -1}, "bank must be 0"), ({"beta": 0.0}, "gca.beta must be")],
)
def test_impossible_settings_are_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GcaSettings(**changed)  # type: ignore[arg-type]
