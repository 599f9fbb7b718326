"""``kill -9`` in the middle of every stage: what is served afterwards, and what the run that goes on ends as."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.fault_home import STAGES, Installation, Stage
from benchmarks.fault_processes import Ended, Kill, Tell, run
from benchmarks.fault_state import (
    Answers,
    State,
    documents_in,
    has_contents,
    left_over,
    served_answers,
    state_of,
)
from flows.settings import Settings

MOST_KILLS = 4  # of one home, one after the other
_MADE_FROM = {"weighed badly": "ingest", "rolled back": "retrain"}  # the start of one stage from the end of another
ALONE = 0.3  # the share of kills that spare the reader processes


@dataclass(frozen=True)
class Expected:
    """An undisturbed run of a stage: its start and its end, what its parts took, how often it changed files."""

    before: Answers | None
    after: State
    parts: dict[str, float]
    changes: int


@dataclass
class Trial:
    """One home that was killed in a stage and then left alone. ``faults`` is empty where all is well."""

    stage: str
    number: int
    how: str
    kills: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class KillCampaign:
    """Homes that are killed in a stage, looked at, and run to their end."""

    def __init__(self, installation: Installation) -> None:
        self.made = installation
        self.log = installation.folder / "log"
        self.trial_home = installation.folder / f"trial-{os.getpid()}"

    def work(self, stage: Stage, settings: Settings) -> Callable[[Tell], Any]:
        """Return what runs a stage."""
        return partial(stage.run, settings, self.made.documents)

    def prepare(self, wanted: Collection[str], say: Callable[[str], None]) -> dict[str, Expected]:
        """Prepare the homes that the wanted stages begin from, and run each stage once without a fault."""
        made, expected = self.made, {}
        made.write_first_documents()
        first = made.prepared("first documents")
        made.copy_of("nothing", first)
        self._run_or_raise(self.work(STAGES["first ingest"], made.settings(first)))
        made.write_later_documents()
        for stage in needed(wanted):
            self._prepare_start(stage)
            ended = made.prepared(stage.name)
            made.copy_of(stage.after, ended)
            settings = made.settings(ended, stage.reindexed)
            before = self._answers(settings)
            found = self._run_or_raise(self.work(stage, settings), count=True)
            after = self._run_or_raise(lambda tell, c=settings: state_of(c)).returned
            expected[stage.name] = Expected(before, after, found.parts, found.changes)
            parts = ", ".join(f"{name or 'start'} {seconds:.2f}" for name, seconds in found.parts.items())
            say(f"undisturbed {stage.name}: {found.seconds:.1f} s, {found.changes} changes to files; {parts}")
        return expected

    def _prepare_start(self, stage: Stage) -> None:
        made, start = self.made, self.made.prepared(stage.after)
        if stage.after == "weighed badly":
            made.copy_of("ingest", start)
            self._run_or_raise(lambda tell: made.weigh_badly(start))
        elif stage.after == "rolled back":
            made.copy_of("retrain", start)
            self._run_or_raise(lambda tell: made.roll_back(start))

    def try_once(self, stage: Stage, trial: Trial, kills: list[Kill], expected: Expected) -> None:
        """Kill a copy of the stage's home at each of ``kills`` in turn, looking at it after each; run it to its end."""
        home = self.trial_home
        self.made.copy_of(stage.after, home)
        settings = self.made.settings(home, stage.reindexed)
        started = time.monotonic()
        for kill in kills:
            ended = run(self.work(stage, settings), self.log, kill)
            if not ended.killed:
                if not trial.kills and kill.part in ended.parts:
                    # The machine was busier when the stage ran undisturbed: later instants are drawn from less.
                    expected.parts[kill.part] = min(expected.parts[kill.part], ended.parts[kill.part])
                if ended.error:
                    trial.faults.append(f"the run ended with {ended.error}")
                break
            trial.kills.append(str(kill))
            self.look(settings, expected, trial)
        self.run_to_its_end(stage, settings, expected, trial, len(trial.kills))
        trial.seconds = round(time.monotonic() - started, 1)
        shutil.rmtree(home, ignore_errors=True)

    def look(self, settings: Settings, expected: Expected, trial: Trial) -> None:
        """Search what is served: it must be as before the stage, or as after it."""
        looked = run(lambda tell: served_answers(settings), self.log)
        if looked.error:
            trial.faults.append(f"searching after the kill: {looked.error}")
        elif looked.returned not in (expected.before, expected.after["answers"]):
            trial.faults.append("what is served answers neither as before nor as after the stage")

    def run_to_its_end(self, stage: Stage, settings: Settings, expected: Expected, trial: Trial, kills: int) -> None:
        """Run the stage again, undisturbed: it must end as ``expected``, and clear away what ``kills`` kills left."""
        finished = run(self.work(stage, settings), self.log)
        if finished.error or finished.killed:
            trial.faults.append(f"going on: {finished.error or 'killed'}")
            return
        if stage.name.endswith("ingest") and (wrong := documents_in(settings, self.made.documents, finished.returned)):
            trial.faults.append(wrong)
        seen = run(lambda tell: [state_of(settings), left_over(settings, kills), has_contents(settings)], self.log)
        if seen.error:
            trial.faults.append(f"looking at the end: {seen.error}")
            return
        state, left, gone = seen.returned
        trial.faults += [f"at the end: {name}" for name in differing(state, expected.after)]
        trial.faults += [f"left over: {name}" for name in left]
        trial.faults += [f"the content of {release}, to which a rollback would come, is gone" for release in gone]

    def _answers(self, settings: Settings) -> Answers | None:
        answers: Answers | None = self._run_or_raise(lambda tell: served_answers(settings)).returned
        return answers

    def _run_or_raise(self, work: Callable[..., Any], count: bool = False) -> Ended:
        ended = run(work, self.log, count=count)
        if ended.error or ended.killed:
            raise SystemExit(f"the campaign cannot begin: {ended.error or 'killed'}; see {self.log}")
        return ended


def needed(wanted: Collection[str]) -> list[Stage]:
    """Return the wanted stages and those they begin after, in order."""
    names = set(wanted)
    for stage in reversed(STAGES.values()):
        if stage.name in names:
            names |= {before for before in STAGES if before == _MADE_FROM.get(stage.after, stage.after)}
    return [stage for stage in STAGES.values() if stage.name in names]


def differing(state: State, wanted: State) -> list[str]:
    """Return the parts of a state that are not as wanted, with what they hold where that is short."""
    found = []
    for name, value in wanted.items():
        if state.get(name) != value:
            told = f"{name} is {state.get(name)}, not {value}"
            found.append(told if len(told) < 300 else f"{name} differs")
    return found


def draw(expected: Expected, lots: random.Random) -> list[Kill]:
    """Draw one to four kills in a row: each a part of the stage, one as likely as another, and an instant in it.

    Short parts, the publication among them, have their share by that.
    """
    kills = []
    for _ in range(lots.randint(1, MOST_KILLS)):
        part = lots.choice(sorted(expected.parts))
        seconds = lots.uniform(0.0, expected.parts[part])
        kills.append(Kill(part, seconds, group=lots.random() >= ALONE))
    return kills


def draw_changes(expected: Expected, number: int, lots: random.Random) -> list[Kill]:
    """Return kills just before changes to files: before each, or before ``number`` of them by lot."""
    every = range(1, expected.changes + 1)
    return [Kill(change=change) for change in sorted(lots.sample(every, min(number, len(every))))]
