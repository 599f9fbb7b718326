"""Hyperbolic neighbours: documents as points of the Poincaré ball, the nearest by its distance.

As in Yue et al., arXiv 2404.15523. Points come from the encoders' raw vectors: the norm that a vector had before it was
normalised becomes its distance from the centre, and the ranking differs from that by cosine. With unit vectors it would
be the same, for the distance between points at equal distance from the centre grows with their angle alone.

The search is exact. In Lorentz coordinates it is one for the greatest inner product, in one dimension more: stores keep
these coordinates as one more vector (``indexing.contents``), and nothing is embedded again for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from indexing.exact import exact_run, in_blocks
from indexing.fusion import Run
from indexing.generations import GenerationEncoder, IndexedDocument
from indexing.geometry import COSINE, CURVATURE, Geometry
from indexing.home import Home
from indexing.vectors import load_norms, load_vectors

log = logging.getLogger(__name__)

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
    unit = unit_of(norms) if chunk_ids else 1.0
    geometry = Geometry("hyperbolic", unit=unit)
    if chunk_ids and are_equal(norms):
        log.warning(
            "encoder %s gives all texts the norm %.4g: its hyperbolic neighbours would be the same as by cosine, "
            "and none are looked for",
            encoder.spec.name,
            unit,
        )
        return {query: {} for query in queries}

    def points() -> Iterator[np.ndarray]:
        for entry, lengths in zip(documents.values(), norms, strict=True):
            yield place(load_vectors(home, encoder.fingerprint, entry.key), lengths, geometry)

    wanted = as_queries(place(*embedded, geometry))
    return exact_run(queries, wanted, in_blocks(points()), chunk_ids, depth, partial(score, geometry=geometry))


def unit_of(norms: Sequence[np.ndarray]) -> float:
    """Return the length that counts as 1, the median of all documents' norms, to nine digits."""
    return float(f"{np.median(np.concatenate(norms)):.9g}")


def are_equal(norms: Sequence[np.ndarray]) -> bool:
    """Tell whether all norms are the same, so that there is nothing but angles to go by."""
    every = np.concatenate(norms)
    return bool(np.ptp(every) <= _EQUAL_NORMS * np.median(every))


def measured_geometry(
    home: Home, encoder: GenerationEncoder, documents: Mapping[str, IndexedDocument], geometry: Geometry
) -> Geometry:
    """Return a geometry with the documents' own unit; the cosine's where the encoder gives all texts the same norm.

    Raises SpecmineError when the norms were not kept.
    """
    if not geometry.has_points:
        return COSINE
    norms = [load_norms(home, encoder.fingerprint, entry.key) for entry in documents.values()]
    return COSINE if are_equal(norms) else replace(geometry, unit=unit_of(norms))


def place(rows: np.ndarray, norms: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return unit rows and their norms as (n, d + 1) float64 points of the hyperboloid, time first."""
    lengths = norms.astype(np.float64) / geometry.unit
    return lorentz(exp0(rows * lengths[:, None], geometry.curvature), geometry.curvature)


def as_queries(points: np.ndarray) -> np.ndarray:
    """Return points so that their inner products with others are Lorentz products."""
    return np.concatenate([-points[:, :1], points[:, 1:]], axis=1)


def distances(products: np.ndarray, c: float) -> np.ndarray:
    """Return the distances that belong to Lorentz products."""
    return np.asarray(np.arccosh(np.maximum(-c * products, 1.0)) / np.sqrt(c))


def score(queries: np.ndarray, documents: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Return (q, n) how well documents (n, d + 1) answer ``as_queries`` (q, d + 1), by distance or by both."""
    products = queries @ documents.T
    away = distances(products, geometry.curvature)
    if geometry.kind == "hyperbolic":
        return -away
    times = -queries[:, :1] @ documents[:, :1].T
    lengths = np.linalg.norm(queries[:, 1:], axis=1)[:, None] * np.linalg.norm(documents[:, 1:], axis=1)
    return np.asarray((products + times) / np.maximum(lengths, 1e-12) - geometry.weight * away)
