"""Search by another geometry than the cosine, exactly, over the points that a store keeps beside the unit vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indexing.geometry import Geometry
from indexing.hyperbolic import as_queries, distances, place, score
from indexing.stores.store import Hit, QueryVectors, Reader


def nearest_by_geometry(
    reader: Reader, encoder: str, geometry: Geometry, embedded: tuple[np.ndarray, np.ndarray], limit: int
) -> list[list[Hit]]:
    """Return, for each query, the best ``limit`` chunks of an encoder by a geometry that has points.

    ``embedded`` are the queries' (q, d) unit rows and (q,) norms. Scores are ``-distance`` or
    ``cosine - weight · distance``.
    """
    points = as_queries(place(*embedded, geometry))
    name = geometry.vector_name(encoder)
    if geometry.kind == "hybrid":
        return [
            _best_of_both(reader, encoder, name, geometry, row, point, limit)
            for row, point in zip(embedded[0], points, strict=True)
        ]
    asked = [QueryVectors({name: point.astype(np.float32)}, None) for point in points]
    return [
        [Hit(hit.chunk, -_distance(hit.score, geometry)) for hit in found[name]]
        for found in reader.nearest(asked, limit, exact=True)
    ]


def _best_of_both(
    reader: Reader, encoder: str, name: str, geometry: Geometry, row: np.ndarray, point: np.ndarray, limit: int
) -> list[Hit]:
    """Take the nearest by cosine and by distance, deeper and deeper, until none that is in neither can be better.

    The threshold algorithm (Fagin, Lotem & Naor, JCSS 2003): what is in neither list has at most the last one's cosine,
    and is at least as far away as the last one of the other list.
    """
    asked = [QueryVectors({encoder: row.astype(np.float32), name: point.astype(np.float32)}, None)]
    known: dict[str, np.ndarray] = {}
    depth = limit
    while True:
        found = reader.nearest(asked, depth, exact=True)[0]
        cosines, products = found[encoder], found[name]
        fresh = {hit.chunk for hit in (*cosines, *products)} - known.keys()
        known |= reader.vectors_of(name, fresh)
        best = _scored(point, known, geometry)[:limit]
        if len(cosines) < depth:  # all documents were compared
            return best
        at_most = cosines[-1].score - geometry.weight * _distance(products[-1].score, geometry)
        if best[-1].score >= at_most:
            return best
        depth *= 2


def _scored(point: np.ndarray, documents: dict[str, np.ndarray], geometry: Geometry) -> list[Hit]:
    if not documents:
        return []
    scores = score(point[None], np.stack(list(documents.values())).astype(np.float64), geometry)[0]
    return _in_order([Hit(chunk, value) for chunk, value in zip(documents, scores.tolist(), strict=True)])


def _in_order(hits: Sequence[Hit]) -> list[Hit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.chunk))


def _distance(product: float, geometry: Geometry) -> float:
    return float(distances(np.asarray(product), geometry.curvature))
