from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from indexing.encoders import compute
from indexing.encoders.document import load_document_encoder
from indexing.encoders.query import load_query_encoder
from indexing.encoders.tokens import BATCH_TOKENS, batches_by_length, padded_features
from indexing.home import Home, SpecmineError, read_json, write_json
from indexing.models.fingerprints import encoder_fingerprint
from indexing.specs import BGE_SMALL, E5_SMALL, MINILM, WORDLLAMA, DirectorySource, EncoderSpec

MakeEncoder = Callable[..., Path]
TEXTS = ["w1 w2 w3", "w4", "w5 w6 w7 w8 w9 w10", "w1 w2 w3", "w11 w12"]


@pytest.fixture
def exact_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which arithmetic is faster on so small a network is chance; these tests want the exact one."""
    monkeypatch.setattr(compute, "MINIMUM_SPEED_UP", float("inf"))


@pytest.fixture
def spec(tmp_path: Path, make_encoder: MakeEncoder, exact_arithmetic: None) -> EncoderSpec:
    directory = make_encoder(tmp_path / "model")
    return EncoderSpec("tiny", DirectorySource(str(directory)), max_tokens=16)


def cosine_rows(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", first, second)


def test_document_vectors_are_unit_rows_in_the_order_of_the_texts(spec: EncoderSpec, home: Home) -> None:
    encoder = load_document_encoder(spec, home)
    done: list[int] = []
    rows = encoder.embed(TEXTS, done.append)
    assert rows.shape == (5, 32)
    assert rows.dtype == np.float32
    assert encoder.dim == 32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert done == sorted(done)
    assert done[-1] == 5
    assert np.array_equal(rows[0], rows[3])
    for place, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.embed([text])[0], rows[place], atol=1e-5)
    assert encoder.embed([]).shape == (0, 32)


def test_document_vectors_are_what_the_transformer_gives_when_it_is_called_by_hand(
    spec: EncoderSpec, home: Home
) -> None:
    from transformers import BertModel

    assert isinstance(spec.source, DirectorySource)
    model = BertModel.from_pretrained(spec.source.directory).eval()
    # [CLS] w1 w2 w3 [SEP]: words follow the four special tokens of the vocabulary.
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([[2, 5, 6, 7, 3]])).last_hidden_state[0]
    mean = hidden.mean(dim=0)
    expected = (mean / mean.norm()).numpy()
    np.testing.assert_allclose(load_document_encoder(spec, home).embed(["w1 w2 w3"])[0], expected, atol=1e-5)


def test_norms_are_those_of_the_vectors_before_they_were_normalised(spec: EncoderSpec, home: Home) -> None:
    from transformers import BertModel

    assert isinstance(spec.source, DirectorySource)
    model = BertModel.from_pretrained(spec.source.directory).eval()
    expected = []
    for text in TEXTS:
        ids = [2, *(int(word[1:]) + 4 for word in text.split()), 3]
        with torch.no_grad():
            expected.append(float(model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(dim=0).norm()))
    for encoder in (load_document_encoder(spec, home), load_query_encoder(spec, home)):
        rows, norms = encoder.embed_with_norms(TEXTS)
        np.testing.assert_array_equal(rows, encoder.embed(TEXTS))
        np.testing.assert_allclose(norms, expected, rtol=1e-5)
        assert norms.dtype == np.float32
    assert np.ptp(expected) > 0.01 * min(expected)  # they differ: something is compared


def test_identical_texts_go_through_the_network_once(spec: EncoderSpec, home: Home) -> None:
    encoder = load_document_encoder(spec, home)
    seen: list[int] = []
    encoder._network.model[0].register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0]["input_ids"])))
    rows = encoder.embed(["w1 w2"] * 50 + ["w3"])
    assert sum(seen) == 2
    assert np.array_equal(rows[:50], np.repeat(rows[:1], 50, axis=0))


def test_text_beyond_max_tokens_is_not_read(spec: EncoderSpec, home: Home) -> None:
    encoder = load_document_encoder(spec, home)
    words = " ".join(f"w{number}" for number in range(14))  # with [CLS] and [SEP] exactly 16 tokens
    rows = encoder.embed([words, words + " w20 w21", words.rsplit(maxsplit=1)[0]])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    assert cosine_rows(rows[:1], rows[2:])[0] < 0.9999


def test_prompts_stand_before_the_text_of_their_side_only(spec: EncoderSpec, home: Home) -> None:
    prompted = replace(spec, query_prompt="w30 w31 ", document_prompt="w32 ")
    plain = load_document_encoder(spec, home)
    documents = load_document_encoder(prompted, home).embed(["w1"])
    queries = load_query_encoder(prompted, home).embed(["w1"])
    np.testing.assert_allclose(documents, plain.embed(["w32 w1"]), atol=1e-5)
    np.testing.assert_allclose(queries, plain.embed(["w30 w31 w1"]), atol=1e-5)


def test_the_fingerprint_changes_with_what_changes_document_vectors_and_with_nothing_else(
    tmp_path: Path, spec: EncoderSpec, home: Home, make_encoder: MakeEncoder
) -> None:
    fingerprint, length = encoder_fingerprint(spec, home)
    assert length == 32
    assert load_document_encoder(spec, home).fingerprint == fingerprint
    other_weights = replace(spec, source=DirectorySource(str(make_encoder(tmp_path / "other", seed=1))))
    for changed in (
        replace(spec, document_prompt="w1 "),
        replace(spec, max_tokens=17),
        replace(spec, pooling="cls"),
        replace(spec, backend="onnx"),
        other_weights,
    ):
        assert encoder_fingerprint(changed, home)[0] != fingerprint
    moved = tmp_path / "moved"
    assert isinstance(spec.source, DirectorySource)
    shutil.copytree(spec.source.directory, moved)
    same = replace(spec, name="renamed", query_prompt="w1 ", source=DirectorySource(str(moved)))
    assert encoder_fingerprint(same, home)[0] == fingerprint


@pytest.mark.usefixtures("exact_arithmetic")
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_bare_transformer_pools_as_its_spec_says(
    tmp_path: Path, home: Home, make_encoder: MakeEncoder, pooling: str
) -> None:
    bare = make_encoder(tmp_path / "bare", modules=False)
    spec = EncoderSpec("bare", DirectorySource(str(bare)), max_tokens=16, pooling=pooling)  # type: ignore[arg-type]
    from transformers import BertModel

    with torch.no_grad():
        hidden = BertModel.from_pretrained(bare).eval()(input_ids=torch.tensor([[2, 5, 6, 3]])).last_hidden_state[0]
    vector = hidden[0] if pooling == "cls" else hidden.mean(dim=0)
    expected = (vector / vector.norm()).numpy()
    np.testing.assert_allclose(load_document_encoder(spec, home).embed(["w1 w2"])[0], expected, atol=1e-5)


def test_loading_and_embedding_need_no_network_and_write_nothing_to_the_terminal(
    spec: EncoderSpec, home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_document_encoder(spec, home).embed(TEXTS)
    load_query_encoder(spec, home).embed(TEXTS)
    assert capfd.readouterr() == ("", "")


def test_unusable_settings_and_weights_are_refused_in_one_line(
    tmp_path: Path, spec: EncoderSpec, home: Home, make_encoder: MakeEncoder
) -> None:
    with pytest.raises(SpecmineError, match=r"reads at most 32 tokens: lower its max_tokens"):
        load_document_encoder(replace(spec, max_tokens=33), home)
    with pytest.raises(SpecmineError, match=r"has no onnx/model.onnx"):
        load_document_encoder(replace(spec, backend="onnx"), home)
    diverged = make_encoder(tmp_path / "diverged")
    tensors = load_file(diverged / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"][5, 0] = float("nan")
    save_file(tensors, diverged / "model.safetensors", metadata={"format": "pt"})
    encoder = load_document_encoder(replace(spec, source=DirectorySource(str(diverged))), home)
    with pytest.raises(SpecmineError, match="not finite"):
        encoder.embed(["w1"])
    (diverged / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(SpecmineError, match=r"encoder tiny: .* cannot be loaded: ") as caught:
        load_document_encoder(replace(spec, source=DirectorySource(str(diverged))), home)
    assert "\n" not in str(caught.value)


# The query side


def test_query_vectors_agree_with_the_document_side_and_do_not_depend_on_dropout(spec: EncoderSpec, home: Home) -> None:
    queries = load_query_encoder(spec, home)
    rows = queries.embed(TEXTS)
    np.testing.assert_allclose(rows, load_document_encoder(spec, home).embed(TEXTS), atol=1e-5)
    queries.module.train()
    assert np.array_equal(queries.embed(TEXTS), rows)
    assert queries.module.training
    assert queries.embed([]).shape == (0, 32)
    assert queries.version == "base"


def test_training_moves_the_query_side_and_leaves_the_document_side(spec: EncoderSpec, home: Home) -> None:
    documents, queries = load_document_encoder(spec, home), load_query_encoder(spec, home)
    before = documents.embed(TEXTS)
    target = torch.from_numpy(before[2:3])
    optimiser = torch.optim.SGD(queries.module.parameters(), lr=0.05)
    similarities = []
    for _ in range(5):
        rows = queries.forward_tokens(["w1 w2 w3"]).unit
        assert rows.requires_grad
        np.testing.assert_allclose(rows.detach().norm(dim=1).numpy(), 1, atol=1e-6)
        similarity = (rows * target).sum()
        similarities.append(similarity.item())
        optimiser.zero_grad()
        (-similarity).backward()
        optimiser.step()
    assert similarities[-1] > similarities[0] + 0.01
    assert np.array_equal(documents.embed(TEXTS), before)


def test_weights_are_saved_and_loaded_without_loss(tmp_path: Path, spec: EncoderSpec, home: Home) -> None:
    queries = load_query_encoder(spec, home)
    base = queries.embed(TEXTS)
    with torch.no_grad():
        for parameter in queries.module.parameters():
            parameter.mul_(1.1)
    trained = queries.embed(TEXTS)
    assert not np.allclose(base, trained)
    queries.save_weights(tmp_path / "model.safetensors")
    loaded = load_query_encoder(spec, home, tmp_path / "model.safetensors", "v1")
    assert loaded.version == "v1"
    assert np.array_equal(loaded.embed(TEXTS), trained)


def test_the_same_weights_are_the_same_bytes(tmp_path: Path, spec: EncoderSpec, home: Home) -> None:
    """A version's checksum tells whether two trainings ended alike; safetensors orders its metadata by chance."""
    encoder = load_query_encoder(replace(spec, query_prompt='find "that" 紊: '), home)
    written = set()
    for number in range(8):
        encoder.save_weights(tmp_path / f"{number}.safetensors")
        written.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(written) == 1
    with safe_open(tmp_path / "0.safetensors", framework="pt") as file:
        assert file.metadata()["query_prompt"] == 'find "that" 紊: '


def test_weights_of_another_index_prompt_or_model_are_refused(tmp_path: Path, spec: EncoderSpec, home: Home) -> None:
    path = tmp_path / "model.safetensors"
    load_query_encoder(spec, home).save_weights(path)
    with pytest.raises(SpecmineError, match=r"belong to document_fingerprint '.*retrain it for this index"):
        load_query_encoder(replace(spec, max_tokens=20), home, path)
    with pytest.raises(SpecmineError, match=r"belong to query_prompt ''"):
        load_query_encoder(replace(spec, query_prompt="w9 "), home, path)
    tensors = load_file(path)
    metadata = {"document_fingerprint": encoder_fingerprint(spec, home)[0], "query_prompt": ""}
    tensors.pop(next(iter(tensors)))
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(SpecmineError, match=r"have other tensors than encoder tiny"):
        load_query_encoder(spec, home, path)
    path.write_bytes(b"broken")
    with pytest.raises(SpecmineError, match=r"cannot be read"):
        load_query_encoder(spec, home, path)
    with pytest.raises(SpecmineError, match=r"cannot be read"):
        load_query_encoder(spec, home, tmp_path / "absent.safetensors")


def test_an_exported_encoder_is_a_sentence_transformers_directory(
    tmp_path: Path, spec: EncoderSpec, home: Home
) -> None:
    from sentence_transformers import SentenceTransformer

    queries = load_query_encoder(replace(spec, query_prompt="w30 "), home)
    queries.export(tmp_path / "exported")
    model = SentenceTransformer(str(tmp_path / "exported"), device="cpu", local_files_only=True)
    assert model.prompts["query"] == "w30 "
    np.testing.assert_allclose(model.encode_query(["w1 w2"]), queries.embed(["w1 w2"]), atol=1e-5)


def test_text_that_is_not_unicode_is_read_as_far_as_it_goes(spec: EncoderSpec, home: Home) -> None:
    """A command line's bytes that are not UTF-8 reach Python as lone surrogates."""
    rows = load_query_encoder(spec, home).embed(["w1 \udcff", "w1 ?", "", "\x00 \u200b"])
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


# A table of token vectors


@pytest.fixture
def static(tmp_path: Path, make_tokenizer: Callable[[Path], None]) -> EncoderSpec:
    directory = tmp_path / "static"
    directory.mkdir()
    make_tokenizer(directory)
    table = torch.zeros(40, 2)
    table[5], table[6] = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 1.0])  # w1, w2
    table[0] = torch.tensor([0.0, 5.0])
    save_file({"embedding.weight": table}, directory / "model.safetensors", metadata={"format": "pt"})
    stage = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}
    (directory / "modules.json").write_text(json.dumps([stage]), encoding="utf-8")
    return EncoderSpec("static", DirectorySource(str(directory)), max_tokens=8)


def test_a_static_encoder_averages_token_vectors_and_can_be_trained(static: EncoderSpec, home: Home) -> None:
    encoder = load_document_encoder(static, home)
    rows = encoder.embed(["w1 w1 w2", "w2", ""])
    # The mean of (3,0), (3,0), (0,1) is (2, 1/3); its length is √(4 + 1/9) = √37 / 3.
    np.testing.assert_allclose(rows[0], [6 / 37**0.5, 1 / 37**0.5], atol=1e-6)
    np.testing.assert_allclose(rows[1], [0, 1], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    queries = load_query_encoder(static, home)
    queries.forward_tokens(["w1 w2"]).unit[0, 0].backward()
    gradient = queries.module[0].embedding.weight.grad  # type: ignore[index, union-attr]
    assert gradient is not None
    assert set(gradient.abs().sum(dim=1).nonzero().flatten().tolist()) == {5, 6}


# Batches and arithmetic


@given(st.lists(st.integers(1, 600), max_size=80), st.integers(1, 5000))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    batches = list(batches_by_length(lengths, budget))
    assert sorted(place for batch in batches for place in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[place] for place in batch) <= budget
    assert BATCH_TOKENS >= 512


def test_padding_is_masked() -> None:
    features = padded_features([[7, 8, 9], [5]], pad_id=1)
    assert features["input_ids"].tolist() == [[7, 8, 9], [5, 1, 1]]
    assert features["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_the_arithmetic_is_measured_once_recorded_and_measured_again_on_another_processor(
    spec: EncoderSpec, home: Home
) -> None:
    assert load_document_encoder(spec, home).dtype == "float32"
    path = home.models / "compute" / "tiny.json"
    record = read_json(path)
    assert record["dtype"] == "float32"
    assert record["cosine"] > 0.99
    write_json(path, record | {"dtype": "bfloat16"})
    encoder = load_document_encoder(spec, home)
    assert encoder.dtype == "bfloat16"
    rows = encoder.embed(TEXTS)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    assert cosine_rows(rows, load_query_encoder(spec, home).embed(TEXTS)).min() > 0.99
    write_json(path, record | {"dtype": "bfloat16", "processor": "another"})
    assert load_document_encoder(spec, home).dtype == "float32"


# The real models

PASSAGES = [
    "The retransmission timeout is computed from the smoothed round-trip time and its variance.",
    "A user agent should treat a cached response as stale when its age exceeds the freshness lifetime.",
    "Bolts shall be tightened to a torque of 80 Nm and secured against loosening.",
]
QUESTIONS = ["how is the RTO calculated", "when does a cache entry expire", "which torque for the screws"]


@pytest.mark.models
@pytest.mark.parametrize("spec", [WORDLLAMA, MINILM, BGE_SMALL, E5_SMALL], ids=lambda spec: spec.name)
def test_real_encoders_find_the_passage_that_answers(spec: EncoderSpec, models_home: Home) -> None:
    documents = load_document_encoder(spec, models_home).embed(PASSAGES)
    queries = load_query_encoder(spec, models_home).embed(QUESTIONS)
    wanted = [1, 2] if spec is WORDLLAMA else [0, 1, 2]  # a static table does not know what RTO stands for
    assert [(queries @ documents.T).argmax(axis=1).tolist()[place] for place in wanted] == wanted


@pytest.mark.models
def test_the_int8_graph_and_its_conversion_give_nearly_the_same_vectors(models_home: Home) -> None:
    converted = load_document_encoder(BGE_SMALL, models_home)
    original = load_document_encoder(replace(BGE_SMALL, backend="onnx"), models_home)
    assert original.dtype == "onnx"
    assert original.fingerprint != converted.fingerprint
    assert cosine_rows(converted.embed(PASSAGES), original.embed(PASSAGES)).min() > 0.99


@pytest.mark.models
def test_bfloat16_keeps_the_vectors_of_float32(models_home: Home) -> None:
    for spec in (MINILM, BGE_SMALL):
        queries = load_query_encoder(replace(spec, query_prompt=spec.document_prompt), models_home)
        encoder = load_document_encoder(spec, models_home)
        encoder._network.model[0].auto_model.to(torch.bfloat16)
        assert cosine_rows(encoder.embed(PASSAGES), queries.embed(PASSAGES)).min() > 0.9996
