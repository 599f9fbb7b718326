"""The ensemble ``pca``: all encoders' vectors side by side, reduced to one space, compared there by cosine.

One of the two ensembles of arXiv 2411.02404. Unlike the fusions of ranked lists (``indexing.fusion``) it needs vectors.
The directions that hold 95 % of the variance of the served documents are found from their exact covariance, which is
summed up in blocks: memory grows with the square of the encoders' dimensions together, never with the corpus.

Layout of ``generations/<id>/pca-<content>/``, made when it is first asked for::

    mean.npy         (D,) float64, D being the encoders' dimensions together
    components.npy   (D, k) float64, orthonormal columns
    documents.npy    (n, k) float32 unit rows, in the order of the content's documents and their chunks
    manifest.json    encoders, dimensions, share of the variance
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexing.exact import ROWS_PER_BLOCK, vector_blocks
from indexing.generations import Generation, IndexedDocument
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, write_artifact, write_json

PCA = "pca"
VARIANCE = 0.95
# So many contents keep theirs: the served one and what a rollback may lead to.
_KEPT = 3


@dataclass(frozen=True)
class PcaSpace:
    """``mean`` (D,) and ``components`` (D, k) float64: the directions of greatest variance, greatest first."""

    mean: np.ndarray
    components: np.ndarray

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 unit rows of (n, D) vectors; a row at the mean stays zero."""
        reduced = (vectors - self.mean) @ self.components
        lengths = np.linalg.norm(reduced, axis=1, keepdims=True)
        return np.asarray(reduced / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


@dataclass(frozen=True)
class PcaIndex:
    """A content in its reduced space: ``documents`` is memory-mapped and read in blocks."""

    space: PcaSpace
    documents: np.ndarray

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the documents' (n, k) float32 unit rows in order."""
        for first in range(0, len(self.documents), ROWS_PER_BLOCK):
            yield np.asarray(self.documents[first : first + ROWS_PER_BLOCK])


def fit(blocks: Iterable[np.ndarray], variance: float = VARIANCE) -> tuple[PcaSpace, float]:
    """Return the fewest directions that hold more than ``variance`` of all variance, and the share they hold.

    ``blocks`` are (n, D). Raises ValueError when there is no row. Where all rows are equal one direction is kept, and
    every projection is zero.
    """
    total: np.ndarray | None = None
    products = np.zeros((0, 0))
    count = 0
    for block in blocks:
        rows = block.astype(np.float64)
        if total is None:
            total, products = np.zeros(rows.shape[1]), np.zeros((rows.shape[1], rows.shape[1]))
        total += rows.sum(axis=0)
        products += rows.T @ rows
        count += len(rows)
    if total is None or not count:
        raise ValueError("there is nothing to fit: no row was given")
    mean = total / count
    # Unit rows: the difference loses no more than a few of float64's sixteen digits.
    values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
    values, vectors = np.clip(values[::-1], 0.0, None), vectors[:, ::-1]
    shares = np.cumsum(values) / values.sum() if values.sum() > 0 else np.ones(len(values))
    kept = min(int(np.searchsorted(shares, variance, side="right")) + 1, len(values))
    return PcaSpace(mean, np.ascontiguousarray(vectors[:, :kept])), float(shares[kept - 1])


def open_pca(home: Home, generation: Generation, content: int, documents: Mapping[str, IndexedDocument]) -> PcaIndex:
    """Return a content's reduced space, making it first where it is not there yet. Whole or not at all."""
    folder = home.generations / generation.id / f"{PCA}-{content}"
    if not is_whole(folder):
        if not any(entry.chunks for entry in documents.values()):
            raise SpecmineError("the index is empty: there is nothing for pca to learn from")
        _build(home, generation, folder, documents)
        _forget_old(folder)
    try:
        space = PcaSpace(*(np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("mean", "components")))
        reduced = np.load(folder / "documents.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SpecmineError(f"{folder} is damaged ({error}): remove it, and it is made again") from None
    return PcaIndex(space, reduced)


def _build(home: Home, generation: Generation, folder: Path, documents: Mapping[str, IndexedDocument]) -> None:
    def side_by_side() -> Iterator[np.ndarray]:
        parts = [vector_blocks(home, encoder.fingerprint, documents) for encoder in generation.encoders]
        for blocks in zip(*parts, strict=True):
            yield np.concatenate(blocks, axis=1)

    space, share = fit(side_by_side())
    count = sum(entry.chunks for entry in documents.values())
    with write_artifact(folder) as partial:
        np.save(partial / "mean.npy", space.mean, allow_pickle=False)
        np.save(partial / "components.npy", space.components, allow_pickle=False)
        shape = (count, space.components.shape[1])
        reduced = np.lib.format.open_memmap(partial / "documents.npy", "w+", np.float32, shape)
        first = 0
        for block in side_by_side():
            reduced[first : first + len(block)] = space.project(block)
            first += len(block)
        reduced.flush()
        if first != count:
            raise SpecmineError(f"{folder.name}: {first} vectors for {count} chunks: run `specmine reindex`")
        manifest = {
            "encoders": {encoder.spec.name: encoder.fingerprint for encoder in generation.encoders},
            "dimensions": {"encoders": len(space.mean), "kept": shape[1]},
            "variance": {"wanted": VARIANCE, "held": share},
            "chunks": count,
        }
        write_json(partial / MANIFEST, manifest)


def _forget_old(folder: Path) -> None:
    """Remove the spaces of contents before the last few. Who has one open keeps it: only its name goes."""
    whole = [path for path in folder.parent.glob(f"{PCA}-*") if is_whole(path)]
    whole.sort(key=lambda path: int(path.name.removeprefix(f"{PCA}-")))
    for stale in whole[:-_KEPT]:
        shutil.rmtree(stale, ignore_errors=True)
