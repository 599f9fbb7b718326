from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from indexing.encoders.cross import load_cross_encoder
from indexing.home import Home, SpecmineError, read_json, write_json
from indexing.specs import MS_MARCO_L12, CrossEncoderSpec, DirectorySource

MakeEncoder = Callable[..., Path]
PAIRS = [("w1 w2", "w3 w4 w5 w6 w7"), ("w1", "w9"), ("w1 w2", "w8"), ("w20 w21 w22", "w3 w4")]


@pytest.fixture
def spec(tmp_path: Path, make_encoder: MakeEncoder, home: Home) -> CrossEncoderSpec:
    """A tiny cross-encoder that computes in float32, whatever is faster on this machine."""
    directory = make_encoder(tmp_path / "model", labels=1)
    spec = CrossEncoderSpec("tiny-cross", DirectorySource(str(directory)), max_tokens=16)
    record = home.models / "compute" / "tiny-cross.json"
    load_cross_encoder(spec, home)
    write_json(record, read_json(record) | {"dtype": "float32"})
    return spec


def test_scores_are_the_logits_of_the_pairs_in_order(spec: CrossEncoderSpec, home: Home) -> None:
    from transformers import BertForSequenceClassification

    assert isinstance(spec.source, DirectorySource)
    model = BertForSequenceClassification.from_pretrained(spec.source.directory).eval()
    expected = []
    for query, passage in PAIRS:
        left, right = ([int(word[1:]) + 4 for word in side.split()] for side in (query, passage))  # w0 is token 4
        ids = [2, *left, 3, *right, 3]
        types = [0] * (len(left) + 2) + [1] * (len(right) + 1)
        with torch.no_grad():
            output = model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types]))
        expected.append(output.logits[0, 0].item())
    encoder = load_cross_encoder(spec, home)
    done: list[int] = []
    scores = encoder.score(PAIRS, done.append)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    assert done[-1] == len(PAIRS)
    assert encoder.score([]).shape == (0,)
    assert np.ptp(expected) > 0.1  # else the order would prove nothing


def test_pairs_that_are_cut_are_counted(spec: CrossEncoderSpec, home: Home) -> None:
    encoder = load_cross_encoder(spec, home)
    fits = " ".join(f"w{number}" for number in range(12))  # [CLS] w1 [SEP] 12 words [SEP]: exactly 16 tokens
    scores = encoder.score([("w1", fits), ("w1", fits + " w20"), ("w1", fits + " w20 w21"), ("w1", "w2")])
    assert encoder.truncated == 2
    np.testing.assert_allclose(scores[1:3], scores[0], atol=1e-4)
    encoder.score([(fits + " w20 w21 w22 w23", fits)])  # a query too long is cut as well
    assert encoder.truncated == 3


def test_bfloat16_leaves_pooler_and_classifier_in_float32(spec: CrossEncoderSpec, home: Home) -> None:
    exact = load_cross_encoder(spec, home)
    record = home.models / "compute" / "tiny-cross.json"
    write_json(record, read_json(record) | {"dtype": "bfloat16"})
    encoder = load_cross_encoder(spec, home)
    assert encoder.dtype == "bfloat16"
    assert encoder.fingerprint == exact.fingerprint
    pairs = [(f"w{first}", f"w{second} w3") for first in range(8) for second in range(8)]
    scores, wanted = encoder.score(pairs), exact.score(pairs)
    assert np.corrcoef(scores, wanted)[0, 1] > 0.99
    # A bfloat16 has 8 significant bits; logits that were rounded to it would not change by rounding again.
    rounded = torch.from_numpy(scores).to(torch.bfloat16).float().numpy()
    assert (rounded != scores).mean() > 0.5


def test_languages_are_those_of_the_spec(spec: CrossEncoderSpec, home: Home) -> None:
    encoder = load_cross_encoder(replace(spec, languages=("en", "de")), home)
    assert [encoder.judges(language) for language in ("en", "EN-gb", "de", "ja", "e", "")] == [True] * 3 + [False] * 3


def test_models_that_are_no_cross_encoders_are_refused(
    tmp_path: Path, spec: CrossEncoderSpec, home: Home, make_encoder: MakeEncoder
) -> None:
    three = make_encoder(tmp_path / "three", labels=3)
    with pytest.raises(SpecmineError, match="has 3 labels instead of one logit"):
        load_cross_encoder(replace(spec, source=DirectorySource(str(three))), home)
    with pytest.raises(SpecmineError, match="reads at most 32 tokens"):
        load_cross_encoder(replace(spec, max_tokens=64), home)
    (three / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(SpecmineError, match=r"cross-encoder tiny-cross: .* cannot be loaded"):
        load_cross_encoder(replace(spec, source=DirectorySource(str(three))), home)


@pytest.mark.models
def test_the_real_cross_encoder_orders_an_obvious_pair(models_home: Home) -> None:
    encoder = load_cross_encoder(MS_MARCO_L12, models_home)
    query = "How many people live in Berlin?"
    answer = "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers."
    beside, elsewhere = "Berlin is well known for its museums.", "Bolts shall be tightened to a torque of 80 Nm."
    scores = encoder.score([(query, elsewhere), (query, answer), (query, beside)])
    assert scores[1] > scores[2] > scores[0]
    assert scores[1] > 5  # a logit: a probability would not pass 1
    assert scores[0] < -5
    assert encoder.judges("en")
    assert not encoder.judges("ja")
