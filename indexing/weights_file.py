"""Trained weights as a file: the same weights are the same bytes, so that a checksum tells whether they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

_SIZE_BYTES = 8  # of the header's length, which the file begins with, little-endian


def write_weights(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors as safetensors, with ``metadata`` sorted: the library orders them by chance each time."""
    save_file(dict(tensors), path, metadata=dict(metadata))
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(_SIZE_BYTES), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(metadata.items()))
        sorted_header = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(sorted_header) > size:
            raise RuntimeError(f"the header of {path} is {len(sorted_header)} bytes where {size} are free")
        file.seek(_SIZE_BYTES)
        file.write(sorted_header.ljust(size))  # a header may end in spaces, says the format
