"""How an index is kept on a Qdrant server, as the requests that the server gets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from indexing.settings import Placement
from indexing.stores.placement import QUANTIZATIONS, collection_settings, search_params
from indexing.stores.server_reader import ServerReader
from indexing.stores.store import BM25, QueryVectors

CLUSTER = Placement(6, 2, 2, on_disk=True, quantization="scalar")


def request(placement: Placement) -> dict[str, Any]:
    """Return the body of the request that makes a collection, by the client's own model of it."""
    settings = collection_settings(placement, {"minilm": 384, "e5": 768})
    body = models.CreateCollection(
        vectors=settings.pop("vectors_config"), sparse_vectors=settings.pop("sparse_vectors_config"), **settings
    )
    return body.model_dump(mode="json", exclude_none=True)


def test_a_cluster_with_vectors_on_disk_and_a_byte_for_each_number() -> None:
    body = request(CLUSTER)
    assert (body["shard_number"], body["replication_factor"], body["write_consistency_factor"]) == (6, 2, 2)
    assert body["vectors"]["e5"] == {"size": 768, "distance": "Dot", "on_disk": True}
    assert body["hnsw_config"] == {"on_disk": True}
    assert body["sparse_vectors"][BM25] == {"index": {"on_disk": True}, "modifier": "idf"}
    assert body["quantization_config"]["scalar"] == {"type": "int8", "quantile": 0.99, "always_ram": True}


def test_by_default_the_server_decides() -> None:
    body = request(Placement())
    assert body["vectors"]["minilm"] == {"size": 384, "distance": "Dot"}
    assert not {"hnsw_config", "quantization_config"} & set(body)
    assert search_params(Placement()) is None


@pytest.mark.parametrize("quantization", [name for name in QUANTIZATIONS if name != "none"])
def test_what_few_bits_found_is_put_in_order_by_the_vectors(quantization: str) -> None:
    asked: list[models.QueryRequest] = []

    class Listening(QdrantClient):
        def query_batch_points(self, collection_name: str, requests: Any, **_: Any) -> Any:
            asked.extend(requests)
            return [SimpleNamespace(points=[]) for _ in requests]

    reader = ServerReader(Listening(":memory:"), "c", 1, Placement(quantization=quantization))
    query = QueryVectors({"minilm": np.ones(4, dtype=np.float32)}, None)
    reader.nearest([query], 10)
    reader.nearest([query], 10, exact=True)
    quick, exact = (request.params for request in asked)
    assert quick is not None and exact is not None
    assert quick.quantization == models.QuantizationSearchParams(rescore=True, oversampling=3.0)
    assert exact.exact and exact.quantization == models.QuantizationSearchParams(ignore=True)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"shard_number": 0}, "shard_number must be 1 to 1000"),
        ({"write_consistency_factor": 2}, "no write would ever count"),
        ({"quantization": "half"}, "none, scalar or binary"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Placement(**wrong)
