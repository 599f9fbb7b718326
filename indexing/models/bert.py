"""A BERT by its tensors: their names as torch has them, and the sizes that they tell."""

from __future__ import annotations

from typing import Any

import numpy as np

from indexing.models.sentence_directory import Tensors

_EMBEDDING_TENSORS = (
    "word_embeddings.weight",
    "position_embeddings.weight",
    "token_type_embeddings.weight",
    "LayerNorm.weight",
    "LayerNorm.bias",
)
LAYER_MODULES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_LAYER_TENSORS = [f"{module}.{kind}" for module in LAYER_MODULES.values() for kind in ("weight", "bias")]


def bert_config(tensors: Tensors, prefix: str) -> dict[str, Any]:
    """Return the sizes of a BERT from the shapes of its tensors, the heads left at 1; check that none is missing."""
    words = tensors[f"{prefix}embeddings.word_embeddings.weight"]
    layers = 0
    while f"{prefix}encoder.layer.{layers}.output.dense.weight" in tensors:
        layers += 1
    if not layers:
        raise ValueError("it has no encoder layers")
    wanted = [f"{prefix}embeddings.{name}" for name in _EMBEDDING_TENSORS]
    wanted += [f"{prefix}encoder.layer.{layer}.{name}" for layer in range(layers) for name in _LAYER_TENSORS]
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": words.shape[0],
        "hidden_size": words.shape[1],
        "num_hidden_layers": layers,
        "num_attention_heads": 1,
        "intermediate_size": tensors[f"{prefix}encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": tensors[f"{prefix}embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": tensors[f"{prefix}embeddings.token_type_embeddings.weight"].shape[0],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


def without_pooler(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    """Give a bi-encoder a pooler of zeros, which nothing reads: transformers would start one at random and warn."""
    hidden = config["hidden_size"]
    return tensors | {
        "pooler.dense.weight": np.zeros((hidden, hidden), dtype=np.float32),
        "pooler.dense.bias": np.zeros(hidden, dtype=np.float32),
    }
