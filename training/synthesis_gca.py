"""Synthesis ``gca``: a network that learns along makes each negative as hard as it can while it stays recognisable.

GCA-HNG (Peng et al., arXiv 2411.13145). Of a query a, its nearest positive p and a negative n that is farther away,
``ñ = a + (n - a) ⊙ [d⁺ + (d⁻ - d⁺) λ e^(-α / J̄m)] / d⁻`` with d⁺ = ‖a - p‖, d⁻ = ‖a - n‖ and a difficulty λ for each
channel (``training.gca_network``); other negatives stay as they are. J̄m is the mean loss of the epoch before: as it
falls, what is made comes nearer. The encoder learns from ``J + (1 - e^(-β / J̄gen)) J_syn``, where J_syn is the loss
with what was made in place of what it was made of, so that a generator which fails counts for little.

Documents are frozen, so that a bank of those met in earlier batches never grows stale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from indexing.home import SpecmineError
from training.batch import Batch, restrict
from training.device import CPU
from training.gca_network import Generator, Graph
from training.loss_settings import LossSettings
from training.steps import moments_of, restore_moments
from training.synthetic import Synthetic, audit_synthetic

_UNKNOWN = 1e6  # a mean loss before the first epoch is over: nothing is pulled, and what is made counts for nothing
_CLIP = 10.0
_DIVERSITY = 0.01


@dataclass
class Curriculum:
    """The mean losses of the encoder and of the generator: of the epoch before, and the sums of the present one."""

    loss: float = _UNKNOWN
    generator: float = _UNKNOWN
    loss_sum: float = 0.0
    generator_sum: float = 0.0
    batches: int = 0

    def note(self, loss: float, generator: float) -> None:
        """Add a batch."""
        self.loss_sum += loss
        self.generator_sum += generator
        self.batches += 1

    def end_epoch(self) -> None:
        """Let the means of the present epoch count from now on."""
        if self.batches:
            self.loss, self.generator = self.loss_sum / self.batches, self.generator_sum / self.batches
        self.loss_sum = self.generator_sum = 0.0
        self.batches = 0

    def pull(self, alpha: float) -> float:
        """Return ``e^(-α / J̄m)``, what is left of λ: near 1 at first, near 0 when the encoder costs little."""
        return _decayed(alpha, self.loss)

    def weight(self, beta: float) -> float:
        """Return ``1 - e^(-β / J̄gen)``, what synthetic negatives count: near 0 at first."""
        return 1.0 - _decayed(beta, self.generator)


class _Made(NamedTuple):
    """``pairs`` (2, w): query and document (row of the index) of each; ``slots`` (B, k) which of them are a query's.

    ``rows`` (w, d) are what was made of them, ``difficulty`` (w, d) λ, ``sources`` (w,) the document's place in the
    ``graph``, ``seen`` (B, M) which of the graph's documents a query may be compared with.
    """

    pairs: Tensor
    slots: Tensor
    rows: Tensor
    difficulty: Tensor
    sources: Tensor
    seen: Tensor
    graph: Graph


class Gca:
    """The generator, its optimiser, the curriculum and the bank."""

    def __init__(self, settings: LossSettings, dimension: int, seed: int, device: torch.device = CPU) -> None:
        own = settings.gca
        if dimension % own.heads:
            raise SpecmineError(
                f"[train.gca] heads must divide the encoder's {dimension} dimensions, and {own.heads} does not"
            )
        self._settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.generator = Generator(dimension, own.layers, own.heads).to(device)
        self._optimiser = torch.optim.AdamW(self.generator.parameters(), lr=own.learning_rate)
        self._steps = 0
        self.curriculum = Curriculum()
        self.bank = torch.zeros(0, dtype=torch.int64, device=device)

    def make(self, batch: Batch, allowed: Tensor, random: torch.Generator) -> Synthetic:
        """See ``training.synthesis.Synthesis.make``."""
        with torch.no_grad():
            return _synthetic(self._make(batch, allowed))

    def cost(
        self, batch: Batch, allowed: Tensor, loss: Callable[[Batch], Tensor], random: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """See ``training.synthesis.Synthesis.cost``."""
        made = self._make(batch, allowed)
        generator_loss, recognised = self._generator_loss(made)
        generator_loss.backward()  # type: ignore[no-untyped-call]
        synthetic = _synthetic(made)
        left = batch.negatives.clone()
        left[made.pairs[0], made.pairs[1]] = False
        real = loss(batch)
        weight = self.curriculum.weight(self._settings.gca.beta)
        total = real + weight * loss(replace(batch, negatives=left, synthetic=synthetic.rows))
        difficulty = made.difficulty.detach()
        audit = {
            **audit_synthetic(synthetic, restrict(batch)),
            "generator_loss": generator_loss.item(),
            "recognised": recognised,
            "difficulty": float(difficulty.mean()),
            "difficulty_spread": float(difficulty.std(correction=0)),
            "pull": self.curriculum.pull(self._settings.gca.alpha),
            "synthetic_weight": weight,
        }
        self.curriculum.note(real.item(), generator_loss.item())
        self._remember(batch.positives.any(dim=0).nonzero().flatten())
        return total, audit

    def step(self) -> None:
        """See ``training.synthesis.Synthesis.step``."""
        torch.nn.utils.clip_grad_value_(self.generator.parameters(), _CLIP)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._steps += 1

    def end_epoch(self) -> None:
        """See ``training.synthesis.Synthesis.end_epoch``."""
        self.curriculum.end_epoch()

    def state(self) -> dict[str, Tensor]:
        """See ``training.synthesis.Synthesis.state``."""
        curriculum = self.curriculum
        state = {f"generator/{name}": tensor.cpu() for name, tensor in self.generator.state_dict().items()}
        state |= moments_of(self.generator.named_parameters(), self._optimiser)
        means = [curriculum.loss, curriculum.generator, curriculum.loss_sum, curriculum.generator_sum]
        return {
            **state,
            "means": torch.tensor(means, dtype=torch.float64),
            "counts": torch.tensor([curriculum.batches, self._steps]),
            "bank": self.bank.cpu().clone(),
        }

    def resume(self, state: Mapping[str, Tensor]) -> None:
        """See ``training.synthesis.Synthesis.resume``."""
        weights = {name: state[f"generator/{name}"] for name in self.generator.state_dict()}
        self.generator.load_state_dict(weights)
        batches, self._steps = state["counts"].tolist()
        loss, generator, loss_sum, generator_sum = state["means"].tolist()
        self.curriculum = Curriculum(loss, generator, loss_sum, generator_sum, batches)
        self.bank = state["bank"].clone().to(self.bank.device)
        moments = {name: tensor.clone() for name, tensor in state.items()}
        restore_moments(self.generator.named_parameters(), self._optimiser, moments, self._steps)

    def _make(self, batch: Batch, allowed: Tensor) -> _Made:
        """Make a negative of each of a query's hardest ones, at most ``synthetic`` of them."""
        pairs, slots = _hardest(batch, self._settings.synthetic)
        asked = torch.zeros_like(batch.negatives)
        asked[pairs[0], pairs[1]] = True
        met = torch.zeros(len(batch.documents), dtype=torch.bool, device=batch.documents.device)
        met[self.bank] = True
        joined = asked | batch.positives | (allowed & met)
        columns = joined.any(dim=0).nonzero().flatten()
        joined, asked = joined[:, columns], asked[:, columns]
        against = (allowed | batch.negatives)[:, columns] & ~batch.positives[:, columns]
        graph = Graph(
            batch.queries.detach().to(self._dtype),
            batch.documents[columns].to(self._dtype),
            against,
            joined.nonzero().T,
        )
        # Pairs are in the order of the graph's edges: by query, then by document.
        difficulty = self.generator(graph, asked[joined].nonzero().flatten())
        sources = asked.nonzero()[:, 1]
        queries = graph.queries[pairs[0]]
        near = self._distance_of_positive(batch)[pairs[0]]
        pull = self.curriculum.pull(self._settings.gca.alpha)
        rows = normalize(interpolate(queries, graph.documents[sources], near, difficulty * pull), dim=1)
        return _Made(pairs, slots, rows, difficulty, sources, against | batch.positives[:, columns], graph)

    @property
    def _dtype(self) -> torch.dtype:
        return self.generator.shift.dtype

    def _distance_of_positive(self, batch: Batch) -> Tensor:
        """Return (B, 1) d⁺, each query's distance from the nearest document that answers it."""
        queries, nearest = batch.queries.detach().to(self._dtype), _nearest_positives(batch).to(self._dtype)
        distance: Tensor = (queries - nearest).norm(dim=1, keepdim=True)
        return distance

    def _generator_loss(self, made: _Made) -> tuple[Tensor, float]:
        """Return what the generator pays, and the share of its negatives that are nearest to their own source.

        ``-log softmax(ñ · D / t)[source]`` over the documents of the graph, ``1 - cos(a, ñ)``, and for λ that are all
        alike ``.01 (1 - √ mean (λ - λ̄)²)``.
        """
        logits = made.rows @ made.graph.documents.T / self._settings.temperature
        logits = logits.masked_fill(~made.seen[made.pairs[0]], -torch.inf)
        recognition = cross_entropy(logits, made.sources)
        apart = (1 - (made.graph.queries[made.pairs[0]] * made.rows).sum(dim=1)).mean()
        spread = (made.difficulty.var(correction=0) + 1e-12).sqrt()
        recognised = float((logits.argmax(dim=1) == made.sources).double().mean())
        return recognition + apart + _DIVERSITY * (1 - spread), recognised

    def _remember(self, documents: Tensor) -> None:
        """Put documents into the bank, each once; the oldest go when it is full."""
        older = self.bank[~torch.isin(self.bank, documents)]
        kept = torch.cat([older, documents])
        self.bank = kept[max(0, len(kept) - self._settings.gca.bank) :]


def interpolate(queries: Tensor, negatives: Tensor, near: Tensor, share: Tensor) -> Tensor:
    """Return (w, d) ``a + (n - a) ⊙ [d⁺ + (d⁻ - d⁺) share] / d⁻``, and n itself where it is no farther than d⁺.

    ``near`` (w, 1) is d⁺ and ``share`` (w, d) lies in [0, 1]: the result is at least d⁺ and at most d⁻ from the query.
    """
    away = (negatives - queries).norm(dim=1, keepdim=True)
    scaled = (near + (away - near) * share) / away.clamp(min=1e-12)
    return torch.where(away > near, queries + (negatives - queries) * scaled, negatives)


def _nearest_positives(batch: Batch) -> Tensor:
    """Return (B, d) the nearest positive of each query."""
    columns = batch.positives.any(dim=0).nonzero().flatten()
    documents = batch.documents[columns]
    cosines = batch.queries.detach() @ documents.to(batch.queries.dtype).T
    return documents[cosines.masked_fill(~batch.positives[:, columns], -torch.inf).argmax(dim=1)]


def _hardest(batch: Batch, count: int) -> tuple[Tensor, Tensor]:
    """Return the pairs (2, w) of each query with its ``count`` nearest negatives, by query and document, and (B, k)
    which pairs are a query's, the nearest first; a query with fewer has some of them again."""
    columns = batch.negatives.any(dim=0).nonzero().flatten()
    mask = batch.negatives[:, columns]
    cosines = batch.queries.detach() @ batch.documents[columns].to(batch.queries.dtype).T
    places = cosines.masked_fill(~mask, -torch.inf).topk(min(count, len(columns)), dim=1).indices
    taken = torch.zeros_like(mask).scatter_(1, places, True) & mask
    number = (taken.flatten().cumsum(dim=0) - 1).view_as(taken)
    have = taken.sum(dim=1, keepdim=True)
    turns = places.gather(1, torch.arange(count, device=places.device).expand(len(mask), -1) % have)
    query, document = taken.nonzero().T
    return torch.stack([query, columns[document]]), number.gather(1, turns)


def _synthetic(made: _Made) -> Synthetic:
    queries = made.graph.queries[made.pairs[0]]
    parents = (queries * made.graph.documents[made.sources]).sum(dim=1)
    return Synthetic(made.rows.detach()[made.slots], parents[made.slots])


def _decayed(rate: float, mean: float) -> float:
    return math.exp(-rate / mean) if mean > 0 else 0.0
