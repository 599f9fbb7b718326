"""A tiny T5 with random weights: that it is loaded safely and samples by a seed. What it writes means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from chunking.document import Chunk, Document
from indexing.home import SpecmineError
from indexing.seq2seq import Seq2Seq
from mining.drafts import Material, Vocabulary
from mining.generate_models import seq2seq
from mining.generate_settings import GenerateSettings, Seq2SeqSettings
from mining.generators import description

WORDS = "<pad> </s> <unk> torque of flange bolts for pumps grease bearings steam red plates brass steps".split()
TEXT = "torque for flange bolts of pumps in steps , grease for bearings of pumps , red plates for steam , brass plates"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("t5")
    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()  # type: ignore[assignment]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=len(WORDS), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0,
        pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_outputs_are_sampled_by_a_seed_alone(directory: Path) -> None:
    model = Seq2Seq(directory)
    before = torch.random.get_rng_state()
    written = model.write([TEXT, "grease for bearings"], 3, 8, seed=7)
    assert [len(outputs) for outputs in written] == [3, 3]
    assert Seq2Seq(directory).write([TEXT, "grease for bearings"], 3, 8, seed=7) == written
    assert model.write([TEXT, "grease for bearings"], 3, 8, seed=8) != written
    assert all(len(text.split()) <= 8 for outputs in written for text in outputs)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_document_gives_the_same_drafts_again(directory: Path) -> None:
    chunks = [Chunk(f"c{n}", "a.md", "A", n, (), 1, 1, n * 200, n * 200 + 110, TEXT, "", 1) for n in range(4)]
    material = Material(Document("a.md", "", "A", "", (), ()), chunks, Vocabulary(chunks))
    settings = GenerateSettings(("seq2seq",), per_document=4, seq2seq=Seq2SeqSettings(str(directory), per_passage=2))
    drafts = seq2seq(material, settings)
    assert drafts == seq2seq(material, settings)
    assert drafts
    assert {draft.chunks[0] for draft in drafts} <= {"c0", "c1", "c2", "c3"}
    assert len({draft.chunks[0] for draft in drafts}) <= 2  # 4 queries, 2 of each passage
    assert description("seq2seq", settings)["fingerprint"] == Seq2Seq(directory).fingerprint


def test_other_weights_have_another_fingerprint(directory: Path, tmp_path: Path) -> None:
    for file in directory.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    assert Seq2Seq(tmp_path).fingerprint == Seq2Seq(directory).fingerprint
    (tmp_path / "generation_config.json").write_text("{}")
    assert Seq2Seq(tmp_path).fingerprint != Seq2Seq(directory).fingerprint


def test_what_is_no_model_or_holds_pickles_is_refused_in_one_line(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecmineError, match=r"there is no config\.json in it"):
        Seq2Seq(tmp_path)
    for file in directory.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(SpecmineError, match="cannot be loaded") as error:
        Seq2Seq(tmp_path)
    assert "\n" not in str(error.value)
