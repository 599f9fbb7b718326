"""Which code made a version: the release of specmine, its very sources, and the libraries whose arithmetic it used."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What determines the weights of a version and the verdict on it; pages and command line do not.
_ROOMS = ("chunking", "indexing", "evaluation", "mining", "training")
_LIBRARIES = ("specmine", "torch", "transformers", "sentence-transformers", "numpy")


def code_version() -> dict[str, str]:
    """Return the version of specmine and of the libraries, and ``sources``, the SHA-256 over the rooms' source files.

    A library that is not installed as a package (specmine run from its folder) is left out.
    """
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for path in sorted(path for room in _ROOMS for path in (root / room).rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return found | {"sources": digest.hexdigest()}
