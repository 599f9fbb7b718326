"""What an operator is warned of: a training that really collapses, one that stalls, negatives that teach nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.evaluations import Trained
from training.health import CLAMPED, SAMPLE, SPREAD_LEFT, Look, in_blocks, look, sample_of, worries
from training.query_training import train
from training.similarity import NODES
from training.splits import split_queries
from training.targets import Example, build_examples
from training.train_settings import TrainSettings

SETTINGS = TrainSettings(learning_rate=5e-2, temperature=0.1, epochs=4, precision="float32")


def silent(stage: str, done: int, total: int) -> None:
    pass


def trained(world: Any, tmp_path: Path, settings: TrainSettings, answers: int | None = None) -> Trained:
    """Train encoder "one"; with ``answers``, every query is judged on that one document."""
    searcher = world.searcher()
    splits = split_queries(searcher, world.catalogue)
    examples = build_examples(
        splits.train, splits.train_judgements, splits.train_projection, list(searcher.chunks.values()), None, False
    ).examples
    if answers is not None:
        examples = tuple(replace(example, positives=np.asarray([answers])) for example in examples)
    encoder = searcher.load_encoder("one", "base")
    return train(encoder, searcher.document_vectors("one"), examples, settings, tmp_path / "run", silent)


def test_a_healthy_training_is_seen_and_not_warned_of(world: Any, tmp_path: Path) -> None:
    found = trained(world, tmp_path, SETTINGS)
    assert found.worries == ()
    assert len(found.history) == 1 + SETTINGS.epochs
    overlaps = [entry.look.overlap for entry in found.history]
    assert overlaps[-1] < 0.1 < 0.3 < overlaps[0]
    for entry in found.history:
        assert {len(histogram) for histogram in entry.look.similarities.values()} == {NODES}
        assert sum(entry.look.similarities["negative"]) == pytest.approx(1, abs=1e-4)
    steps_of_an_epoch = -(-200 // 16)
    assert [len(entry.losses) for entry in found.history] == [0, *[steps_of_an_epoch] * SETTINGS.epochs]
    assert np.mean(found.history[1].losses) == pytest.approx(found.history[1].loss)
    assert found.wall_seconds >= found.seconds > 0
    assert found.peak_mb > 50


def test_a_collapsing_training_is_warned_of_while_it_runs(
    world: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Judgements that all name one document draw every query to one place."""
    with caplog.at_level(logging.WARNING):
        found = trained(world, tmp_path, replace(SETTINGS, epochs=12), answers=0)
    assert found.history[-1].look.spread < SPREAD_LEFT * found.history[0].look.spread
    assert any("the similarities collapse" in line for line in found.worries)
    assert any("training one: the similarities collapse" in record.message for record in caplog.records)


def test_a_training_that_learns_nothing_is_warned_of(world: Any, tmp_path: Path) -> None:
    found = trained(world, tmp_path, replace(SETTINGS, learning_rate=1e-9))
    assert len(found.worries) == 1
    assert "the loss stalls" in found.worries[0]


def test_clamped_negatives_are_warned_of(world: Any, tmp_path: Path) -> None:
    clamped = replace(SETTINGS, loss="debiased", temperature=1.0, false_share=0.9, epochs=2)
    found = trained(world, tmp_path, clamped)
    assert found.history[-1].audit["clamped"] > CLAMPED
    assert any("at its bound: lower false_share" in line for line in found.worries)


def test_the_bounds_are_where_they_are_said_to_be() -> None:
    def said(before: tuple[float, float], now: tuple[float, float]) -> bool:
        looks = [Look({}, *before), Look({}, *now)]
        return any("collapse" in line for line in worries(looks, [], {}, 0.1))

    assert not said((0.10, 0.8), (0.15, 0.8))
    assert said((0.10, 0.8), (0.151, 0.8))
    assert not said((0.10, 0.8), (0.01, 0.2))
    assert said((0.10, 0.8), (0.01, 0.199))
    falling = [4.0, 4.0, 3.9, 3.9, 3.8, 3.8, 3.7, 3.7]
    assert worries([], falling, {}, 0.5) == []
    assert worries([], falling[::-1], {}, 0.4) == []  # it may still be warming up
    assert "the loss stalls: 4 after 50% of the steps, 3.7 at the start" in worries([], falling[::-1], {}, 0.5)[0]


def test_a_look_counts_right_and_wrong_and_leaves_out_the_masked() -> None:
    class Encoder:
        def embed(self, texts: list[str]) -> np.ndarray:
            return np.asarray([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)[: len(texts)]

    documents = np.asarray([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    none = np.zeros(0, dtype=np.int64)
    sample = [Example("a", "a", np.asarray([0]), np.asarray([1]), none), Example("b", "b", np.asarray([1]), none, none)]
    seen = look(Encoder(), documents, sample)  # type: ignore[arg-type]
    positive, negative = (seen.similarities[name] for name in ("positive", "negative"))
    assert positive[NODES - 1] == 1.0  # both right ones have cosine 1
    assert negative[0] == pytest.approx(1 / 3)  # a against the third
    assert negative[NODES // 2] == pytest.approx(2 / 3)  # b against the first and the third; a's masked one is left out
    assert seen.overlap == 0.0
    assert seen.spread == 1.0  # two queries at right angles


def test_sample_and_blocks() -> None:
    none = np.zeros(0, dtype=np.int64)
    examples = [Example(str(number), "", none, none, none) for number in range(SAMPLE + 50)]
    drawn = sample_of(examples)
    assert len({example.query for example in drawn}) == SAMPLE
    assert sample_of(examples) == drawn
    assert in_blocks([]) == []
    assert in_blocks([3.0, 5.0]) == [3.0, 5.0]
    assert in_blocks([float(n) for n in range(40)]) == [2 * n + 0.5 for n in range(20)]
