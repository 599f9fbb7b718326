"""A BERT that onnxruntime quantised dynamically (int8 weights), as float32 weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from indexing.models.bert import bert_config, without_pooler
from indexing.models.sentence_directory import (
    Tensors,
    read_json_file,
    write_model,
    write_modules,
    write_tokenizer,
    write_tokenizer_config,
)
from indexing.specs import Pooling

ONNX_GRAPH = "onnx/model.onnx"


def convert_int8_onnx(source: Path, directory: Path, pooling: Pooling) -> None:
    """Turn a BERT that onnxruntime quantised dynamically (int8 weights) into float32 weights.

    The folder holds ``model.onnx`` and ``tokenizer.json``. With a ``classifier`` the model is
    a cross-encoder, else a bi-encoder. The graph itself is kept for the onnx backend.
    """
    try:
        graph = onnx.load(str(source / "model.onnx")).graph
    except DecodeError:
        raise ValueError("model.onnx is not an ONNX graph") from None
    tensors = _dequantise_graph(graph)
    is_cross_encoder = "classifier.weight" in tensors
    prefix = "bert." if is_cross_encoder else ""
    config = bert_config(tensors, prefix)
    config["num_attention_heads"] = config["hidden_size"] // _head_size(graph)
    if is_cross_encoder:
        config["architectures"] = ["BertForSequenceClassification"]
        config["id2label"] = {"0": "LABEL_0"}
        config["label2id"] = {"LABEL_0": 0}
        # Raw logits: without this sentence-transformers puts a sigmoid behind a single label.
        config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    else:
        tensors = without_pooler(tensors, config)
        write_modules(directory, config, pooling)
    write_model(directory, config, tensors)
    write_tokenizer(directory, read_json_file(source / "tokenizer.json"))
    tokens = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    write_tokenizer_config(directory, tokens | {"mask_token": "[MASK]"}, config["max_position_embeddings"])
    (directory / ONNX_GRAPH).parent.mkdir()
    shutil.copyfile(source / "model.onnx", directory / ONNX_GRAPH)


def _dequantise_graph(graph: Any) -> Tensors:
    """Return the weights of a dynamically quantised BERT graph under their torch names, in torch's orientation."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tensors: Tensors = {
        name: value.astype(np.float32)
        for name, value in stored.items()
        if value.dtype == np.float32 and value.ndim == 1 and name.endswith((".weight", ".bias"))
    }
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0].endswith("_quantized"):
            name = node.input[0].removesuffix("_quantized")
            tensors[name] = _dequantise(stored, name)
        elif node.op_type == "MatMulInteger" and node.input[1].endswith("_quantized"):
            # Graphs name these matrices by number, by layer or "…_Transposed"; the node always has the layer's path:
            # "/encoder/layer.0/output/dense/MatMul_quant". ONNX multiplies from the right, so torch's is the transpose.
            path = node.name.strip("/").rpartition("/")[0].replace("/", ".")
            matrix = _dequantise(stored, node.input[1].removesuffix("_quantized"))
            tensors[f"{path}.weight"] = np.ascontiguousarray(matrix.T)
    return tensors


def _dequantise(stored: dict[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """Return ``(quantised - zero point) * scale``; scales of each column broadcast over the rows."""
    zero_point = stored[f"{name}_zero_point"].astype(np.float32)
    scale = stored[f"{name}_scale"].astype(np.float32)
    return (stored[f"{name}_quantized"].astype(np.float32) - zero_point) * scale


def _head_size(graph: Any) -> int:
    """Return the values in one attention head: the last number of the shape that the first layer gives its queries."""
    constants = {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in graph.node
        if node.op_type == "Constant" and node.attribute[0].HasField("t")
    }
    for node in graph.node:
        if node.op_type == "Concat" and "layer.0/attention/self" in node.name and len(node.input) == 4:
            return int(constants[node.input[3]].item())
    raise ValueError("it has no attention layer that tells the size of a head")
