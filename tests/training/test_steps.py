"""The plan of a training's steps, and its checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from indexing.home import write_json
from training.step_settings import StepSettings
from training.steps import (
    Plan,
    checkpoint,
    keep_checkpoints,
    latest_checkpoint,
    moments_of,
    optimiser_of,
    restore_moments,
)


def test_the_learning_rate_rises_and_falls() -> None:
    # 120 examples by 12 are 10 steps, 4 of them rising; the last one is 1 / 6 of the peak, the next would be 0.
    plan = Plan(StepSettings(learning_rate=1.0, epochs=1, warmup=0.4), examples=120, per_step=12)
    rates = [plan.learning_rate(step) for step in range(plan.steps)]
    assert rates == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 5), st.integers(1, 9))
def test_evaluations_are_spread_and_the_last_step_is_one(examples: int, per_step: int, epochs: int, each: int) -> None:
    plan = Plan(StepSettings(epochs=epochs, evaluations=each), examples, per_step)
    assert plan.steps == epochs * -(-examples // per_step)
    assert max(plan.evaluations) == plan.steps
    assert len(plan.evaluations) == min(plan.steps, epochs * each)
    assert min(plan.evaluations) >= 1


def test_checkpoints_are_those_that_are_whole(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    for step in (3, 20, 100):
        checkpoint(tmp_path, step).mkdir()
    for step in (3, 20):
        write_json(checkpoint(tmp_path, step) / "manifest.json", {"step": step})
    assert latest_checkpoint(tmp_path) == checkpoint(tmp_path, 20)  # 100 was cut off
    keep_checkpoints(tmp_path, {3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003"]


def test_moments_let_the_optimiser_go_on() -> None:
    def stepped(module: torch.nn.Linear, optimiser: torch.optim.AdamW, times: int) -> None:
        for _ in range(times):
            optimiser.zero_grad()
            module(torch.ones(2, 3)).square().sum().backward()
            optimiser.step()

    settings = StepSettings(learning_rate=0.1)
    torch.manual_seed(17)
    module = torch.nn.Linear(3, 2)
    begun = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    optimiser = optimiser_of(module, settings)
    stepped(module, optimiser, 5)

    other = torch.nn.Linear(3, 2)
    other.load_state_dict(begun)
    first = optimiser_of(other, settings)
    stepped(other, first, 2)
    second = optimiser_of(other, settings)
    moments = {name: tensor.clone() for name, tensor in moments_of(other.named_parameters(), first).items()}
    restore_moments(other.named_parameters(), second, moments, 2)
    stepped(other, second, 3)
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor)
