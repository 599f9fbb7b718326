"""What a new content must show before it is served: that it is all there, and that the store finds what is nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chunking.stored import chunk_places
from indexing.exact import exact_run, vector_blocks
from indexing.generations import Generation, IndexedDocument, document_folder, open_store
from indexing.home import Home
from indexing.settings import IndexSettings
from indexing.stores.store import QueryVectors, Reader

_SAMPLE = 64  # passages whose neighbours are looked for
_NEIGHBOURS = 10
_SEED = 20
# The store and numpy add in another order: what is as near as the tenth within this is as good.
_SAME = 1e-4


@dataclass(frozen=True)
class Checked:
    """``recall`` gives, by encoder, the share of the exactly nearest ten that the store finds, over a sample."""

    documents: int
    chunks: int
    stored: int
    recall: dict[str, float]
    sample: int

    def as_json(self) -> dict[str, Any]:
        """Return the checks as JSON-able values."""
        return asdict(self)

    def failures(self, expected: int, minimum_recall: float) -> list[str]:
        """Say what is wrong where ``expected`` documents should be there; nothing where all is well."""
        wrong = []
        if self.documents != expected:
            wrong.append(f"it holds {self.documents} documents, the served release {expected}")
        if self.stored != self.chunks:
            wrong.append(f"the store holds {self.stored} passages, its documents have {self.chunks}")
        wrong += [
            f"of the nearest ten by {name} the store finds {found:.1%}, less than minimum_recall = {minimum_recall}"
            for name, found in self.recall.items()
            if found < minimum_recall
        ]
        return wrong


def check(
    home: Home,
    settings: IndexSettings,
    generation: Generation,
    documents: Mapping[str, IndexedDocument],
    content: int,
) -> Checked:
    """Count a content and search it for the neighbours of a sample of its own passages, exactly and as it is served."""
    reader = open_store(home, generation, settings.qdrant).reader(content)
    try:
        ids = [chunk for entry in documents.values() for chunk, _ in chunk_places(document_folder(home, entry.key))]
        sample = np.sort(np.random.default_rng(_SEED).permutation(len(ids))[:_SAMPLE])
        recall = {
            part.spec.name: _recall(home, reader, part.spec.name, part.fingerprint, documents, ids, sample)
            for part in generation.encoders
        }
        return Checked(len(documents), len(ids), reader.count(), recall, len(sample))
    finally:
        reader.close()


def _recall(
    home: Home,
    reader: Reader,
    encoder: str,
    fingerprint: str,
    documents: Mapping[str, IndexedDocument],
    ids: list[str],
    sample: np.ndarray,
) -> float:
    """Return the mean share of the exactly nearest ten, as the vectors on disk have them, that the store finds."""
    if not len(sample):
        return 1.0
    rows = _rows(home, fingerprint, documents, sample)
    names = [str(row) for row in sample]
    exact = exact_run(names, rows, vector_blocks(home, fingerprint, documents), ids, _NEIGHBOURS)
    found = reader.nearest([QueryVectors({encoder: row}, None) for row in rows], _NEIGHBOURS)
    shares = []
    for name, hits in zip(names, found, strict=True):
        nearest = sorted(exact[name].values(), reverse=True)
        good = sum(hit.score >= nearest[-1] - _SAME for hit in hits[encoder])
        shares.append(min(good, len(nearest)) / len(nearest))
    return float(np.mean(shares))


def _rows(home: Home, fingerprint: str, documents: Mapping[str, IndexedDocument], wanted: np.ndarray) -> np.ndarray:
    """Return the vectors at these places (sorted) among all, (n, d) float32."""
    rows, first = [], 0
    for block in vector_blocks(home, fingerprint, documents):
        here = wanted[(wanted >= first) & (wanted < first + len(block))] - first
        rows.append(block[here])
        first += len(block)
    return np.concatenate(rows)
