"""The re-ranker's loop: its loss by arithmetic, its groups, and that a killed run ends as an uninterrupted one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from indexing.encoders.cross import CrossEncoder, load_cross_encoder, save_cross_encoder
from indexing.home import Home, SpecmineError
from indexing.specs import MS_MARCO_L12, CrossEncoderSpec, DirectorySource
from training.reranker_settings import RerankerSettings
from training.reranker_training import choose_layers, draw_group, lce, train_reranker
from training.targets import Example

SETTINGS = RerankerSettings(
    group_size=4, batch_size=4, learning_rate=5e-3, epochs=2, checkpoint_steps=3, precision="float32"
)
# A passage answers when it holds w9, whatever is asked.
TEXTS = [f"w{place % 9} w{(place * 7) % 9} w{9 if place % 4 == 0 else 10 + place % 7}" for place in range(40)]


def rows(*places: int) -> np.ndarray:
    return np.array(places, dtype=np.int64)


def examples(first: int, last: int) -> list[Example]:
    return [
        Example(f"q{n}", f"w{n % 9} w{n % 5}", rows(4 * (n % 10)), rows(), rows(*((4 * n + k) % 40 for k in (1, 2, 3))))
        for n in range(first, last)
    ]


@pytest.fixture
def cross(tmp_path: Path, home: Home, make_encoder: Callable[..., Path]) -> Callable[[], CrossEncoder]:
    spec = CrossEncoderSpec("tiny", DirectorySource(str(make_encoder(tmp_path / "tiny", labels=1))), max_tokens=32)
    return lambda: load_cross_encoder(spec, home, exact=True)


def silent(stage: str, done: int, total: int) -> None:
    pass


class Killed(Exception):
    pass


def test_equal_scores_in_a_group_of_eight_cost_ln_8() -> None:
    assert lce(torch.zeros(5, 8)).item() == pytest.approx(math.log(8))
    # e^2 / (e^2 + e^0 + e^1)
    assert lce(torch.tensor([[2.0, 0.0, 1.0]])).item() == pytest.approx(
        -math.log(math.exp(2) / (math.exp(2) + 1 + math.e))
    )
    logits = torch.randn(6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    oracle = torch.nn.functional.cross_entropy(logits, torch.zeros(6, dtype=torch.long))
    assert lce(logits).item() == pytest.approx(oracle.item(), abs=1e-12)
    assert lce(logits + 1000.0).item() == pytest.approx(oracle.item(), abs=1e-9)  # only differences count


@given(st.integers(2, 9), st.integers(0, 6), st.integers(0, 2**31))
def test_a_group_is_a_judged_passage_and_others_that_may_count(size: int, mined: int, seed: int) -> None:
    example = Example("q", "w1", rows(0, 1), rows(2, 3), rows(*range(10, 10 + mined)))
    group = draw_group(example, size, 40, np.random.default_rng(seed))
    assert len(set(group)) == len(group) == size
    assert group[0] in (0, 1)
    assert not {0, 1, 2, 3} & set(group[1:])
    # what the ledger has comes first; random ones only fill
    assert len(set(group) & set(range(10, 10 + mined))) >= min(mined, size - 1)
    with pytest.raises(SpecmineError, match="too few passages for groups of 37"):
        draw_group(example, 37 + mined - mined, 39, np.random.default_rng(seed))


def test_training_finds_what_tells_answers_apart(cross: Callable[[], CrossEncoder], tmp_path: Path) -> None:
    encoder = cross()
    longer = replace(SETTINGS, learning_rate=1e-2, epochs=5, evaluations=1)
    trained = train_reranker(encoder, TEXTS, examples(0, 40), examples(40, 60), longer, tmp_path / "run", silent)
    assert trained.history[0].first < 0.7
    assert trained.best.first == 1.0
    assert trained.best.held_out < 0.5 * trained.history[0].held_out
    assert [entry.step for entry in trained.history] == [0, 10, 20, 30, 40, 50]


def test_a_killed_run_ends_as_an_uninterrupted_one(cross: Callable[[], CrossEncoder], tmp_path: Path) -> None:
    whole = cross()
    expected = train_reranker(whole, TEXTS, examples(0, 20), examples(40, 50), SETTINGS, tmp_path / "whole", silent)

    def kill(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        if done == 28:  # step 7: one after a checkpoint, whose work is lost
            raise Killed

    told: list[tuple[str, int, int]] = []
    with pytest.raises(Killed):
        train_reranker(cross(), TEXTS, examples(0, 20), examples(40, 50), SETTINGS, tmp_path / "killed", kill)
    assert told[-1] == ("training tiny, groups", 28, 40)
    torch.manual_seed(99)  # the state of the process must not count
    resumed = cross()
    found = train_reranker(resumed, TEXTS, examples(0, 20), examples(40, 50), SETTINGS, tmp_path / "killed", silent)
    assert found.history == expected.history
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, resumed.module.state_dict()[name]), name
    assert len(list((tmp_path / "killed").iterdir())) <= 2


def test_a_training_ends_with_its_time_and_keeps_the_best(cross: Callable[[], CrossEncoder], tmp_path: Path) -> None:
    hurried = replace(SETTINGS, minutes=1e-9)
    trained = train_reranker(cross(), TEXTS, examples(0, 20), examples(40, 50), hurried, tmp_path / "run", silent)
    assert [entry.step for entry in trained.history] == [0, 1]
    assert trained.planned_steps == 10
    assert trained.best == min(trained.history, key=lambda entry: entry.held_out)


def test_a_loss_that_is_no_number_is_refused(cross: Callable[[], CrossEncoder], tmp_path: Path) -> None:
    wild = replace(SETTINGS, learning_rate=1e30, gradient_clip=1e30, warmup=0.0)
    with pytest.raises(SpecmineError, match=r"the loss is nan at step \d+; lower learning_rate in \[reranker\]"):
        train_reranker(cross(), TEXTS, examples(0, 20), examples(40, 50), wild, tmp_path / "run", silent)


def test_the_last_layers_alone_are_trained(cross: Callable[[], CrossEncoder]) -> None:
    module = cross().module
    choose_layers(module, 1)
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert {name.split(".")[0] for name in trained} == {"bert", "classifier"}
    assert all(".layer.1." in name or "pooler" in name or name.startswith("classifier") for name in trained)
    with pytest.raises(SpecmineError, match="has 2 layers, fewer than the 3"):
        choose_layers(module, 3)
    choose_layers(module, 0)
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_what_is_saved_loads_in_sentence_transformers_and_transformers(
    cross: Callable[[], CrossEncoder], tmp_path: Path, home: Home
) -> None:
    from sentence_transformers import CrossEncoder as Other
    from transformers import AutoModelForSequenceClassification

    encoder = cross()
    assert encoder.trained_on is None
    train_reranker(encoder, TEXTS, examples(0, 20), examples(40, 50), SETTINGS, tmp_path / "run", silent)
    (tmp_path / "saved").mkdir()
    save_cross_encoder(encoder, tmp_path / "saved", "ledger-1")
    pairs = [("w1 w2", text) for text in TEXTS[:8]]
    wanted = encoder.score(pairs)
    np.testing.assert_allclose(Other(str(tmp_path / "saved")).predict(pairs), wanted, atol=1e-4)
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").config.num_labels == 1
    spec = CrossEncoderSpec("again", DirectorySource(str(tmp_path / "saved")), max_tokens=32)
    again = load_cross_encoder(spec, home, exact=True)
    assert again.trained_on == "ledger-1"
    assert again.fingerprint != encoder.fingerprint
    np.testing.assert_allclose(again.score(pairs), wanted, atol=1e-6)


@pytest.mark.models
def test_the_real_cross_encoder_is_the_same_when_it_is_saved(models_home: Home, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder as Other

    encoder = load_cross_encoder(MS_MARCO_L12, models_home, exact=True)
    save_cross_encoder(encoder, tmp_path, "ledger-1")
    texts = ("Berlin has 3,520,031 inhabitants.", "Bolts.", "Nuts and bolts and washers. " * 60)  # the last one is cut
    pairs = [("How many people live in Berlin?", text) for text in texts]
    np.testing.assert_allclose(Other(str(tmp_path)).predict(pairs), encoder.score(pairs), atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"group_size": 1}, "group_size must be 2 to 1024"),
        ({"minutes": 0.0}, "minutes must be above 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be above 0"),
        ({"warmup": 1.0}, "warmup is a share"),
        ({"held_out": 0}, "held_out must be 1 to"),
    ],
)
def test_settings_out_of_range_are_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **changed)
