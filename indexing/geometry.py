"""By what an encoder's nearest documents are found: the cosine, a distance in hyperbolic space, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GeometryKind = Literal["cosine", "hyperbolic", "hybrid"]
GEOMETRIES: tuple[GeometryKind, ...] = ("cosine", "hyperbolic", "hybrid")

CURVATURE = 0.1
# λ τ / τ_h of the losses' defaults: what of the distance counts against a cosine.
DISTANCE_WEIGHT = 0.3


@dataclass(frozen=True)
class Geometry:
    """How an encoder's documents are ranked: by the cosine, by ``-distance``, or by ``cosine - weight · distance``.

    The distance is that of the Poincaré ball of curvature ``-curvature``, between the vectors with the lengths they had
    before they were normalised (``indexing.hyperbolic``). ``unit`` is the length that counts as 1: the documents'
    median when the points were made. It stays when documents come and go, so that those that stay keep their points.
    """

    kind: GeometryKind = "cosine"
    curvature: float = CURVATURE
    weight: float = DISTANCE_WEIGHT
    unit: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in GEOMETRIES:
            raise ValueError(f"unknown geometry {self.kind!r}; known are: {', '.join(GEOMETRIES)}")
        for name in ("curvature", "unit"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"the weight of the distance must be 0 or above, not {self.weight}")

    @property
    def has_points(self) -> bool:
        """Whether documents are searched as points of the ball."""
        return self.kind != "cosine"

    def vector_name(self, encoder: str) -> str:
        """Return the name under which a store keeps these points of an encoder's documents.

        Other points have another name, so that no release is ever searched by those of another. Encoders' names hold
        no dot.
        """
        return f"{encoder}.hyperbolic.c{self.curvature:.9g}.u{self.unit:.9g}"


COSINE = Geometry()
