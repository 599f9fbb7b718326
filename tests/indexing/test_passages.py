"""No passage is longer than what every encoder reads of it, by the true count: prompt and special tokens included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from chunking.limits import ReadLimits
from chunking.readers import read
from chunking.splitters import SPLITTERS, ChunkSettings, chunk
from chunking.tokens import TokenCounter
from indexing.home import Home
from indexing.models.fetching import fetch, tokenizer_file
from indexing.settings import IndexSettings, reserved_tokens
from indexing.specs import E5_SMALL, PROFILES, EncoderSpec

SAMPLES = Path(__file__).parents[2] / "samples" / "documents"


def test_what_is_kept_for_prompt_and_special_tokens() -> None:
    assert reserved_tokens(E5_SMALL) == 16  # "passage: " and two special tokens are 5
    long = replace(E5_SMALL, document_prompt="Represent this passage for retrieval: ")
    assert reserved_tokens(long) == 5 + 38
    assert IndexSettings(encoders=(long,)).tokens_per_chunk == 256 - (5 + 38)
    assert IndexSettings(encoders=(long, replace(E5_SMALL, name="b", max_tokens=128))).tokens_per_chunk == 128 - 16
    assert IndexSettings(chunking=ChunkSettings(max_tokens=100)).tokens_per_chunk == 100
    with pytest.raises(ValueError, match="encoder 'e5-small' reads 40 tokens, of which 16 are kept"):
        IndexSettings(encoders=(replace(E5_SMALL, max_tokens=40),))


SETTINGS = IndexSettings(encoders=PROFILES["default"])
SIZE = SETTINGS.tokens_per_chunk


@pytest.fixture(scope="module")
def tokenizers(models_home: Home) -> dict[EncoderSpec, Tokenizer]:
    """Every encoder's own tokenizer, without its limit."""
    found = {}
    for spec in SETTINGS.encoders:
        fetch(spec.source, models_home, spec.pooling)
        found[spec] = Tokenizer.from_file(str(tokenizer_file(spec, models_home)))
        found[spec].no_truncation()
    return found


@pytest.mark.models
@pytest.mark.parametrize("splitter", sorted(SPLITTERS))
def test_no_encoder_cuts_a_passage_of_the_samples(tokenizers: dict[EncoderSpec, Tokenizer], splitter: str) -> None:
    check([SAMPLES / "bes-710-2021.md", SAMPLES / "eva-30.md"], tokenizers, splitter)


@pytest.mark.models
@pytest.mark.data
@pytest.mark.parametrize("splitter", sorted(SPLITTERS))
def test_no_encoder_cuts_a_passage_of_the_corpora(
    tokenizers: dict[EncoderSpec, Tokenizer], splitter: str, data_folder: Callable[[str], Path]
) -> None:
    japanese = sorted((data_folder("jaquad") / "documents").glob("*.txt"))[::60]
    check([data_folder("rfc") / "documents" / "rfc8446.txt", *japanese], tokenizers, splitter)


def check(paths: list[Path], tokenizers: dict[EncoderSpec, Tokenizer], splitter: str) -> None:
    cutting = ChunkSettings(splitter, SIZE, child_tokens=SIZE)
    counter = TokenCounter(list(tokenizers.values()))
    documents = [read(path, path.name, ReadLimits()) for path in paths]
    passages = [part.encoder_text for document in documents for part in chunk(document, cutting, counter)]
    assert len(passages) > 20
    for spec, tokenizer in tokenizers.items():
        encodings = tokenizer.encode_batch([spec.document_prompt + text for text in passages])
        assert max(len(encoding.ids) for encoding in encodings) <= spec.max_tokens, spec.name
