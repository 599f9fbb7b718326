"""Model files as they are published, turned into sentence-transformers directories that torch can load and train.

A converted directory holds ``config.json``, ``model.safetensors``, ``tokenizer.json`` (without truncation or padding),
``tokenizer_config.json`` and, for bi-encoders, ``modules.json`` with its pooling. Quantised weights become float32:
every quantised value times its scale, which float32 holds exactly. Nothing here needs torch.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file

from indexing.home import SpecmineError

# Part of every cached model's key: raise it when a converter writes something else than before.
CONVERSION = 1

Pooling = Literal["mean", "cls"]
Tensors = dict[str, NDArray[np.float32]]
Converter = Callable[[Path, Path, Pooling], None]

ONNX_GRAPH = "onnx/model.onnx"


def convert(model_format: str, source: Path, directory: Path, pooling: Pooling) -> None:
    """Write the model at ``source`` (file or folder, as the format has it) into the existing folder ``directory``.

    Raises SpecmineError in one line when the files are not what the format says, ValueError for an unknown format.
    """
    if model_format not in CONVERTERS:
        raise ValueError(f"unknown model format {model_format!r}; known formats: {', '.join(CONVERTERS)}")
    try:
        CONVERTERS[model_format](source, directory, pooling)
    except (OSError, KeyError, ValueError, struct.error, onnx.checker.ValidationError) as error:
        reason = " ".join(str(error).split())
        raise SpecmineError(f"{source.name} is not a usable {model_format} model: {reason}") from None


def _copy_directory(source: Path, directory: Path, pooling: Pooling) -> None:
    """Copy a whole sentence-transformers directory; its own modules decide the pooling."""
    if not (source / "modules.json").is_file():
        raise ValueError("it has no modules.json")
    for path in sorted(source.rglob("*")):
        target = directory / path.relative_to(source)
        if path.is_file() and path.suffix in {".json", ".txt", ".safetensors"}:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    _write_tokenizer(directory, _read(source / "tokenizer.json"))


def _convert_int8_onnx(source: Path, directory: Path, pooling: Pooling) -> None:
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
    config = _bert_config(tensors, prefix)
    config["num_attention_heads"] = config["hidden_size"] // _head_size(graph)
    if is_cross_encoder:
        config["architectures"] = ["BertForSequenceClassification"]
        config["id2label"] = {"0": "LABEL_0"}
        config["label2id"] = {"LABEL_0": 0}
        # Raw logits: without this sentence-transformers puts a sigmoid behind a single label.
        config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.linear.Identity"}
    else:
        tensors = _without_pooler(tensors, config)
        _write_modules(directory, config, pooling)
    _write_model(directory, config, tensors)
    _write_tokenizer(directory, _read(source / "tokenizer.json"))
    tokens = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    _write_tokenizer_config(directory, tokens | {"mask_token": "[MASK]"}, config["max_position_embeddings"])
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


def _bert_config(tensors: Tensors, prefix: str) -> dict[str, Any]:
    """Return the sizes of a BERT from the shapes of its tensors, the heads left at 1; check that none is missing."""
    words = tensors[f"{prefix}embeddings.word_embeddings.weight"]
    layers = 0
    while f"{prefix}encoder.layer.{layers}.output.dense.weight" in tensors:
        layers += 1
    if not layers:
        raise ValueError("it has no encoder layers")
    wanted = [f"{prefix}embeddings.{name}" for name in _EMBEDDING_TENSORS]
    wanted += [f"{prefix}encoder.layer.{layer}.{name}" for layer in range(layers) for name in _LAYER_TENSORS]
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise ValueError(f"{len(missing)} tensors are missing, the first is {missing[0]}")
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": words.shape[0],
        "hidden_size": words.shape[1],
        "num_hidden_layers": layers,
        "num_attention_heads": 1,
        "intermediate_size": tensors[f"{prefix}encoder.layer.0.intermediate.dense.weight"].shape[0],
        "max_position_embeddings": tensors[f"{prefix}embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": tensors[f"{prefix}embeddings.token_type_embeddings.weight"].shape[0],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    }


_EMBEDDING_TENSORS = (
    "word_embeddings.weight",
    "position_embeddings.weight",
    "token_type_embeddings.weight",
    "LayerNorm.weight",
    "LayerNorm.bias",
)
_LAYER_MODULES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_LAYER_TENSORS = [f"{module}.{kind}" for module in _LAYER_MODULES.values() for kind in ("weight", "bias")]


def _without_pooler(tensors: Tensors, config: dict[str, Any]) -> Tensors:
    """Give a bi-encoder a pooler of zeros, which nothing reads: transformers would start one at random and warn."""
    hidden = config["hidden_size"]
    return tensors | {
        "pooler.dense.weight": np.zeros((hidden, hidden), dtype=np.float32),
        "pooler.dense.bias": np.zeros(hidden, dtype=np.float32),
    }


class _Cursor:
    """A position in a little-endian binary file; reading past its end raises struct.error."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0

    def read(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{layout}", self.content, self.position)
        self.position += struct.calcsize(f"<{layout}")
        return values

    def read_bytes(self, count: int) -> bytes:
        if self.position + count > len(self.content):
            raise ValueError("the file ends too early")
        start = self.position
        self.position += count
        return self.content[start : self.position]

    def read_array(self, dtype: str, count: int) -> NDArray[Any]:
        return np.frombuffer(self.read_bytes(count * np.dtype(dtype).itemsize), dtype=dtype)


def _convert_q4_e5(source: Path, directory: Path, pooling: Pooling) -> None:
    """Turn a multilingual E5 in 4-bit blocks (an ``E5S1`` file) into float32 weights and a unigram tokenizer.

    Layout, little-endian: magic ``E5S1``; version; hidden size, layers, heads, intermediate size, vocabulary,
    positions, token types; layer-norm epsilon; block size; pieces with the ids of bos, eos, pad, unk, their offsets,
    scores and UTF-8 text; a normalisation table (not read: SentencePiece's own ``nmt_nfkc`` is used); a directory of
    tensors (name, kind, count, offset, bytes).
    """
    cursor = _Cursor(source.read_bytes())
    if cursor.read_bytes(4) != b"E5S1":
        raise ValueError("it does not begin with E5S1")
    _, hidden, layers, heads, _, vocabulary, positions, types, epsilon, block = cursor.read("I7ifi")
    if block != 32:
        raise ValueError(f"its blocks have {block} values, not 32")
    pieces, special = _read_pieces(cursor)
    _, normalisation_bytes = cursor.read("iI")
    cursor.read_bytes(normalisation_bytes)
    stored = _read_q4_tensors(cursor)

    tensors: Tensors = {
        "embeddings.word_embeddings.weight": stored["emb.word"].reshape(vocabulary, hidden),
        "embeddings.position_embeddings.weight": stored["emb.pos"].reshape(positions, hidden),
        "embeddings.token_type_embeddings.weight": stored["emb.type"].reshape(types, hidden),
        "embeddings.LayerNorm.weight": stored["emb.ln.w"],
        "embeddings.LayerNorm.bias": stored["emb.ln.b"],
    }
    for layer in range(layers):
        for short, module in _LAYER_MODULES.items():
            weight, bias = stored[f"l{layer}.{short}.w"], stored[f"l{layer}.{short}.b"]
            name = f"encoder.layer.{layer}.{module}"
            tensors[f"{name}.weight"] = weight if module.endswith("LayerNorm") else weight.reshape(len(bias), -1)
            tensors[f"{name}.bias"] = bias
    config = _bert_config(tensors, "")
    config["num_attention_heads"] = heads
    config["layer_norm_eps"] = float(f"{epsilon:.6g}")
    config["pad_token_id"] = special["<pad>"]
    _write_model(directory, config, _without_pooler(tensors, config))
    _write_modules(directory, config, pooling)
    _write_unigram_tokenizer(directory, pieces, special)
    tokens = {"cls_token": "<s>", "sep_token": "</s>", "bos_token": "<s>", "eos_token": "</s>"}
    _write_tokenizer_config(directory, tokens | {"pad_token": "<pad>", "unk_token": "<unk>"}, positions)


def _read_pieces(cursor: _Cursor) -> tuple[list[tuple[str, float]], dict[str, int]]:
    count, bos, eos, pad, unk, blob_bytes = cursor.read("5iQ")
    offsets = cursor.read_array("<u4", count + 1)
    scores = cursor.read_array("<f4", count)
    blob = cursor.read_bytes(blob_bytes)
    texts = [blob[start:end].decode("utf-8") for start, end in pairwise(offsets)]
    pieces = list(zip(texts, scores.tolist(), strict=True))
    return pieces, {"<s>": bos, "</s>": eos, "<pad>": pad, "<unk>": unk}


def _read_q4_tensors(cursor: _Cursor) -> Tensors:
    """Read the tensor directory and every tensor, flat. Kind 0 is float32, others are Q4_0 blocks of 32 values.

    A Q4_0 block is a float16 scale and 16 bytes; the low nibbles are values 0–15, the high ones 16–31, each minus 8.
    """
    (count,) = cursor.read("i")
    tensors: Tensors = {}
    for _ in range(count):
        (name_bytes,) = cursor.read("H")
        name = cursor.read_bytes(name_bytes).decode("utf-8")
        kind, values, offset, _ = cursor.read("BIQQ")
        if kind == 0:
            tensors[name] = np.frombuffer(cursor.content, "<f4", values, offset)
            continue
        blocks = np.frombuffer(
            cursor.content, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]), values // 32, offset
        )
        nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1)
        tensors[name] = ((nibbles.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    return tensors


def _write_unigram_tokenizer(directory: Path, pieces: list[tuple[str, float]], special: dict[str, int]) -> None:
    """Write the tokenizer of XLM-RoBERTa: SentencePiece unigram after NFKC as its ``nmt_nfkc`` table has it."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    rules: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # generated code
    rules.ParseFromString(sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto())
    table = normalizers.Precompiled(rules.normalizer_spec.precompiled_charsmap)
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=special["<unk>"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence([table, normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", special["<s>"]), ("</s>", special["</s>"])],
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.save(str(directory / "tokenizer.json"), pretty=False)


def _convert_static_table(source: Path, directory: Path, pooling: Pooling) -> None:
    """Turn a table of token vectors (``weights/*.safetensors``, ``tokenizers/*.json``) into a StaticEmbedding.

    A text's vector is the mean of its tokens' rows, special tokens left out.
    """
    files = [*source.glob("weights/*.safetensors"), *source.glob("tokenizers/*.json")]
    if [path.suffix for path in files] != [".safetensors", ".json"]:
        raise ValueError(f"it must have one weights and one tokenizers file, not {[path.name for path in files]}")
    tensors = load_file(files[0])
    if list(tensors) != ["embedding.weight"]:
        raise ValueError(f"its weights hold {list(tensors)}, not embedding.weight")
    save_file(
        {"embedding.weight": tensors["embedding.weight"].astype(np.float32)},
        directory / "model.safetensors",
        metadata={"format": "pt"},
    )
    _write_tokenizer(directory, _read(files[1]))
    _write(directory / "modules.json", _modules(("StaticEmbedding", ""), ("Normalize", "1_Normalize")))


def _write_model(directory: Path, config: dict[str, Any], tensors: Tensors) -> None:
    _write(directory / "config.json", config)
    contiguous = {name: np.ascontiguousarray(tensors[name], dtype=np.float32) for name in sorted(tensors)}
    save_file(contiguous, directory / "model.safetensors", metadata={"format": "pt"})


def _write_modules(directory: Path, config: dict[str, Any], pooling: Pooling) -> None:
    stages = _modules(("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize"))
    _write(directory / "modules.json", stages)
    _write(directory / "sentence_bert_config.json", {"max_seq_length": config["max_position_embeddings"]})
    (directory / "1_Pooling").mkdir()
    content = {
        "word_embedding_dimension": config["hidden_size"],
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
    }
    _write(directory / "1_Pooling" / "config.json", content)


def _modules(*stages: tuple[str, str]) -> list[dict[str, Any]]:
    return [
        {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"}
        for index, (name, path) in enumerate(stages)
    ]


def _write_tokenizer(directory: Path, content: dict[str, Any]) -> None:
    """Write ``tokenizer.json`` without the truncation and padding it may carry: encoders set their own."""
    _write(directory / "tokenizer.json", content | {"truncation": None, "padding": None})


def _write_tokenizer_config(directory: Path, tokens: dict[str, str], max_tokens: int) -> None:
    content = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_tokens} | tokens
    _write(directory / "tokenizer_config.json", content)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


CONVERTERS: dict[str, Converter] = {
    "sentence-transformers": _copy_directory,
    "bert-int8-onnx": _convert_int8_onnx,
    "e5-q4": _convert_q4_e5,
    "static-table": _convert_static_table,
}
