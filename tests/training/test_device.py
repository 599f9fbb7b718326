"""Trainings compute on whichever device there is, and leave the processor's weights behind.

Where this machine has an accelerator the test with it runs too; without one, a pretended device shows what is forgotten
on the processor.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from indexing.encoders.cross import load_cross_encoder
from indexing.encoders.query import QueryEncoder, load_query_encoder
from indexing.home import Home, SpecmineError
from indexing.specs import CrossEncoderSpec, DirectorySource, EncoderSpec
from tests.training.pretend_device import ELSEWHERE, Elsewhere, PretendedDevice
from tests.training.test_reranker_training import SETTINGS as GROUPS
from tests.training.test_reranker_training import TEXTS, examples, silent
from training import query_training, reranker_training
from training.device import AUTO, CPU, device_of, moved
from training.evaluations import Watch
from training.losses import LOSSES
from training.negatives import NEGATIVES
from training.query_training import train
from training.reranker_training import train_reranker
from training.synthesis import SYNTHESES
from training.targets import Example
from training.train_settings import TrainSettings

SETTINGS = TrainSettings(
    learning_rate=1e-3, temperature=0.1, batch_size=4, epochs=2, evaluations=1, precision="float32", synthetic=4,
    hardest=6, live_depth=5,
)  # fmt: skip
PASSAGES = 24
SYSTEMS: dict[str, dict[str, Any]] = {
    **{f"loss {name}": {"loss": name} for name in LOSSES},
    **{f"negatives {name}": {"loss": "infonce", "negatives": ((name,),)} for name in NEGATIVES},
    **{f"synthesis {name}": {"loss": "infonce", "synthesis": name} for name in SYNTHESES},
    "slots": {"loss": "histogram", "slots": "exponential"},
    **{f"form {form}": {"form": form} for form in ("last:1", "lora:2", "head:2")},
    "average": {"average": (0.5,)},
    "accumulate": {"accumulate": 2},
}


@pytest.fixture
def spec(tmp_path: Path, make_encoder: Callable[..., Path]) -> EncoderSpec:
    return EncoderSpec("tiny", DirectorySource(str(make_encoder(tmp_path / "model"))), max_tokens=16)


def trained(
    encoder: QueryEncoder, settings: TrainSettings, folder: Path, stop_at: int | None = None
) -> dict[str, torch.Tensor]:
    """Train for six steps with an evaluation and a checkpoint after three; ``stop_at`` a step as a key would."""

    def stop(stage: str, done: int, total: int) -> None:
        if done == stop_at:
            raise KeyboardInterrupt

    random = np.random.default_rng(3)
    documents = random.normal(size=(PASSAGES, 32)).astype(np.float32)
    lengths = np.linalg.norm(documents, axis=1)
    documents /= lengths[:, None]
    taught = [
        Example(
            f"q{number}", f"w{18 + number} w{20 + number}", positives=np.array([number]), masked=np.array([number + 1]),
            ledger=np.array([number + 8, number + 9]), taught=np.array([number, number + 8, number + 9]),
            logits=np.array([2.0, 1.0, -1.0], dtype=np.float32),
        )
        for number in range(12)
    ]  # fmt: skip
    watch = Watch(averaging=lambda encoder: float(encoder.embed(["w19"])[0, 0]))
    train(encoder, documents, taught, settings, folder, stop, lengths, watch)
    return {name: tensor.clone() for name, tensor in encoder.trained_weights().items()}


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_training, "device_of", lambda name: ELSEWHERE)
    monkeypatch.setattr(reranker_training, "device_of", lambda name: ELSEWHERE)
    # Tensors that stand for others know no inference mode.
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)
    # torch's fused AdamW asks the device for a kernel of its own.
    plain = partial(torch.optim.AdamW, foreach=False)
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, fused=False, **given: plain(groups, **given))


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.usefixtures("pretended")
def test_every_system_trains_on_another_device_as_on_the_processor(
    home: Home, spec: EncoderSpec, tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, epochs=1, **SYSTEMS[system])
    with PretendedDevice():
        elsewhere = trained(load_query_encoder(spec, home), settings, tmp_path / "elsewhere")
    monkeypatch.setattr(query_training, "device_of", lambda name: CPU)
    here = trained(load_query_encoder(spec, home), settings, tmp_path / "here")
    untrained = load_query_encoder(spec, home)
    untrained.take_form(settings.form)
    start = untrained.trained_weights()
    assert not any(isinstance(tensor, Elsewhere) for tensor in elsewhere.values())
    torch.testing.assert_close(elsewhere, here, rtol=1e-5, atol=1e-7)
    assert here.keys() == start.keys() and any(not torch.equal(tensor, start[name]) for name, tensor in here.items())


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")  # which is a no-op on torch's own meta alone
@pytest.mark.usefixtures("pretended")
def test_a_training_that_was_stopped_goes_on_on_another_device(
    home: Home, spec: EncoderSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(SETTINGS, loss="infonce", synthesis="gca")
    with PretendedDevice():
        whole = trained(load_query_encoder(spec, home), settings, tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            trained(load_query_encoder(spec, home), settings, tmp_path / "run", stop_at=4)
        there = trained(load_query_encoder(spec, home), settings, tmp_path / "run")
        with pytest.raises(KeyboardInterrupt):
            trained(load_query_encoder(spec, home), settings, tmp_path / "moved", stop_at=4)
    monkeypatch.setattr(query_training, "device_of", lambda name: CPU)
    here = trained(load_query_encoder(spec, home), settings, tmp_path / "moved")
    torch.testing.assert_close(there, whole, rtol=0, atol=0)
    torch.testing.assert_close(here, whole, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("pretended")
def test_what_is_forgotten_on_the_processor_is_an_error_on_another_device() -> None:
    weights = torch.nn.Linear(3, 2)
    with PretendedDevice(), moved(weights, ELSEWHERE):
        assert isinstance(weights.weight, torch.Tensor) and weights.weight.device == ELSEWHERE
        weights(torch.ones(1, 3).to(ELSEWHERE)).sum().backward()
        with pytest.raises(RuntimeError, match="mixes tensors of two devices"):
            weights(torch.ones(1, 3))
    assert weights.weight.device == CPU
    assert weights.weight.grad is not None and torch.equal(weights.weight.grad.cpu(), torch.ones(2, 3))


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.usefixtures("pretended")
def test_a_reranker_trains_on_another_device_as_on_the_processor(
    home: Home, tmp_path: Path, make_encoder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = CrossEncoderSpec("tiny", DirectorySource(str(make_encoder(tmp_path / "tiny", labels=1))), max_tokens=32)
    # torch's own meta device has no autocast, which the head is kept out of
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    groups = TEXTS, examples(0, 20), examples(40, 50), GROUPS
    cross = load_cross_encoder(spec, home, exact=True)
    with PretendedDevice():
        elsewhere = train_reranker(cross, *groups, tmp_path / "elsewhere", silent)
    assert all(tensor.device == CPU for tensor in cross.module.state_dict().values())
    monkeypatch.setattr(reranker_training, "device_of", lambda name: CPU)
    here = train_reranker(load_cross_encoder(spec, home, exact=True), *groups, tmp_path / "here", silent)
    # Weights that change no score, as an attention's bias of keys, follow the rounding: scores are compared.
    assert [entry.held_out for entry in elsewhere.history] == pytest.approx([e.held_out for e in here.history], 1e-3)
    assert here.history[-1].held_out < 0.99 * here.history[0].held_out


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="this machine has no accelerator")
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_trains_on_the_accelerator(home: Home, spec: EncoderSpec, tmp_path: Path, system: str) -> None:
    settings = replace(SETTINGS, epochs=1, **SYSTEMS[system])
    there = trained(load_query_encoder(spec, home), replace(settings, device=AUTO), tmp_path / "there")
    here = trained(load_query_encoder(spec, home), replace(settings, device="cpu"), tmp_path / "here")
    assert here.keys() == there.keys() and all(tensor.device == CPU for tensor in there.values())


def test_the_device_is_an_accelerator_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("cuda"))
    assert device_of(AUTO) == torch.device("cuda")
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: None)
    assert device_of(AUTO) == CPU == device_of("cpu")


def test_a_device_that_is_not_there_is_one_line() -> None:
    with pytest.raises(SpecmineError, match=r'^device "meta" cannot be used: [^\n]*: set device = "auto" or "cpu"$'):
        device_of("meta")
    with pytest.raises(ValueError, match=r"^device must be auto, cpu, .*, not 'gpu'$"):
        TrainSettings(device="gpu")
