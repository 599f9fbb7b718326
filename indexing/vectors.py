"""Document vectors and their norms as they lie on disk. Reading them needs no encoder."""

from __future__ import annotations

import numpy as np

from indexing.generations import norms_file, vectors_file
from indexing.home import Home, SpecmineError


def load_norms(home: Home, fingerprint: str, key: str) -> np.ndarray:
    """Return the norms that an encoder's vectors of a document had before they were normalised, (n,) float32."""
    path = norms_file(home, fingerprint, key)
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except FileNotFoundError:
        raise SpecmineError(
            f"{path.parent} lacks the norms of document vectors, which older versions did not keep: "
            "run `specmine reindex` to compute them"
        ) from None
    except (OSError, ValueError) as error:
        raise SpecmineError(
            f"the norms in {path} cannot be read ({error}): remove it and run `specmine reindex`"
        ) from None


def load_vectors(home: Home, fingerprint: str, key: str) -> np.ndarray:
    """Return an encoder's vectors of a document, (n, d) float32, memory-mapped and read-only."""
    path = vectors_file(home, fingerprint, key)
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        raise SpecmineError(f"the vectors in {path} cannot be read ({error}): run `specmine reindex`") from None
