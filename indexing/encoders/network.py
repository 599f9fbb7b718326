"""A bi-encoder's network: texts in, unit rows in float32 and their norms out.

A dot product of unit rows is the cosine. How long they were before is their norm, which cosine forgets and hyperbolic
distance does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Transformer
from tokenizers import Tokenizer
from torch import Tensor

from indexing.encoders.tokens import WINDOW_TEXTS, batches_by_length, flat_features, padded_features, well_formed
from indexing.home import SpecmineError

Vectors = NDArray[np.float32]


class Embedded(NamedTuple):
    """A batch of texts embedded: ``unit`` (B, d) float32 unit rows, ``norms`` (B,) float32 their lengths before."""

    unit: Tensor
    norms: Tensor


@dataclass(frozen=True)
class Network:
    """A loaded model and its tokenizer. ``pad_id`` fills short rows; static models use no special tokens."""

    model: SentenceTransformer
    tokenizer: Tokenizer
    pad_id: int
    is_static: bool

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, cut at the token limit; never an empty row."""
        encodings = self.tokenizer.encode_batch(
            [well_formed(text) for text in texts], add_special_tokens=not self.is_static
        )
        return [encoding.ids or [self.pad_id] for encoding in encodings]

    def embed(self, rows: list[list[int]]) -> Embedded:
        """Return unit rows and norms, with gradient where the caller has it on."""
        return self.finish(self.model[0](self._on_device(rows)))

    def features(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Return what the first module makes of the texts."""
        return dict(self.model[0](self._on_device(self.tokenize(texts))))

    def _on_device(self, rows: list[list[int]]) -> dict[str, Tensor]:
        """Return what the first module reads, where the model is."""
        features = flat_features(rows) if self.is_static else padded_features(rows, self.pad_id)
        # A graph without a head has no weights, and computes on the processor.
        device = next((weights.device for weights in self.model.parameters()), torch.device("cpu"))
        return {name: tensor.to(device) for name, tensor in features.items()}

    def finish(self, features: dict[str, Tensor], first: int = 1) -> Embedded:
        """Take what the modules below ``first`` gave through the others, in float32 whatever they computed in.

        The norm is that of what goes into the model's own normalisation, where it has one.
        """
        if "token_embeddings" in features:
            features["token_embeddings"] = features["token_embeddings"].float()
        norms: Tensor | None = None
        for module in list(self.model)[first:]:
            if norms is None and isinstance(module, Normalize):
                norms = features["sentence_embedding"].float().norm(dim=1)
            features = module(features)
        sentences = features["sentence_embedding"].float()
        unit = torch.nn.functional.normalize(sentences, dim=1)
        return Embedded(unit, sentences.norm(dim=1) if norms is None else norms)


def named_weights(model: SentenceTransformer) -> dict[str, Tensor]:
    """Return the weights under names that do not depend on the library's version: module number and tensor name."""
    weights: dict[str, Tensor] = {}
    for number, module in enumerate(model):
        inner = module.auto_model if isinstance(module, Transformer) else module
        weights.update({f"{number}.{name}": tensor for name, tensor in inner.state_dict().items()})
    return weights


def embed_batches(texts: Sequence[str], prompt: str, network: Network) -> Iterator[tuple[list[str], Vectors, Vectors]]:
    """Yield texts, their (B, d) unit vectors and their (B,) norms batch by batch, texts of similar length together."""
    for start in range(0, len(texts), WINDOW_TEXTS):
        window = texts[start : start + WINDOW_TEXTS]
        rows = network.tokenize([prompt + text for text in window])
        for batch in batches_by_length([len(row) for row in rows]):
            with torch.inference_mode():
                embedded = network.embed([rows[place] for place in batch])
            yield [window[place] for place in batch], embedded.unit.cpu().numpy(), embedded.norms.cpu().numpy()


def checked(rows: Vectors, name: str) -> Vectors:
    """Return the rows; raise SpecmineError when any value is not finite."""
    if not np.isfinite(rows).all():
        raise SpecmineError(f"encoder {name} gave vectors that are not finite: its weights are damaged or diverged")
    return rows
