from __future__ import annotations

import json
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from indexing.encoders.cross import load_cross_encoder
from indexing.encoders.loading import load_network
from indexing.home import Home, SpecmineError
from indexing.models.convert import CONVERTERS, convert
from indexing.models.fetching import fetch, tokenizer_file
from indexing.specs import E5_SMALL, CrossEncoderSpec, DirectorySource, EncoderSpec

MakeEncoder = Callable[..., Path]
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
IDS = torch.tensor([[2, 5, 6, 7, 8, 9, 3], [2, 30, 31, 3, 0, 0, 0]])


class Exportable(torch.nn.Module):
    """A BERT whose mask is made the plain way, which the exporter can follow."""

    def __init__(self, model: torch.nn.Module, head: bool) -> None:
        super().__init__()
        # Adopted child by child, so that the names in the graph are those of the model itself.
        for name, child in model.named_children():
            self.add_module(name, child)
        self.forward_of = type(model).forward
        self.config, self.head, self.training = model.config, head, False
        self.whole = [model]

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        mask = (1.0 - attention_mask[:, None, None, :].float()) * -1e9
        output = self.whole[0](input_ids=input_ids, attention_mask=mask, token_type_ids=types)
        return output.logits if self.head else output.last_hidden_state  # type: ignore[no-any-return]


def quantised(directory: Path, folder: Path, head: bool) -> Path:
    """Export a model directory to ONNX and quantise it to int8 as published models are; return the folder."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.onnx_model import ONNXModel
    from transformers import BertForSequenceClassification, BertModel

    kind = BertForSequenceClassification if head else BertModel
    model = kind.from_pretrained(directory, attn_implementation="eager").eval()
    if not head:
        model.pooler = None
    folder.mkdir()
    output = "logits" if head else "last_hidden_state"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Exportable(model, head),
            (IDS, (IDS > 0).long(), torch.zeros_like(IDS)),
            str(folder / "full.onnx"),
            input_names=INPUTS,
            output_names=[output],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in INPUTS},
            opset_version=17,
            dynamo=False,
        )
        graph = ONNXModel(onnx.load(folder / "full.onnx"))
        graph.replace_gemm_with_matmul()  # else the quantiser leaves pooler and classifier as they are
        quantize_dynamic(graph.model, folder / "model.onnx", weight_type=QuantType.QInt8, per_channel=not head)
    (folder / "tokenizer.json").write_bytes((directory / "tokenizer.json").read_bytes())
    return folder


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return (first * second).sum(axis=-1) / lengths  # type: ignore[no-any-return]


def test_an_int8_graph_becomes_the_float_weights_it_was_made_from(tmp_path: Path, make_encoder: MakeEncoder) -> None:
    original = make_encoder(tmp_path / "original")
    folder = quantised(original, tmp_path / "quantised", head=False)
    converted = tmp_path / "converted"
    converted.mkdir()
    convert("bert-int8-onnx", folder, converted, "cls")

    before, after = load_file(original / "model.safetensors"), load_file(converted / "model.safetensors")
    assert set(after) == set(before)
    for name, tensor in after.items():
        if name.startswith("pooler."):
            assert not tensor.any()
        elif tensor.ndim == 1:
            np.testing.assert_array_equal(tensor, before[name])
        else:
            # int8 has 254 steps over [-max, max]: half a step is the largest error (embeddings use all 255 of uint8).
            step = 2 * np.abs(before[name]).max() / 254
            assert np.abs(tensor - before[name]).max() <= 0.5 * step * 1.01, name

    config = json.loads((converted / "config.json").read_text(encoding="utf-8"))
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    sizes |= {"vocab_size": 40, "max_position_embeddings": 32, "type_vocab_size": 2}
    assert {key: config[key] for key in sizes} == sizes
    tokenizer = json.loads((converted / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["truncation"] is None
    assert tokenizer["padding"] is None

    session = onnxruntime.InferenceSession(str(converted / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    feeds = {"input_ids": IDS.numpy(), "attention_mask": (IDS > 0).long().numpy()}
    (hidden,) = session.run(None, feeds | {"token_type_ids": torch.zeros_like(IDS).numpy()})
    network = load_network(EncoderSpec("tiny", DirectorySource(str(converted)), max_tokens=32), converted)
    rows = network.embed([[2, 5, 6, 7, 8, 9, 3], [2, 30, 31, 3]]).unit.detach().numpy()
    assert cosines(rows, hidden[:, 0]).min() > 0.99  # [CLS], as asked for


def test_an_int8_graph_with_a_classifier_becomes_a_cross_encoder_that_gives_its_logits(
    tmp_path: Path, home: Home, make_encoder: MakeEncoder
) -> None:
    folder = quantised(make_encoder(tmp_path / "original", labels=1), tmp_path / "quantised", head=True)
    converted = tmp_path / "converted"
    converted.mkdir()
    convert("bert-int8-onnx", folder, converted, "mean")
    assert not (converted / "modules.json").exists()
    config = json.loads((converted / "config.json").read_text(encoding="utf-8"))
    assert config["num_attention_heads"] == 4  # there was no config.json: read off the graph
    assert config["sentence_transformers"]["activation_fn"].endswith(".Identity")

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    encoder = load_cross_encoder(CrossEncoderSpec("tiny", DirectorySource(str(converted)), max_tokens=32), home)
    pairs = [(f"w{number} w2", f"w{number + 9} w11 w12") for number in range(12)]
    expected = []
    for number in range(12):  # [CLS] query [SEP] passage [SEP]; w0 is token 4
        ids = np.array([[2, number + 4, 6, 3, number + 13, 15, 16, 3]])
        types = np.array([[0, 0, 0, 0, 1, 1, 1, 1]])
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
        expected.append(session.run(["logits"], feeds)[0][0, 0])
    scores = encoder.score(pairs)
    assert np.corrcoef(scores, expected)[0, 1] > 0.99
    assert np.abs(scores - expected).max() < 0.1 * np.ptp(expected)


# E5S1


def q4(values: np.ndarray, scale: float) -> bytes:
    """Pack whole numbers −8 … 7 as Q4_0 blocks of one scale."""
    packed = b""
    for block in (values.reshape(-1, 32) + 8).astype(np.uint8):
        packed += np.float16(scale).tobytes() + (block[:16] | block[16:] << 4).tobytes()
    return packed


def write_e5(path: Path, pieces: list[tuple[str, float]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Write an E5S1 file of one layer, 32 dimensions; return what its tensors must become."""
    hidden, positions, types = 32, 24, 2
    exact: dict[str, tuple[int, ...]] = {"emb.pos": (positions, hidden), "emb.type": (types, hidden)}
    exact |= dict.fromkeys(("emb.ln.w", "emb.ln.b", "l0.aln.w", "l0.aln.b", "l0.oln.w", "l0.oln.b"), (hidden,))
    packed = {"emb.word": (len(pieces), hidden), "l0.fi.w": (64, hidden), "l0.fo.w": (hidden, 64)}
    packed |= {f"l0.{name}.w": (hidden, hidden) for name in ("q", "k", "v", "ao")}
    exact |= {f"l0.{name[3:-2]}.b": (shape[0],) for name, shape in packed.items() if name.startswith("l0.")}

    bodies: list[tuple[str, int, int, bytes]] = []
    expected: dict[str, np.ndarray] = {}
    for name, shape in exact.items():
        values = rng.normal(size=shape).astype("<f4")
        bodies.append((name, 0, values.size, values.tobytes()))
        expected[name] = values
    for number, (name, shape) in enumerate(packed.items()):
        values = rng.integers(-8, 8, size=shape)
        scale = 0.125 * (number + 1)  # exact in float16
        bodies.append((name, 2, values.size, q4(values, scale)))
        expected[name] = (values * scale).astype(np.float32)

    texts = [text.encode() for text, _ in pieces]
    head = b"E5S1" + struct.pack("<I7ifi", 1, hidden, 1, 4, 64, len(pieces), positions, types, 1e-12, 32)
    head += struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, sum(map(len, texts)))
    head += np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    head += np.array([score for _, score in pieces], dtype="<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", 0, 3) + b"???" + struct.pack("<i", len(bodies))
    offset = len(head) + sum(2 + len(name) + 21 for name, *_ in bodies)
    for name, kind, count, body in bodies:
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, offset, len(body))
        offset += len(body)
    path.write_bytes(head + b"".join(body for *_, body in bodies))
    return expected


PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
PIECES += [("▁bolt", -1.0), ("▁", -3.0), ("bo", -2.5), ("lt", -2.5), ("s", -2.0), ("▁A1", -1.0), ("ナット", -1.0)]
PIECES += [("b", -6.0), ("o", -6.0), ("l", -6.0), ("t", -6.0), ("ガ", -6.0)]


def test_a_4_bit_e5_becomes_its_weights_and_its_tokenizer(tmp_path: Path) -> None:
    expected = write_e5(tmp_path / "e5.bin", PIECES, np.random.default_rng(0))
    converted = tmp_path / "converted"
    converted.mkdir()
    convert("e5-q4", tmp_path / "e5.bin", converted, "mean")

    tensors = load_file(converted / "model.safetensors")
    layer = "encoder.layer.0."
    for name, torch_name in {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
        "l0.k.w": layer + "attention.self.key.weight",
        "l0.ao.b": layer + "attention.output.dense.bias",
        "l0.aln.w": layer + "attention.output.LayerNorm.weight",
        "l0.fi.w": layer + "intermediate.dense.weight",
        "l0.fo.w": layer + "output.dense.weight",
    }.items():
        np.testing.assert_array_equal(tensors[torch_name], expected[name], err_msg=name)

    network = load_network(EncoderSpec("tiny", DirectorySource(str(converted)), max_tokens=24), converted)
    assert network.pad_id == 1
    assert torch.isfinite(network.embed(network.tokenize(["bolts", "ナット A1"])).unit).all()
    tokenizer = Tokenizer.from_file(str(converted / "tokenizer.json"))
    assert tokenizer.encode("bolts").tokens == ["<s>", "▁bolt", "s", "</s>"]
    # NFKC, as SentencePiece does it: full-width letters, half-width katakana, runs of white space.
    assert tokenizer.encode("Ａ１").tokens == ["<s>", "▁A1", "</s>"]
    assert tokenizer.encode("ﾅｯﾄ").tokens == ["<s>", "▁", "ナット", "</s>"]
    assert tokenizer.encode("bolt\t \n bolt").tokens == ["<s>", "▁bolt", "▁bolt", "</s>"]


@pytest.mark.parametrize("cut", [3, 20, 60, 200, 4000])
def test_a_cut_4_bit_file_is_refused_in_one_line(tmp_path: Path, cut: int) -> None:
    write_e5(tmp_path / "e5.bin", PIECES, np.random.default_rng(0))
    (tmp_path / "e5.bin").write_bytes((tmp_path / "e5.bin").read_bytes()[:cut])
    (tmp_path / "out").mkdir()
    with pytest.raises(SpecmineError, match=r"e5.bin is not a usable e5-q4 model: ") as caught:
        convert("e5-q4", tmp_path / "e5.bin", tmp_path / "out", "mean")
    assert "\n" not in str(caught.value)


# Static tables, whole directories, and what is none of them


def test_a_static_table_becomes_a_static_embedding_in_float32(
    tmp_path: Path, make_tokenizer: Callable[[Path], None]
) -> None:
    source = tmp_path / "table"
    for folder in ("weights", "tokenizers"):
        (source / folder).mkdir(parents=True)
    table = np.arange(80, dtype=np.float16).reshape(40, 2)
    save_file({"embedding.weight": table}, source / "weights" / "table.safetensors")
    make_tokenizer(source / "tokenizers")
    (source / "tokenizers" / "tokenizer_config.json").unlink()
    converted = tmp_path / "converted"
    converted.mkdir()
    convert("static-table", source, converted, "mean")

    network = load_network(EncoderSpec("tiny", DirectorySource(str(converted)), max_tokens=8), converted)
    rows = network.tokenize(["w0 w1"])
    assert rows == [[4, 5]]  # no special tokens
    # Rows 4 and 5 are (8, 9) and (10, 11): the mean is (9, 10).
    expected = np.array([9, 10]) / 181**0.5
    np.testing.assert_allclose(network.embed(rows).unit.detach().numpy()[0], expected, atol=1e-6)
    assert load_file(converted / "model.safetensors")["embedding.weight"].dtype == np.float32


def test_a_whole_directory_is_copied_without_its_code(tmp_path: Path, make_encoder: MakeEncoder) -> None:
    source = make_encoder(tmp_path / "model")
    (source / "modeling.py").write_text("raise SystemExit", encoding="utf-8")
    (source / "pytorch_model.bin").write_bytes(b"pickle")
    converted = tmp_path / "converted"
    converted.mkdir()
    convert("sentence-transformers", source, converted, "cls")
    copied = {path.relative_to(converted).as_posix() for path in converted.rglob("*") if path.is_file()}
    assert "1_Pooling/config.json" in copied
    assert not {"modeling.py", "pytorch_model.bin"} & copied
    assert (converted / "model.safetensors").read_bytes() == (source / "model.safetensors").read_bytes()
    assert json.loads((converted / "tokenizer.json").read_text(encoding="utf-8"))["truncation"] is None


def test_unknown_formats_and_files_of_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="known formats: sentence-transformers, bert-int8-onnx, e5-q4, static-table"):
        convert("gguf", tmp_path, tmp_path, "mean")
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    (tmp_path / "model.bin").write_bytes(b"GGUF" + bytes(100))
    for model_format in CONVERTERS:
        source = tmp_path / "model.bin" if model_format == "e5-q4" else tmp_path
        (tmp_path / model_format).mkdir()
        with pytest.raises(SpecmineError, match=f"is not a usable {model_format} model: .+") as caught:
            convert(model_format, source, tmp_path / model_format, "mean")
        assert "\n" not in str(caught.value)


@pytest.mark.models
def test_the_real_e5_tokenizer_reads_japanese(models_home: Home) -> None:
    fetch(E5_SMALL.source, models_home, E5_SMALL.pooling)
    tokenizer = Tokenizer.from_file(str(tokenizer_file(E5_SMALL, models_home)))
    encoding = tokenizer.encode("ボルトの引張強さは、800 MPa以上でなければならない。")
    words = ["▁", "ボ", "ル", "ト", "の", "引", "張", "強", "さ", "は", "、", "800", "▁MP", "a", "以上", "で"]
    assert encoding.tokens == ["<s>", *words, "なければならない", "。", "</s>"]
    assert encoding.ids[0] == 0
    assert encoding.ids[-1] == 2
    assert tokenizer.encode("ﾅｯﾄ").ids == tokenizer.encode("ナット").ids
    assert 3 not in encoding.ids  # nothing unknown
