"""Model files as they are published, turned into sentence-transformers directories that torch can load and train.

A converted directory holds ``config.json``, ``model.safetensors``, ``tokenizer.json`` (without truncation or padding),
``tokenizer_config.json`` and, for bi-encoders, ``modules.json`` with its pooling. Quantised weights become float32:
every quantised value times its scale, which float32 holds exactly. Nothing here needs torch.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from safetensors.numpy import load_file, save_file

from indexing.home import SpecmineError
from indexing.models.bert_int8 import convert_int8_onnx
from indexing.models.e5_q4 import convert_q4_e5
from indexing.models.sentence_directory import as_modules, read_json_file, write_json_file, write_tokenizer
from indexing.specs import Pooling

# Part of every cached model's key: raise it when a converter writes something else than before.
CONVERSION = 1

Converter = Callable[[Path, Path, Pooling], None]


def convert(model_format: str, source: Path, directory: Path, pooling: Pooling) -> None:
    """Write the model at ``source`` (file or folder, as the format has it) into the existing folder ``directory``.

    Raises SpecmineError in one line when the files are not what the format says, ValueError for an unknown format.
    """
    if model_format not in CONVERTERS:
        raise ValueError(f"unknown model format {model_format!r}; known formats: {', '.join(CONVERTERS)}")
    try:
        CONVERTERS[model_format](source, directory, pooling)
    except (OSError, KeyError, ValueError, struct.error, onnx.checker.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise SpecmineError(f"{source.name} is not a usable {model_format} model: {reason}") from None


def _copy_directory(source: Path, directory: Path, pooling: Pooling) -> None:
    """Copy a whole sentence-transformers directory; its own modules decide the pooling."""
    if not (source / "modules.json").is_file():
        raise ValueError("it has no modules.json")
    for path in sorted(source.rglob("*")):
        target = directory / path.relative_to(source)
        if path.is_file() and path.suffix in {".json", ".txt", ".safetensors"}:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    write_tokenizer(directory, read_json_file(source / "tokenizer.json"))


def _convert_static_table(source: Path, directory: Path, pooling: Pooling) -> None:
    """Turn a table of token vectors (``weights/*.safetensors``, ``tokenizers/*.json``) into a StaticEmbedding.

    A text's vector is the mean of its tokens' rows, special tokens left out.
    """
    files = [*source.glob("weights/*.safetensors"), *source.glob("tokenizers/*.json")]
    if [path.suffix for path in files] != [".safetensors", ".json"]:
        raise ValueError(f"it must have one weights and one tokenizers file, not {[path.name for path in files]}")
    tensors = load_file(files[0])
    if list(tensors) != ["embedding.weight"]:
        raise ValueError(f"its weights hold {list(tensors)}, not embedding.weight")
    save_file(
        {"embedding.weight": tensors["embedding.weight"].astype(np.float32)},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
    write_tokenizer(directory, read_json_file(files[1]))
    write_json_file(directory / "modules.json", as_modules(("StaticEmbedding", ""), ("Normalize", "1_Normalize")))


CONVERTERS: dict[str, Converter] = {
    "sentence-transformers": _copy_directory,
    "bert-int8-onnx": convert_int8_onnx,
    "e5-q4": convert_q4_e5,
    "static-table": _convert_static_table,
}
