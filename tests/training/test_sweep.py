"""A sweep on a real index: the better learning rate wins, a killed one goes on, and no deciding query takes part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from evaluation.verdict import PromotionRule
from indexing.home import SpecmineError
from training.development import SHARE, Lab, Recipe, mean_of
from training.search_space import parse_space
from training.splits import split_queries
from training.sweep import SEEDS, Job, Sweep
from training.train_settings import TrainSettings

# A rate that learns nothing in so few steps: whatever the space offers is better.
BASE = TrainSettings(
    learning_rate=1e-6, temperature=0.1, batch_size=16, epochs=2, evaluations=2, precision="float32", warmup=0.0
)
SPACE = parse_space({"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}})


def lab_of(world: Any) -> Lab:
    searcher = world.searcher()
    splits = split_queries(searcher, world.catalogue, development=SHARE)
    return Lab(searcher, "one", None, splits, PromotionRule(), world.home)


def silent(stage: str, done: int, total: int) -> None:
    pass


def in_turn(sweep: Sweep) -> Any:
    def run_jobs(stage: str, jobs: Sequence[Job]) -> None:
        for job in jobs:
            sweep.run(job, silent)

    return run_jobs


def test_settings_are_measured_on_training_queries_that_are_set_aside(world: Any) -> None:
    lab = lab_of(world)
    held_out = set(lab.held_out.texts)
    assert len(held_out) == pytest.approx(SHARE * 200, abs=15)
    assert all(query.startswith("train-") for query in held_out)  # dev decides, and takes no part
    assert held_out.isdisjoint(query.id for query in lab.splits.train)
    assert not lab.stops
    assert lab_of(world).folder == lab.folder


def test_the_better_learning_rate_wins_and_is_tried_again_with_fresh_seeds(world: Any) -> None:
    sweep = Sweep(lab_of(world), BASE, SPACE, deadline=float("inf"))
    outcome = sweep.decide(6, in_turn(sweep))
    trials = sweep.trials()
    assert [trial.number for trial in trials] == list(range(6))
    assert len({trial.drawn["learning_rate"] for trial in trials}) == 6
    complete = [trial for trial in trials if trial.state == "complete"]
    assert outcome.best is not None
    assert outcome.winner is not None
    assert outcome.fresh is not None
    assert outcome.best.score == max(trial.score or 0 for trial in complete)
    assert outcome.winner == replace(BASE, learning_rate=outcome.best.changes["learning_rate"])
    assert [tried.recipe.settings.seed for tried in outcome.after] == [BASE.seed + 1 + n for n in range(SEEDS)]
    assert len({tried.score for tried in outcome.after}) > 1  # other seeds are other trainings
    assert outcome.present.score == pytest.approx(outcome.present.curve[0], abs=0.05)
    assert outcome.fresh.difference == pytest.approx(
        sum(after.score - before.score for before, after in zip(outcome.before, outcome.after, strict=True)) / SEEDS
    )
    assert outcome.fresh.interval[0] > 0.1
    assert mean_of(outcome.after).mean["nDCG@10"] == pytest.approx(outcome.fresh.after)


def test_trials_of_two_processes_are_not_the_same(world: Any) -> None:
    """Both draw before either has a result, so only the number of the job tells them apart."""
    sweep = Sweep(lab_of(world), BASE, SPACE, deadline=float("inf"))
    drawn = []
    for number in range(3):
        trial = sweep.study(number).ask()
        drawn.append(SPACE.draw(BASE, trial).learning_rate)
    assert len(set(drawn)) == 3


class Killed(BaseException):
    pass


def test_a_killed_sweep_goes_on_with_the_trial_and_the_training_it_was_at(world: Any) -> None:
    sweep = Sweep(lab_of(world), BASE, SPACE, deadline=float("inf"))
    steps: list[int] = []

    def killed_in_the_second_half(stage: str, done: int, total: int) -> None:
        steps.append(done)
        if done > 0.6 * total:
            raise Killed

    def kill(stage: str, jobs: Sequence[Job]) -> None:
        for job in jobs:
            sweep.run(job, killed_in_the_second_half if job.settings is None else silent)

    with pytest.raises(Killed):
        sweep.decide(3, kill)
    assert sweep.trials() == []
    again = Sweep(lab_of(world), BASE, SPACE, deadline=float("inf"))
    seen: list[list[int]] = []

    def watch(stage: str, jobs: Sequence[Job]) -> None:
        for job in jobs:
            told: list[int] = []
            again.run(job, lambda stage, done, total, told=told: told.append(done))
            seen.append(told)

    again.decide(2, watch)
    trials = again.trials()
    assert len(trials) == 2
    killed = again.study().get_trials()[0]
    assert trials[0].drawn == killed.params
    # Killed after 60 % of the steps, with a checkpoint at half of them: the training went on from there.
    planned = max(steps) / 0.6
    assert seen[1][0] > 0.5 * planned - 1
    # Once more: nothing is left to do.
    before = again.trials()
    again.decide(2, in_turn(again))
    assert again.trials() == before


def test_no_trial_goes_on_after_the_time(world: Any) -> None:
    now = [0.0]
    sweep = Sweep(lab_of(world), BASE, SPACE, deadline=10.0, clock=lambda: now[0])

    def late(stage: str, jobs: Sequence[Job]) -> None:
        for job in jobs:
            sweep.run(job, pass_time if job.settings is None else silent)

    def pass_time(stage: str, done: int, total: int) -> None:
        now[0] += 1.0

    outcome = sweep.decide(5, late)
    assert outcome.best is None
    assert sweep.trials() == []
    assert now[0] == 10.0


def test_settings_that_fail_are_a_result_with_its_reason(world: Any) -> None:
    space = parse_space({"loss": ["lce"]})  # which needs a ledger, and there is none
    sweep = Sweep(lab_of(world), BASE, space, deadline=float("inf"))
    outcome = sweep.decide(1, in_turn(sweep))
    assert outcome.best is None
    (trial,) = sweep.trials()
    assert trial.state == "failed"
    assert "run `specmine mine` first" in trial.reason


def test_a_trial_far_below_the_others_is_cut_short(world: Any) -> None:
    sweep = Sweep(lab_of(world), BASE, parse_space({"learning_rate": [1e-6, 5e-2]}), deadline=float("inf"))
    study = sweep.study()
    for _ in range(4):
        study.enqueue_trial({"learning_rate": "0.05"})
    study.enqueue_trial({"learning_rate": "1e-06"})
    for number in range(5):
        sweep.run(Job(number=number), silent)
    trials = sweep.trials()
    assert [trial.state for trial in trials] == ["complete"] * 4 + ["pruned"]
    assert trials[4].score is None
    assert trials[4].reached is not None
    assert trials[4].reached < trials[0].score
    assert "median" in trials[4].reason


def test_finished_trainings_are_not_repeated(world: Any) -> None:
    lab = lab_of(world)
    first = lab.run(Recipe(BASE), silent)

    def refuse(stage: str, done: int, total: int) -> None:
        raise AssertionError("trained again")

    assert lab.run(Recipe(BASE), refuse) == first


def test_few_queries_are_refused_in_one_line(world: Any) -> None:
    searcher = world.searcher()
    splits = split_queries(searcher, world.catalogue, development=0.0)
    with pytest.raises(SpecmineError, match="200 training queries are too few to choose settings on a part of them"):
        Lab(searcher, "one", None, splits, PromotionRule(), world.home)
