"""The files of a sentence-transformers directory, written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from indexing.specs import Pooling

Tensors = dict[str, NDArray[np.float32]]


def write_model(directory: Path, config: dict[str, Any], tensors: Tensors) -> None:
    """Write a transformer's ``config.json`` and its weights, float32, into ``model.safetensors``."""
    write_json_file(directory / "config.json", config)
    contiguous = {name: np.ascontiguousarray(tensors[name], dtype=np.float32) for name in sorted(tensors)}
    save_file(contiguous, directory / "model.safetensors", metadata={"format": "pt"})


def write_modules(directory: Path, config: dict[str, Any], pooling: Pooling) -> None:
    """Write what follows a transformer: pooling, and normalisation."""
    stages = as_modules(("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    write_json_file(directory / "modules.json", stages)
    write_json_file(directory / "sentence_bert_config.json", {"max_seq_length": config["max_position_embeddings"]})
    (directory / "1_Pooling").mkdir()
    content = {
        "word_embedding_dimension": config["hidden_size"],
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
    }
    write_json_file(directory / "1_Pooling" / "config.json", content)


def as_modules(*stages: tuple[str, str]) -> list[dict[str, Any]]:
    """Return what ``modules.json`` holds of these modules: kind and folder of each."""
    return [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
        for index, (name, path) in enumerate(stages)
    ]


def write_tokenizer(directory: Path, content: dict[str, Any]) -> None:
    """Write ``tokenizer.json`` without the truncation and padding it may carry: encoders set their own."""
    write_json_file(directory / "tokenizer.json", content | {"truncation": None, "padding": None})


def write_tokenizer_config(directory: Path, tokens: dict[str, str], max_tokens: int) -> None:
    """Write ``tokenizer_config.json``: the special tokens, and how many tokens are read."""
    content = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_tokens} | tokens
    write_json_file(directory / "tokenizer_config.json", content)


def read_json_file(path: Path) -> Any:
    """Return a JSON file's content. Raises OSError or ValueError, which the conversion tells of."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json_file(path: Path, content: Any) -> None:
    """Write a JSON file as models have it, in one line."""
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
