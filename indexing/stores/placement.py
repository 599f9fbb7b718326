"""How a Qdrant server keeps an index: in how many pieces and copies, in memory or on disk, in how many bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qdrant_client import models

from indexing.settings import Placement
from indexing.stores.store import BM25

_OVERSAMPLING = 3.0  # so many times the wanted passages are found by few bits, and put in order by all of them

QUANTIZATIONS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "scalar": lambda: models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    ),
    "binary": lambda: models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True)),
}


def collection_settings(placement: Placement, dimensions: Mapping[str, int]) -> dict[str, Any]:
    """Return what ``create_collection`` takes for vectors of these names and dimensions, and for BM25.

    What is "on disk" is read through the system's cache: it is as fast as memory while it fits there.
    """
    on_disk = placement.on_disk or None  # None leaves it to the server, which keeps vectors in memory
    return {
        "vectors_config": {
            name: models.VectorParams(size=size, distance=models.Distance.DOT, on_disk=on_disk)
            for name, size in dimensions.items()
        },
        "sparse_vectors_config": {
            BM25: models.SparseVectorParams(
                modifier=models.Modifier.IDF, index=models.SparseIndexParams(on_disk=True) if on_disk else None
            )
        },
        "shard_number": placement.shard_number,
        "replication_factor": placement.replication_factor,
        "write_consistency_factor": placement.write_consistency_factor,
        "on_disk_payload": on_disk,
        "hnsw_config": models.HnswConfigDiff(on_disk=True) if on_disk else None,
        "quantization_config": QUANTIZATIONS[placement.quantization](),
    }


def search_params(placement: Placement, exact: bool = False) -> models.SearchParams | None:
    """Return how to search; None as the server does by itself. What few bits found is put in order by the vectors."""
    if exact:
        return models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))
    if placement.quantization == "none":
        return None
    rescored = models.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
    return models.SearchParams(quantization=rescored)
