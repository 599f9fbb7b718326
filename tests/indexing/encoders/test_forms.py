"""What of an encoder is trained: it begins as the encoder it was, and a version holds that and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from indexing.encoders.forms import FORMS, parse
from indexing.encoders.query import QueryEncoder, load_query_encoder
from indexing.home import Home, SpecmineError
from indexing.specs import DirectorySource, EncoderSpec

TEXTS = ["w1 w2 w3", "w4", "w5 w6", "w1 w9 w20 w21"]
CHOSEN = ("full", "last:1", "lora:2", "head:3")
# The tiny model: 32 dimensions, 2 layers with a query and a value map each.
SIZES = {"lora:2": 2 * 2 * (2 * 32 + 32 * 2), "head:3": 3 * 32 + 32 * 3}


@pytest.fixture
def spec(tmp_path: Path, make_encoder: Callable[..., Path]) -> EncoderSpec:
    return EncoderSpec("tiny", DirectorySource(str(make_encoder(tmp_path / "model"))), max_tokens=16)


def trained(spec: EncoderSpec, home: Home, form: str) -> QueryEncoder:
    """Some steps of training, dropout included."""
    encoder = load_query_encoder(spec, home)
    encoder.take_form(form)
    parameters = [parameter for parameter in encoder.module.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=0.01)
    target = torch.nn.functional.normalize(
        torch.randn(len(TEXTS), 32, generator=torch.Generator().manual_seed(1)), dim=1
    )
    torch.manual_seed(0)
    encoder.module.train()
    for _ in range(5):
        optimiser.zero_grad()
        (encoder.forward_tokens(TEXTS).unit - target).square().sum().backward()
        optimiser.step()
    encoder.module.eval()
    return encoder


def test_every_form_is_tried() -> None:
    assert {parse(form)[0] for form in CHOSEN} == FORMS.keys()


@pytest.mark.parametrize("form", CHOSEN)
def test_a_form_begins_as_the_encoder_it_was(form: str, spec: EncoderSpec, home: Home) -> None:
    encoder = load_query_encoder(spec, home)
    before = encoder.embed(TEXTS)
    encoder.take_form(form)
    np.testing.assert_allclose(encoder.embed(TEXTS), before, atol=1e-6)
    rows = encoder.forward_tokens(TEXTS)
    np.testing.assert_allclose(rows.unit.detach().numpy(), before, atol=1e-6)
    assert rows.unit.requires_grad
    if form in SIZES:
        assert sum(p.numel() for p in encoder.module.parameters() if p.requires_grad) == SIZES[form]


@pytest.mark.parametrize("form", CHOSEN)
def test_a_version_holds_what_was_trained_and_is_read_back(
    form: str, spec: EncoderSpec, home: Home, tmp_path: Path
) -> None:
    base = load_query_encoder(spec, home).embed(TEXTS)
    encoder = trained(spec, home, form)
    after = encoder.embed(TEXTS)
    assert not np.allclose(after, base, atol=1e-3)
    path = tmp_path / "model.safetensors"
    encoder.save_weights(path)
    loaded = load_query_encoder(spec, home, path, "v1")
    assert loaded.form == form
    np.testing.assert_array_equal(loaded.embed(TEXTS), after)
    if form in SIZES:
        assert sum(tensor.numel() for tensor in load_file(path).values()) == SIZES[form]


@pytest.mark.parametrize("form", CHOSEN)
def test_an_exported_version_needs_nothing_of_ours(form: str, spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    encoder = trained(spec, home, form)
    after = encoder.embed(TEXTS)
    encoder.export(tmp_path / "exported")
    model = SentenceTransformer(str(tmp_path / "exported"), device="cpu", local_files_only=True)
    np.testing.assert_allclose(model.encode(TEXTS), after, atol=1e-5)
    np.testing.assert_array_equal(encoder.embed(TEXTS), after)  # the export changed nothing


@pytest.mark.parametrize("form", ["last:1", "lora:2", "head:3"])
def test_what_a_form_does_not_train_stays(form: str, spec: EncoderSpec, home: Home) -> None:
    encoder = trained(spec, home, form)

    def bare(name: str) -> str:
        """A tensor's name without where a form has moved it to."""
        return name.replace(".frozen", "").split("model.")[-1]

    base = load_query_encoder(spec, home).module.state_dict()
    now = {bare(name): tensor for name, tensor in encoder.module.state_dict().items()}
    held = [bare(name) for name in encoder.module.state_dict() if name in dict(encoder.module.named_parameters())]
    learns = {bare(name) for name, parameter in encoder.module.named_parameters() if parameter.requires_grad}
    frozen = [bare(name) for name in base if bare(name) not in learns]
    assert len(frozen) > 10 and set(frozen) <= set(held)
    for name in base:
        if bare(name) in frozen:
            assert torch.equal(now[bare(name)], base[name]), name


def test_a_head_computes_what_is_frozen_once(spec: EncoderSpec, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = load_query_encoder(spec, home)
    encoder.take_form("head:3")
    first = encoder.forward_tokens(TEXTS).unit.detach()
    network = type(encoder._network)
    monkeypatch.setattr(network, "features", lambda *_: pytest.fail("the frozen part ran again"))
    assert torch.equal(encoder.forward_tokens(TEXTS).unit.detach(), first)


@pytest.mark.parametrize("form", ["", "half", "head", "head:0", "head:x", "head:-1", "full:2", "lora:99999", "head:٣"])
def test_a_form_that_is_none_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="form"):
        parse(form)


def test_a_form_the_encoder_does_not_have_is_refused_in_one_line(spec: EncoderSpec, home: Home, tmp_path: Path) -> None:
    with pytest.raises(SpecmineError, match=r"encoder tiny cannot be trained as last:3: it has 2 layers, fewer than 3"):
        load_query_encoder(spec, home).take_form("last:3")
    path = tmp_path / "model.safetensors"
    trained(spec, home, "head:3").save_weights(path)
    served = load_query_encoder(spec, home, path, "v1")
    served.take_form("head:3")
    with pytest.raises(SpecmineError, match=r"was trained as head:3: it cannot go on as full"):
        served.take_form("full")
