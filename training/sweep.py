"""A sweep: many settings tried on the development part of the training queries, the winner again with other seeds.

The story: what is configured is measured first, as the one to beat. Trials are drawn by TPE (Bergstra et al., NIPS
2011), and one that at a quarter, a half or three quarters of its steps is below the median of the others is cut short.
The best of many is lucky, so the winner and the configured settings are trained again with fresh seeds, and only a
winner that is still ahead then is trained on all training queries and given to the ordinary referee.

Trials are kept in Optuna's study (SQLite): a sweep that was killed goes on, and one that is given more trials too.
The same data, configured settings and space are the same sweep.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState

from evaluation.verdict import Comparison
from indexing.embedding import Progress
from indexing.generations import fingerprint_of
from indexing.home import SpecmineError
from training.development import Lab, Recipe, Tried
from training.evaluations import Evaluation
from training.search_space import SearchSpace, changes, plain, with_values
from training.train_settings import TrainSettings

# Seeds that the winner and the configured settings are trained with again.
SEEDS = 3
_NAME = "sweep"
_QUARTERS = 4
# Until so many trials are whole, none is cut short.
_WHOLE_FIRST = 4
_DATABASE_SECONDS = 60.0
# What the study keeps beside Optuna's own.
_CHANGES = "changes"
_REACHED = "reached"
_REASON = "reason"
_UNFINISHED = "unfinished"
_TAKEN_UP = "taken_up"

State = Literal["complete", "pruned", "failed"]
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class Trial:
    """One trial. ``changes`` are the keys in which it differs from the configured settings, ``drawn`` what Optuna drew.

    ``score`` is None unless it is complete; ``reached`` is the last score it had, None where it had none. ``reason``
    says why it is not complete. ``seconds`` count from its beginning, or from when it was taken up again.
    """

    number: int
    state: State
    changes: dict[str, Any]
    drawn: dict[str, Any]
    score: float | None
    reached: float | None
    seconds: float
    reason: str


@dataclass(frozen=True)
class Job:
    """A piece of work for one process: fixed settings (JSON-able), or, with None, a trial yet to be drawn.

    ``number`` seeds the draw, ``without`` is what of the data an ablation leaves out.
    """

    settings: dict[str, Any] | None = None
    number: int = 0
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a sweep found. Without a complete trial there is no ``best``, and nothing after it.

    ``present`` is the training with the configured settings; ``before`` and ``after`` are those with fresh seeds, of
    the configured settings and of ``winner``; ``fresh`` compares these two on the development queries.
    """

    present: Tried
    best: Trial | None
    winner: TrainSettings | None
    before: tuple[Tried, ...]
    after: tuple[Tried, ...]
    fresh: Comparison | None


class TimeIsOverError(Exception):
    """The minutes of a sweep are used up; the training that was under way can be continued."""


RunJobs = Callable[[str, Sequence[Job]], None]
"""Do the jobs of a stage with this name, in any order, several at a time or not; raises what one of them raises."""


@dataclass(frozen=True)
class Sweep:
    """A sweep in the folder of its lab. ``deadline`` is a time of ``clock``, in seconds: no trial goes on after it."""

    lab: Lab
    base: TrainSettings
    space: SearchSpace
    deadline: float
    clock: Callable[[], float] = time.time

    @property
    def id(self) -> str:
        """The name of the sweep: the same data, configured settings and space have the same."""
        return fingerprint_of([self.lab.folder.name, plain(self.base), self.space.as_json()])[:16]

    def study(self, draw: int = 0) -> optuna.Study:
        """Open the study, or begin it; what is drawn next depends on ``draw`` and on the trials so far."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.lab.folder.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{self.lab.folder / f'sweep-{self.id}.sqlite'}",
            engine_kwargs={"connect_args": {"timeout": _DATABASE_SECONDS}},
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=(self.base.seed * 100_003 + draw) % 2**32, multivariate=True, group=True, constant_liar=True
            )
        return optuna.create_study(
            study_name=_NAME,
            storage=storage,
            sampler=sampler,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_WHOLE_FIRST),
            direction="maximize",
            load_if_exists=True,
        )

    def recover(self) -> None:
        """Take up what a killed sweep, or one whose time was over, left.

        Unfinished trials are drawn again as they were, and their trainings go on from their last checkpoint.
        """
        study = self.study()
        taken_up = set(study.user_attrs.get(_TAKEN_UP, ()))
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            _close(study, trial.number, TrialState.FAIL, "killed", unfinished=True)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.FAIL,)):
            if trial.user_attrs.get(_UNFINISHED) and trial.number not in taken_up:
                study.enqueue_trial(trial.params)
                taken_up.add(trial.number)
        study.set_user_attr(_TAKEN_UP, sorted(taken_up))

    def run(self, job: Job, tell: Progress) -> None:
        """Do one job. What it finds is in the lab's files and in the study."""
        if job.settings is not None:
            run_fixed(self.lab, job, tell)
        elif self.clock() < self.deadline:
            self._try_next(job.number, tell)

    def trials(self) -> list[Trial]:
        """Return the trials in their order, without those that are to be taken up again or were."""
        found = self.study().get_trials(deepcopy=False)
        ended = [one for one in found if one.state.is_finished() and not one.user_attrs.get(_UNFINISHED)]
        return [_trial(one) for one in ended]

    def decide(self, trials: int, run_jobs: RunJobs) -> Outcome:
        """Run the sweep until there are ``trials`` of them or the time is over, then the fresh seeds."""
        self.recover()
        run_jobs("settings as configured", [Job(plain(self.base))])
        drawn = len(self.study().get_trials(deepcopy=False))
        run_jobs("trials", [Job(number=drawn + more) for more in range(trials - len(self.trials()))])
        present = self.lab.required(Recipe(self.base))
        complete = [trial for trial in self.trials() if trial.score is not None]
        best = max(complete, key=lambda trial: (trial.score, -trial.number), default=None)
        if best is None:
            return Outcome(present, None, None, (), (), None)
        winner = with_values(self.base, {**plain(self.base), **best.changes})
        seeds = [(self.base.seed + 1 + number) % 2**32 for number in range(SEEDS)]
        pairs = [(replace(self.base, seed=seed), replace(winner, seed=seed)) for seed in seeds]
        run_jobs("fresh seeds", [Job(plain(settings)) for pair in pairs for settings in pair])
        before, after = ([self.lab.required(Recipe(pair[side])) for pair in pairs] for side in (0, 1))
        return Outcome(present, best, winner, tuple(before), tuple(after), self.lab.compare(before, after))

    def _try_next(self, number: int, tell: Progress) -> None:
        study = self.study(number)
        trial = study.ask()
        recipe: Recipe | None = None
        reported: set[int] = set()

        def evaluated(history: Sequence[Evaluation], planned: int) -> None:
            score, quarter = history[-1].score, _QUARTERS * history[-1].step // planned
            if score is None:
                return
            trial.set_user_attr(_REACHED, score)
            if 0 < quarter < _QUARTERS and quarter not in reported:
                reported.add(quarter)
                trial.report(score, quarter)
                if trial.should_prune():
                    raise optuna.TrialPruned

        def watch(stage: str, done: int, total: int) -> None:
            tell(stage, done, total)
            if self.clock() >= self.deadline:
                raise TimeIsOverError

        try:
            settings = self.space.draw(self.base, trial)
            trial.set_user_attr(_CHANGES, changes(self.base, settings))
            recipe = Recipe(settings)
            score = self.lab.run(recipe, watch, evaluated).score
        except optuna.TrialPruned:
            _close(study, trial.number, TrialState.PRUNED, "below the median of the trials before it")
        except TimeIsOverError:
            _close(study, trial.number, TrialState.FAIL, "the time was over", unfinished=True)
            return
        except (SpecmineError, ValueError) as error:  # settings that do not work are a result too
            _close(study, trial.number, TrialState.FAIL, " ".join(str(error).split()))
        else:
            study.tell(trial, score)
            return
        if recipe is not None:
            self.lab.forget(recipe)


def run_fixed(lab: Lab, job: Job, tell: Progress) -> None:
    """Do a job whose settings are given."""
    lab.run(Recipe(with_values(TrainSettings(), job.settings or {}), job.without), tell)


def _close(study: optuna.Study, number: int, state: TrialState, reason: str, unfinished: bool = False) -> None:
    trial = optuna.trial.Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)
    trial.set_user_attr(_REASON, reason)
    trial.set_user_attr(_UNFINISHED, unfinished)
    study.tell(number, state=state)


def _trial(one: FrozenTrial) -> Trial:
    spent = (
        (one.datetime_complete - one.datetime_start).total_seconds()
        if one.datetime_complete and one.datetime_start
        else 0.0
    )
    return Trial(
        number=one.number,
        state=_STATES[one.state],
        changes=one.user_attrs.get(_CHANGES, {}),
        drawn=one.params,
        score=one.value if one.state is TrialState.COMPLETE else None,
        reached=one.user_attrs.get(_REACHED, one.value),
        seconds=round(spent, 1),
        reason=one.user_attrs.get(_REASON, ""),
    )
