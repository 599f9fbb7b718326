"""What names a model by what it computes: document vectors, or scores, that change only with it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from chunking.document import sha256_file
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json
from indexing.models.fetching import model_directory
from indexing.specs import CrossEncoderSpec, EncoderSpec

# Files that decide what vector a text gets; the others are notes.
_VECTOR_FILES = ("*.safetensors", "tokenizer.json", "modules.json", "config.json")


def encoder_fingerprint(spec: EncoderSpec, home: Home) -> tuple[str, int]:
    """Return 64 hex digits that change whenever the document vectors of ``spec`` may change, and the vectors' length.

    The digits are the SHA-256 over the hashes of weights, tokenizer and module settings, document prompt, token limit
    and backend. The arithmetic (float32 or bfloat16) is not part of it: cosines between the two are above .999.
    """
    directory = model_directory(spec, home)
    settings = {
        "files": _vector_files(directory, with_graph=spec.backend == "onnx"),
        "document_prompt": spec.document_prompt,
        "max_tokens": spec.max_tokens,
        "pooling": spec.pooling,
        "backend": spec.backend,
    }
    return _fingerprint(settings), _vector_length(directory)


def cross_encoder_fingerprint(spec: CrossEncoderSpec, home: Home) -> str:
    """Return 64 hex digits that change whenever the scores of ``spec`` may change."""
    directory = model_directory(spec, home)
    return _fingerprint({"files": _vector_files(directory, with_graph=False), "max_tokens": spec.max_tokens})


def _fingerprint(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _vector_files(directory: Path, with_graph: bool) -> dict[str, str]:
    """Return path → SHA-256 of the files that decide the vectors, from the manifest where there is one."""
    recorded = read_json(directory / MANIFEST)["files"] if is_whole(directory) else {}
    patterns = (*_VECTOR_FILES, "*.onnx") if with_graph else _VECTOR_FILES
    files = sorted({path for pattern in patterns for path in directory.rglob(pattern)})
    names = [path.relative_to(directory).as_posix() for path in files]
    return {
        name: recorded[name]["sha256"] if name in recorded else sha256_file(path)
        for name, path in zip(names, files, strict=True)
    }


def _vector_length(directory: Path) -> int:
    """Return the length of a model's vectors, from its settings: the last module that changes it decides."""
    modules = directory / "modules.json"
    length = 0
    for module in read_json(modules) if modules.is_file() else [{"type": "Transformer", "path": ""}]:
        folder, kind = directory / module["path"], module["type"].rpartition(".")[2]
        if kind == "StaticEmbedding":
            with safe_open(folder / "model.safetensors", framework="np") as file:
                length = file.get_slice("embedding.weight").get_shape()[1]
        elif kind == "Transformer":
            length = read_json(folder / "config.json").get("hidden_size", 0)
        elif kind == "Pooling":
            modes = [mode for key, mode in read_json(folder / "config.json").items() if key.startswith("pooling_mode_")]
            length *= max(1, sum(mode is True for mode in modes))
        elif kind == "Dense":
            length = read_json(folder / "config.json")["out_features"]
    if not length:
        raise SpecmineError(f"{directory} does not tell the length of its vectors; choose another model")
    return int(length)
