"""Averages of trained weights with those they started from: the best on held-out queries is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from indexing.encoders.query import QueryEncoder, load_query_encoder
from indexing.home import Home
from indexing.specs import DirectorySource, EncoderSpec
from training.averaging import choose_average


@pytest.fixture
def spec(tmp_path: Path, make_encoder: Callable[..., Path]) -> EncoderSpec:
    return EncoderSpec("tiny", DirectorySource(str(make_encoder(tmp_path / "model"))), max_tokens=16)


def changed(spec: EncoderSpec, home: Home, form: str) -> tuple[QueryEncoder, dict[str, torch.Tensor]]:
    encoder = load_query_encoder(spec, home)
    encoder.take_form(form)
    started = {name: tensor.clone() for name, tensor in encoder.trained_weights().items()}
    with torch.no_grad():
        for parameter in encoder.module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)
    return encoder, started


@pytest.mark.parametrize("wanted", [0.25, 0.5, 1.0])
def test_the_best_share_is_left_in_the_encoder(wanted: float, spec: EncoderSpec, home: Home) -> None:
    encoder, started = changed(spec, home, "full")
    name = next(name for name, tensor in started.items() if tensor.is_floating_point())

    def score(candidate: QueryEncoder) -> float:
        moved = (candidate.trained_weights()[name] - started[name]).mean().item()  # .1 of what was trained
        return -abs(moved / 0.1 - wanted)

    found = choose_average(encoder, started, (0.25, 0.5), score)
    assert found.keys() == {0.25, 0.5, 1.0}
    assert max(found.values()) == pytest.approx(0, abs=1e-4)
    assert score(encoder) == pytest.approx(0, abs=1e-4)


def test_of_equals_the_one_that_learnt_more_wins(spec: EncoderSpec, home: Home) -> None:
    encoder, started = changed(spec, home, "full")
    after = encoder.embed(["w1 w2"])
    choose_average(encoder, started, (0.25, 0.5), lambda _: 1.0)
    np.testing.assert_allclose(encoder.embed(["w1 w2"]), after, atol=1e-6)


def test_a_low_rank_addition_is_scaled_as_a_whole(spec: EncoderSpec, home: Home) -> None:
    encoder, started = changed(spec, home, "head:3")
    weights = encoder.trained_weights()
    up, down = (next(t for n, t in weights.items() if n.endswith(part)).clone() for part in (".up", ".down"))
    choose_average(
        encoder,
        started,
        (0.5,),
        lambda e: -next(t for n, t in e.trained_weights().items() if n.endswith(".up")).norm().item(),
    )
    now = encoder.trained_weights()
    half = {part: next(t for n, t in now.items() if n.endswith(part)) for part in (".up", ".down")}
    torch.testing.assert_close(half[".up"] @ half[".down"], 0.5 * up @ down)
