"""A retraining of an encoder that is there as an ONNX graph alone: its head is trained, judged, published, searched."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file

from evaluation.verdict import PromotionRule
from indexing.home import Home, SpecmineError
from indexing.ingest import ingest
from indexing.search import Searcher
from indexing.specs import DirectorySource
from tests.training.conftest import DIMENSION
from training.composition import CompositionSettings
from training.retrain import retrain
from training.train_settings import TrainSettings

SETTINGS = TrainSettings(
    form="head:24", learning_rate=5e-2, temperature=0.1, epochs=8, precision="float32", weight_decay=0.0
)
SERVED_FUSION = CompositionSettings(methods=(), reranker_queries=0)


def write_graph(directory: Path, encoder: Path) -> Path:
    """Write a static encoder as a graph: each token's vector, looked up."""
    directory.mkdir()
    table = load_file(encoder / "model.safetensors")["embedding.weight"]
    sizes = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])]
    vectors = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", DIMENSION])]
    look_up = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([look_up], "table", sizes, vectors, [numpy_helper.from_array(table, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, directory / "model.onnx")
    (directory / "config.json").write_text(json.dumps({"hidden_size": DIMENSION}), encoding="utf-8")
    shutil.copyfile(encoder / "tokenizer.json", directory / "tokenizer.json")
    return directory


def test_a_head_on_a_graph_is_trained_judged_and_searched_with(world: Any, tmp_path: Path) -> None:
    one = world.settings.encoders[0]
    graph = write_graph(tmp_path / "graph", Path(one.source.directory))
    spec = replace(one, source=DirectorySource(str(graph)), backend="onnx")
    settings = replace(world.settings, encoders=(spec,))
    home = Home(tmp_path / "graph_home")
    ingest([Path(one.source.directory).parent / "documents"], home, settings)

    def run(train: TrainSettings) -> Any:
        parts = (world.catalogue, None, train, SERVED_FUSION, PromotionRule())
        return retrain(Searcher.open(home, settings), *parts).as_json()

    with pytest.raises(SpecmineError, match=r"encoder one is there as an ONNX graph alone.* not 'full'"):
        run(replace(SETTINGS, form="full"))
    assert not list(home.encoders.glob("one/*"))

    report = run(SETTINGS)
    (version,) = report["versions"]
    assert version["verdict"] == "promoted"
    assert version["after"] > version["before"] + 0.1
    assert version["document_checksum"]["before"] == version["document_checksum"]["after"]
    weights = load_file(home.encoders / "one" / version["version"] / "model.safetensors")
    assert sum(tensor.size for tensor in weights.values()) == 2 * 24 * DIMENSION
    found = Searcher.open(home, settings).search(world.catalogue.queries("train")[0].text)
    assert found.release == report["release"]
    assert {"one"} == {name for result in found.results for name in result.sources} - {"bm25"}
