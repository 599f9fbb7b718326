"""A space of settings: what a file may say, what is refused in one line, and what a trial draws of it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from indexing.home import SpecmineError
from tests.training.test_losses import DIMENSION, SETTINGS, problem
from training.batch import Masks
from training.device import CPU
from training.loss_settings import GcaSettings, LossSettings
from training.losses import LOSSES, READ_BY_LOSS
from training.negatives import NEGATIVES, READ_BY_NEGATIVES, choose_negatives
from training.search_space import Choices, Range, changes, parse_space, plain, read_space, with_values
from training.synthesis import READ_BY_SYNTHESIS, SYNTHESES
from training.train_settings import TrainSettings

# Another value of each parameter that a loss or a synthesis may read.
OTHER = LossSettings(
    temperature=0.3,
    false_share=0.05,
    hardness=2.0,
    bins=31,
    slots="exponential",
    curvature=0.3,
    hyperbolic_temperature=0.2,
    hyperbolic_weight=1.5,
    live_depth=3,
    teacher_temperature=2.0,
    synthetic=6,
    hardest=3,
    gca=GcaSettings(heads=2),
)


class Lowest:
    """Draws the lowest value and the first choice, and notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.asked.append(name)
        return low

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        self.asked.append(name)
        return low

    def suggest_categorical(self, name: str, choices: list[str]) -> str:
        self.asked.append(name)
        return choices[0]


def test_a_file_says_what_varies(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text(
        "learning_rate = { low = 1e-5, high = 1e-3, log = true }\nepochs = { low = 2, high = 6 }\nbatch_size = 32\n"
        'synthesis = ["none", "mix"]\nnegatives = [[["corpus"]], [["ledger"], ["live"]]]\n',
        encoding="utf-8",
    )
    space = read_space(file)
    assert space.parameters == {
        "learning_rate": Range(1e-5, 1e-3, log=True, whole=False),
        "epochs": Range(2, 6, log=False, whole=True),
        "synthesis": Choices(('"none"', '"mix"')),
        "negatives": Choices(('[["corpus"]]', '[["ledger"], ["live"]]')),
    }
    draws = Lowest()
    drawn = space.draw(TrainSettings(warmup=0.3), draws)
    assert drawn == TrainSettings(
        warmup=0.3, learning_rate=1e-5, epochs=2, batch_size=32, synthesis="none", negatives=(("corpus",),)
    )
    assert draws.asked == ["negatives", "synthesis", "learning_rate", "epochs"]


def test_weights_of_losses_vary_one_by_one() -> None:
    space = parse_space({"loss": {"full_softmax": 1.0, "histogram": {"low": 0.05, "high": 1.0, "log": True}}})
    assert space.draw(TrainSettings(), Lowest()).losses == {"full_softmax": 1.0, "histogram": 0.05}


def test_parts_of_a_table_vary_where_it_is_read() -> None:
    space = parse_space({"synthesis": ["gca"], "gca": {"alpha": {"low": 2.0, "high": 9.0}, "heads": 2}})
    assert space.draw(TrainSettings(), Lowest()).gca == GcaSettings(alpha=2.0, heads=2)
    assert "gca.alpha" in space.parameters
    unread = parse_space({"warmup": [0.1], "gca": {"alpha": {"low": 2.0, "high": 9.0}}})
    draws = Lowest()
    unread.draw(TrainSettings(), draws)
    assert draws.asked == ["warmup"]
    configured = TrainSettings(synthesis="gca", gca=GcaSettings(beta=7.0))
    drawn = parse_space({"gca": {"alpha": {"low": 2.0, "high": 9.0}}}).draw(configured, Lowest())
    assert drawn.gca == GcaSettings(alpha=2.0, beta=7.0)


def test_what_nothing_reads_is_not_drawn() -> None:
    space = parse_space({"loss": ["full_softmax", "debiased"], "hardness": [1.0, 2.0], "curvature": [0.1, 0.2],
                         "temperature": [0.05, 0.1], "warmup": [0.0, 0.2]})  # fmt: skip
    draws = Lowest()
    space.draw(TrainSettings(), draws)
    assert draws.asked == ["loss", "temperature", "warmup"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("learning_rat = [1e-5]", "unknown key 'learning_rat'; did you mean 'learning_rate'? allowed: "),
        ("loss = ['softmax']", "unknown loss 'softmax'; known: full_softmax"),
        ("loss = { softmax = 1.0, full_softmax = { low = 0.1, high = 1.0 } }", "unknown loss 'softmax'"),
        ("epochs = { low = 1.5, high = 3 }", "epochs: a range takes two whole numbers, low and high, not 1.5"),
        ("epochs = { low = 3, high = 3 }", "epochs: low must be below high"),
        ("temperature = { low = 0.0, high = 1.0, log = true }", "temperature: low must be below high, and above 0"),
        ("temperature = { low = -1.0, high = 1.0 }", "temperature must be above 0"),
        ("temperature = { from = 1, to = 2 }", "temperature: a range is { low = …, high = …, log = true or false }"),
        ("synthesis = []", "synthesis: no choice is given"),
        ("synthesis = { low = 0, high = 1 }", "synthesis: input should be a valid string"),
        ("seed = [1, 2]", "seed: the best seed is luck"),
        ("batch_size = 32", "nothing varies"),
        ("batch_size = ", "is no TOML file"),
    ],
)
def test_mistakes_are_one_line_that_names_the_file(tmp_path: Path, line: str, wanted: str) -> None:
    file = tmp_path / "space.toml"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(SpecmineError) as refused:
        read_space(file)
    message = str(refused.value)
    assert str(file) in message
    assert wanted.lower() in message.lower()
    assert "\n" not in message


def test_settings_survive_json() -> None:
    settings = TrainSettings(
        loss={"infonce": 1.0, "histogram": 0.2}, negatives=(("in_batch",), ("live",)), average=(0.5,)
    )
    assert with_values(TrainSettings(), plain(settings)) == settings
    assert changes(TrainSettings(), settings) == {
        "loss": {"infonce": 1.0, "histogram": 0.2}, "negatives": [["in_batch"], ["live"]], "average": [0.5],
    }  # fmt: skip
    assert changes(settings, replace(settings, seed=99)) == {}


def varied(name: str) -> LossSettings:
    return replace(SETTINGS, **{name: getattr(OTHER, name)})


@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_reads_what_is_written_down_and_nothing_else(loss: str) -> None:
    batch = problem()
    value = LOSSES[loss](batch, SETTINGS)
    read = {
        field.name for field in fields(LossSettings) if not torch.equal(LOSSES[loss](batch, varied(field.name)), value)
    }
    assert read == set(READ_BY_LOSS[loss])


@pytest.mark.parametrize("synthesis", SYNTHESES)
def test_each_synthesis_reads_what_is_written_down_and_nothing_else(synthesis: str) -> None:
    batch = problem()
    batch = replace(batch, queries=batch.queries.float(), documents=batch.documents.float(), teacher=None)

    def made(settings: LossSettings) -> Any:
        member = SYNTHESES[synthesis](settings, DIMENSION, 1, CPU)
        random = torch.Generator().manual_seed(1)
        rows = member.make(batch, batch.negatives, random).rows
        _, audit = member.cost(batch, batch.negatives, lambda part: part.queries.sum(), random)
        return [rows.shape, rows.flatten().tolist(), audit]

    base = made(SETTINGS)
    read = {field.name for field in fields(LossSettings) if made(varied(field.name)) != base}
    assert read == set(READ_BY_SYNTHESIS[synthesis])


@pytest.mark.parametrize("negatives", NEGATIVES)
def test_negatives_read_what_is_written_down_and_nothing_else(negatives: str) -> None:
    batch = problem()
    ledger = batch.negatives & (torch.rand(batch.negatives.shape, generator=torch.Generator().manual_seed(3)) < 0.3)

    def chosen(settings: LossSettings) -> Any:
        masks = Masks(batch.positives, batch.negatives, ledger)
        draws = torch.Generator().manual_seed(1)
        return choose_negatives((negatives,), batch.queries, batch.documents, masks, settings, draws)

    base = chosen(SETTINGS)
    read = {field.name for field in fields(LossSettings) if not _same(chosen(varied(field.name)), base)}
    assert read == set(READ_BY_NEGATIVES.get(negatives, ()))


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.equal(a, b)
