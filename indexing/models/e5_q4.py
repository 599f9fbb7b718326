"""A multilingual E5 in 4-bit blocks, as float32 weights and a unigram tokenizer."""

from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexing.models.bert import LAYER_MODULES, bert_config, without_pooler
from indexing.models.sentence_directory import Tensors, write_model, write_modules, write_tokenizer_config
from indexing.specs import Pooling


def convert_q4_e5(source: Path, directory: Path, pooling: Pooling) -> None:
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
        for short, module in LAYER_MODULES.items():
            weight, bias = stored[f"l{layer}.{short}.w"], stored[f"l{layer}.{short}.b"]
            name = f"encoder.layer.{layer}.{module}"
            tensors[f"{name}.weight"] = weight if module.endswith("LayerNorm") else weight.reshape(len(bias), -1)
            tensors[f"{name}.bias"] = bias
    config = bert_config(tensors, "")
    config["num_attention_heads"] = heads
    config["layer_norm_eps"] = float(f"{epsilon:.6g}")
    config["pad_token_id"] = special["<pad>"]
    write_model(directory, config, without_pooler(tensors, config))
    write_modules(directory, config, pooling)
    _write_unigram_tokenizer(directory, pieces, special)
    tokens = {"cls_token": "<s>", "sep_token": "</s>", "bos_token": "<s>", "eos_token": "</s>"}
    write_tokenizer_config(directory, tokens | {"pad_token": "<pad>", "unk_token": "<unk>"}, positions)


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
