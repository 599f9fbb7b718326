"""An encoder that is published as an ONNX graph alone: it embeds as its float twin does, and a head is trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from indexing.encoders.document import load_document_encoder
from indexing.encoders.graph import OnnxTransformer
from indexing.encoders.query import load_query_encoder
from indexing.home import Home, SpecmineError
from indexing.models.fetching import model_directory
from indexing.specs import BGE_SMALL, DirectorySource, EncoderSpec
from tests.indexing.models.test_convert import quantised

TEXTS = ["w1 w2 w3", "w20", "w7 w1", "w30 w31 w4"]


@pytest.fixture
def spec(tmp_path: Path, make_encoder: Callable[..., Path]) -> EncoderSpec:
    original = make_encoder(tmp_path / "original")
    folder = quantised(original, tmp_path / "graph", head=False)
    (folder / "full.onnx").replace(folder / "model.onnx")  # as exported, before it was quantised
    shutil.copyfile(original / "config.json", folder / "config.json")
    return EncoderSpec("tiny", DirectorySource(str(folder)), query_prompt="w9 ", max_tokens=16, backend="onnx")


def test_a_graph_alone_embeds_as_the_weights_it_was_made_from(home: Home, spec: EncoderSpec, tmp_path: Path) -> None:
    twin = replace(spec, source=DirectorySource(str(tmp_path / "original")), backend="torch")
    expected, lengths = load_query_encoder(twin, home).embed_with_norms(TEXTS)  # which is float32 everywhere
    same_prompt = replace(spec, document_prompt=spec.query_prompt)
    for encoder in (load_document_encoder(same_prompt, home), load_query_encoder(spec, home)):
        vectors, norms = encoder.embed_with_norms(TEXTS)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
        np.testing.assert_allclose(norms, lengths, rtol=1e-5)


def test_a_head_is_trained_kept_and_read_again(home: Home, spec: EncoderSpec, tmp_path: Path) -> None:
    encoder = load_query_encoder(spec, home)
    before = encoder.embed(TEXTS)
    encoder.take_form("head:3")
    np.testing.assert_array_equal(encoder.embed(TEXTS), before)
    assert sum(tensor.numel() for tensor in encoder.trained_weights().values()) == 3 * 32 + 32 * 3
    optimiser = torch.optim.SGD([weights for weights in encoder.module.parameters() if weights.requires_grad], lr=5.0)
    for _ in range(3):
        optimiser.zero_grad()
        encoder.forward_tokens(TEXTS).unit[:, 0].sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    after = encoder.embed(TEXTS)
    assert (after[:, 0] < before[:, 0] - 0.01).all()
    encoder.save_weights(tmp_path / "model.safetensors")
    read = load_query_encoder(spec, home, tmp_path / "model.safetensors", "v1")
    np.testing.assert_array_equal(read.embed(TEXTS), after)


@pytest.mark.parametrize("form", ["full", "last:1", "lora:2"])
def test_nothing_but_a_head_can_be_trained(home: Home, spec: EncoderSpec, form: str) -> None:
    with pytest.raises(SpecmineError, match=rf'only a head can be trained, not {form!r}: set form = "head:64"'):
        load_query_encoder(spec, home).take_form(form)


def test_what_cannot_be_had_is_one_line(home: Home, spec: EncoderSpec, tmp_path: Path) -> None:
    with pytest.raises(SpecmineError, match=r"sentence-transformers cannot hold without more libraries"):
        load_query_encoder(spec, home).export(tmp_path / "exported")
    with pytest.raises(SpecmineError, match=r'holds an ONNX graph and no weights .*: set backend = "onnx"$'):
        load_document_encoder(replace(spec, backend="torch"), home)
    with pytest.raises(SpecmineError, match=r"reads at most 32 tokens: lower its max_tokens"):
        load_document_encoder(replace(spec, max_tokens=33), home)
    graph = model_directory(spec, home) / "model.onnx"
    graph.write_bytes(b"no graph")
    with pytest.raises(SpecmineError, match=r"model.onnx cannot be run by onnxruntime: [^\n]*$"):
        load_document_encoder(spec, home)


@pytest.mark.parametrize(
    ("read", "given", "problem"),
    [
        ("pixels", "last_hidden_state", "reads pixels, which is not known here"),
        ("input_ids", "logits", "gives logits and no last_hidden_state"),
    ],
)
def test_a_graph_of_another_kind_is_refused(tmp_path: Path, read: str, given: str, problem: str) -> None:
    inputs = [helper.make_tensor_value_info(read, TensorProto.INT64, ["b", "t"])]
    outputs = [helper.make_tensor_value_info(given, TensorProto.INT64, ["b", "t"])]
    graph = helper.make_graph([helper.make_node("Identity", [read], [given])], "other", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "g.onnx")
    with pytest.raises(SpecmineError, match=problem):
        OnnxTransformer(tmp_path / "g.onnx")


@pytest.mark.models
def test_a_published_graph_alone_gives_its_own_vectors(models_home: Home, tmp_path: Path) -> None:
    with_both = replace(BGE_SMALL, backend="onnx")
    published = model_directory(with_both, models_home)
    alone = tmp_path / "alone"
    shutil.copytree(published, alone, ignore=shutil.ignore_patterns("*.safetensors", "modules.json", "manifest.json"))
    spec = replace(with_both, source=DirectorySource(str(alone)))
    texts = ["a sender must not retransmit", "the length of the header in octets"]
    expected = load_document_encoder(with_both, models_home).embed(texts)
    np.testing.assert_allclose(load_document_encoder(spec, models_home).embed(texts), expected, atol=1e-6)
    queries = load_query_encoder(replace(spec, query_prompt=spec.document_prompt), models_home)
    np.testing.assert_allclose(queries.embed(texts), expected, atol=1e-6)
