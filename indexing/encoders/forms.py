"""What of a query encoder is trained, and so what a version of it holds: the family of forms.

A form names its size after a colon: ``full`` all weights; ``last:n`` the last n layers of the transformer; ``lora:r``
low-rank additions of rank r to the queries and values of every attention (Hu et al., arXiv 2106.09685); ``head:r`` a
residual map of rank r on top of the frozen encoder, ``x + B A x``. All but ``full`` make versions of kilobytes to a few
megabytes, for what is not trained is that of the encoder as published.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from torch import Tensor, nn
from torch.nn.functional import linear

FULL = "full"
_ATTENDED = ("query", "value", "q_lin", "v_lin", "q_proj", "v_proj")
# LoRA's scale: what is added counts α / r, α = 2 r as is usual.
_LORA_SCALE = 2.0


class LowRankLinear(nn.Module):
    """A frozen linear map with a trained addition of low rank: ``W x + b + 2 B A x``; B is 0 at first."""

    def __init__(self, frozen: nn.Linear, rank: int) -> None:
        super().__init__()
        self.frozen = frozen
        self.down = nn.Parameter(torch.randn(rank, frozen.in_features) / math.sqrt(frozen.in_features))
        self.up = nn.Parameter(torch.zeros(frozen.out_features, rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (…, in) to (…, out)."""
        return self.frozen(inputs) + _LORA_SCALE * linear(linear(inputs, self.down), self.up)  # type: ignore[no-any-return]

    def merged(self) -> nn.Linear:
        """Return one linear map that does the same."""
        self.frozen.weight.data += _LORA_SCALE * (self.up @ self.down).detach()
        return self.frozen


class ResidualHead(nn.Module):
    """A residual map of low rank over the sentence's vector: ``x + B A x``; B is 0 at first."""

    def __init__(self, dimension: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, dimension) / math.sqrt(dimension))
        self.up = nn.Parameter(torch.zeros(dimension, rank))

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Map the (B, d) ``sentence_embedding`` of the features."""
        rows = features["sentence_embedding"]
        return features | {"sentence_embedding": rows + linear(linear(rows, self.down), self.up)}

    def merged(self) -> Dense:
        """Return a module of sentence-transformers that does the same."""
        size = self.up.shape[0]
        dense = Dense(size, size, bias=False, activation_function=nn.Identity())
        dense.linear.weight.data = torch.eye(size) + (self.up @ self.down).detach()
        return dense


def prepare(model: SentenceTransformer, form: str) -> SentenceTransformer:
    """Return the model with what the form adds; exactly what the form trains requires a gradient.

    What is added begins as nothing: the model embeds as before. It is drawn with a fixed seed. Raises ValueError when
    the form is unknown or the model has no such part.
    """
    kind, size = parse(form)
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FORMS[kind](model, size)


def parse(form: str) -> tuple[str, int]:
    """Split ``kind:size``. Raises ValueError when the kind is unknown, or the size is missing or below 1."""
    kind, _, size = form.partition(":")
    if kind not in FORMS:
        raise ValueError(f"unknown form {form!r}; known: full, last:LAYERS, lora:RANK, head:RANK")
    if kind == FULL and not size:
        return kind, 0
    if not size.isascii() or not size.isdigit() or not 1 <= int(size) <= 4096 or kind == FULL:
        raise ValueError(f"form {form!r} is none: full, last:LAYERS, lora:RANK or head:RANK, a number from 1 to 4096")
    return kind, int(size)


def merge(model: SentenceTransformer) -> SentenceTransformer:
    """Return a model of modules that every sentence-transformers knows. Weights of ``model`` are changed."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LowRankLinear):
                setattr(parent, name, child.merged())
    modules = [module.merged() if isinstance(module, ResidualHead) else module for module in model]
    return SentenceTransformer(modules=modules, device="cpu") if modules != list(model) else model


def head_place(model: SentenceTransformer) -> int | None:
    """Return which of the model's modules is a residual head; None where it has none."""
    return next((place for place, module in enumerate(model) if isinstance(module, ResidualHead)), None)


def _full(model: SentenceTransformer, size: int) -> SentenceTransformer:
    model.requires_grad_(True)
    return model


def _last(model: SentenceTransformer, layers: int) -> SentenceTransformer:
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) > 1]
    if not stacks:
        raise ValueError("it has no layers of which the last could be trained")
    stack = max(stacks, key=len)
    if layers > len(stack):
        raise ValueError(f"it has {len(stack)} layers, fewer than {layers}")
    for layer in list(stack)[-layers:]:
        layer.requires_grad_(True)
    return model


def _lora(model: SentenceTransformer, rank: int) -> SentenceTransformer:
    found = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if name in _ATTENDED and isinstance(child, nn.Linear)
    ]
    if not found:
        raise ValueError("it has no attention that LoRA could add to")
    for parent, name, child in found:
        setattr(parent, name, LowRankLinear(child, rank))
    return model


def _head(model: SentenceTransformer, rank: int) -> SentenceTransformer:
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise ValueError("its dimension is not known")
    modules = list(model)
    place = next((at for at, module in enumerate(modules) if isinstance(module, Normalize)), len(modules))
    modules.insert(place, ResidualHead(dimension, rank))
    return SentenceTransformer(modules=modules, device="cpu")


FORMS: dict[str, Callable[[SentenceTransformer, int], SentenceTransformer]] = {
    FULL: _full,
    "last": _last,
    "lora": _lora,
    "head": _head,
}
