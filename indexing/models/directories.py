"""Models that lie ready: in a directory of the user's, or in the cache of the Hugging Face hub."""

from __future__ import annotations

import os
from pathlib import Path

from indexing.home import SpecmineError, read_json
from indexing.specs import HubSource

HUB_FILES = ["*.json", "*.safetensors", "*.txt"]


def checked_directory(directory: Path, name: str) -> Path:
    """Check that a directory is a model that can be loaded without running code or pickles of others."""
    if not directory.is_dir():
        raise SpecmineError(f"model directory {name} does not exist; check the path in the configuration")
    modules = directory / "modules.json"
    if not modules.is_file() and not (directory / "config.json").is_file():
        raise SpecmineError(f"{name} has neither modules.json nor config.json: it is not a model directory")
    if modules.is_file():
        for module in read_json(modules):
            if not str(module.get("type", "")).startswith("sentence_transformers."):
                raise SpecmineError(f"{name} needs foreign code ({module.get('type')}): refused; choose another model")
    for pickled in directory.rglob("pytorch_model*.bin"):
        if not any(pickled.parent.glob("*.safetensors")):
            raise SpecmineError(f"{pickled} is a pickle, which is never read; convert the model to safetensors")
    if not any(path for kind in ("*.safetensors", "*.onnx") for path in directory.rglob(kind)):
        raise SpecmineError(f"{name} has no weights (*.safetensors); check that the model was downloaded whole")
    return directory.resolve()


def fetch_from_hub(source: HubSource) -> Path:
    """Return the directory of a hub's model, from the local cache or downloaded."""
    cached = from_hub_cache(source)
    if cached is not None:
        return cached
    return _snapshot(source, local=False)


def from_hub_cache(source: HubSource) -> Path | None:
    """Return the directory of a hub's model in the local cache; None where it is not there whole."""
    try:
        return _snapshot(source, local=True)
    except SpecmineError:
        return None


def _snapshot(source: HubSource, local: bool) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    try:
        folder = snapshot_download(
            source.hub, revision=source.revision, allow_patterns=HUB_FILES, local_files_only=local
        )
    except Exception as error:  # the hub's client raises errors of four libraries; all mean that there is no model
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SpecmineError(
            f"model {source.hub} is neither in the local cache nor to be had from the hub ({reason}); "
            "check its name and the network, or name another source"
        ) from None
    return checked_directory(Path(folder), source.hub)
