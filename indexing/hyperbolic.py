"""Hyperbolic neighbours: documents as points of the Poincaré ball, the nearest by its distance.

As in Yue et al., arXiv 2404.15523. Points come from the encoders' raw vectors: the norm that a vector had before it was
normalised becomes its distance from the centre, and the ranking differs from that by cosine. With unit vectors it would
be the same, for the distance between points at equal distance from the centre grows with their angle alone.

The search is exact. In Lorentz coordinates it is one for the greatest inner product, in one dimension more.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from indexing.exact import exact_run, in_blocks
from indexing.fusion import Run
from indexing.generations import GenerationEncoder, IndexedDocument
from indexing.home import Home
from indexing.vectors import load_norms, load_vectors

log = logging.getLogger(__name__)

CURVATURE = 0.1
CLIPPING_RADIUS = 2.3
# Norms that differ by less than this share of their median are equal: the model's last layer normalises.
_EQUAL_NORMS = 1e-3


def hyperbolic_name(encoder: str) -> str:
    """Return the name of the run of an encoder's hyperbolic neighbours."""
    return f"hyperbolic:{encoder}"


def exp0(tangent: np.ndarray, c: float = CURVATURE, radius: float = CLIPPING_RADIUS) -> np.ndarray:
    """Map (n, d) tangent vectors at the centre to points of the ball of curvature -c.

    Longer ones are clipped to ``radius``. Points stay within a thousandth of the ball's edge, 1/√c.
    """
    lengths = np.linalg.norm(tangent, axis=-1, keepdims=True)
    directions = tangent / np.where(lengths > 0, lengths, 1.0)
    reached = np.tanh(np.sqrt(c) * np.minimum(lengths, radius)) / np.sqrt(c)
    return np.asarray(directions * np.minimum(reached, (1 - 1e-3) / np.sqrt(c)))


def lorentz(points: np.ndarray, c: float = CURVATURE) -> np.ndarray:
    """Return points (n, d) of the ball as (n, d + 1) points of the hyperboloid, time first.

    Their Lorentz product ⟨x, y⟩ = Σ xᵢyᵢ - x₀y₀ is -cosh(√c distance) / c.
    """
    squares = c * (points**2).sum(axis=-1, keepdims=True)
    return np.asarray(np.concatenate([(1 + squares) / np.sqrt(c), 2 * points], axis=-1) / (1 - squares))


def hyperbolic_run(
    home: Home,
    encoder: GenerationEncoder,
    documents: Mapping[str, IndexedDocument],
    chunk_ids: Sequence[str],
    queries: Sequence[str],
    embedded: tuple[np.ndarray, np.ndarray],
    depth: int,
) -> Run:
    """Return the ``depth`` nearest chunks of each query (id) by hyperbolic distance; the scores are its negative.

    ``embedded`` are the queries' (q, d) unit rows and (q,) norms. Vectors are measured in units of the documents'
    median norm, so that the clipping radius, which was chosen for vectors of about that size, cuts off few of them.
    Every query has an empty entry, and a warning is logged, where the encoder's norms are all the same.
    Raises SpecmineError when the norms were not kept.
    """
    norms = [load_norms(home, encoder.fingerprint, entry.key) for entry in documents.values()]
    unit = float(np.median(np.concatenate(norms))) if chunk_ids else 1.0
    if chunk_ids and np.ptp(np.concatenate(norms)) <= _EQUAL_NORMS * unit:
        log.warning(
            "encoder %s gives all texts the norm %.4g: its hyperbolic neighbours would be the same as by cosine, "
            "and none are looked for",
            encoder.spec.name,
            unit,
        )
        return {query: {} for query in queries}

    def points() -> Iterator[np.ndarray]:
        for entry, lengths in zip(documents.values(), norms, strict=True):
            yield _place(load_vectors(home, encoder.fingerprint, entry.key), lengths, unit)

    wanted = _place(*embedded, unit)
    wanted[:, 0] *= -1
    run = exact_run(queries, wanted, in_blocks(points()), chunk_ids, depth)
    return {query: {chunk: -_apart(product) for chunk, product in found.items()} for query, found in run.items()}


def _place(rows: np.ndarray, norms: np.ndarray, unit: float) -> np.ndarray:
    """Return unit rows and their norms as (n, d + 1) float64 points of the hyperboloid."""
    return lorentz(exp0(rows * (norms.astype(np.float64) / unit)[:, None]))


def _apart(product: float) -> float:
    return float(np.arccosh(max(-CURVATURE * product, 1.0)) / np.sqrt(CURVATURE))
