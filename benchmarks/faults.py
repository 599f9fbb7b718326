"""The fault campaign: ``kill -9`` at random instants of every stage, and what else goes wrong on real machines.

    python -m benchmarks.faults WORK --kills 200 --changes 5

On copies of an installation with sample documents (one small encoder) each of the stages first ingest, ingest, mine,
retrain, publish and reindex is killed: at random instants (a part of the stage, each as likely as the others, and an
instant of it; one to four times in a row, each time the run that goes on; three in ten kills spare the reader
processes), and just before some of its changes to files. After each kill what is served must open and answer as before
the stage or as after it. The run that goes on must end as an undisturbed one: the same documents, passages, vectors,
weights, verdicts, ledger, answers; every file accounted for; nothing left over. Then come a full disk (for root
alone: a small one is mounted), a locked catalogue, a stepped clock, and two writers.

``WORK`` is a new folder, or one in which a campaign was interrupted: it goes on. One line for each trial is printed and
kept in ``WORK/results.jsonl``; the table comes last. The lots are drawn with ``--seed``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.fault_home import STAGES, Installation
from benchmarks.fault_kills import Expected, KillCampaign, Trial, draw, draw_changes
from benchmarks.fault_others import OTHERS, try_other

# What stages import late: it is imported before the first process is forked, so that none waits for it.
_LATE = (
    "indexing.encoders.document",
    "indexing.encoders.query",
    "indexing.reindexing.reindex",
    "mining.mine",
    "training.generation_check",
    "training.retrain",
)
INSTANTS, CHANGES, OTHER = "at an instant", "before a change to files", "another fault"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="a new folder, or one in which a campaign was interrupted")
    parser.add_argument("--kills", type=int, default=200, help="kills at random instants, over all stages")
    parser.add_argument("--changes", type=int, default=5, help="kills before changes to files, for each stage")
    parser.add_argument("--stages", nargs="+", choices=sorted(STAGES), default=list(STAGES))
    parser.add_argument("--others", nargs="*", choices=sorted(OTHERS), default=list(OTHERS))
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--models", type=Path, default=_fetched_models(), help="a folder with fetched models")
    arguments = parser.parse_args()
    for name in _LATE:
        importlib.import_module(name)
    campaign = KillCampaign(Installation(arguments.work, arguments.models))
    expected = _expected(campaign, arguments)
    trials = _kept(arguments.work)
    each = -(-arguments.kills // len(arguments.stages))
    try:
        for trial in _killed(campaign, expected, arguments, trials, each):
            _keep(arguments.work, trial, trials)
        for name in arguments.others:
            if not any(trial.how == OTHER and trial.stage == name for trial in trials):
                trial = Trial(name, 0, OTHER)
                try_other(name, campaign, expected, trial)
                _keep(arguments.work, trial, trials)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on", flush=True)
    _print_table(trials)
    return int(any(trial.faults for trial in trials))


def _killed(
    campaign: KillCampaign,
    expected: dict[str, Expected],
    arguments: argparse.Namespace,
    trials: list[Trial],
    each: int,
) -> Iterator[Trial]:
    """Yield trials, one of each stage in turn, until every stage has its kills."""
    done = {(trial.stage, trial.how, trial.number) for trial in trials}
    changes = {
        name: draw_changes(expected[name], arguments.changes, random.Random(f"{arguments.seed} {name}"))
        for name in arguments.stages
    }
    numbers = dict.fromkeys(arguments.stages, 0)
    while wanting := [name for name in arguments.stages if _instants(trials, name) < each or changes[name]]:
        for name in wanting:
            number = numbers[name] = numbers[name] + 1
            if _instants(trials, name) < each and (name, INSTANTS, number) not in done:
                lots = random.Random(f"{arguments.seed} {name} {number}")
                trial = Trial(name, number, INSTANTS)
                campaign.try_once(STAGES[name], trial, draw(expected[name], lots), expected[name])
                yield trial
            if changes[name] and (name, CHANGES, (kill := changes[name].pop()).change) not in done:
                trial = Trial(name, kill.change, CHANGES)
                campaign.try_once(STAGES[name], trial, [kill], expected[name])
                yield trial


def _instants(trials: list[Trial], stage: str) -> int:
    return sum(len(trial.kills) for trial in trials if trial.stage == stage and trial.how == INSTANTS)


def _expected(campaign: KillCampaign, arguments: argparse.Namespace) -> dict[str, Expected]:
    """Return what undisturbed runs end as; they are run once for a folder."""
    work = arguments.work
    path = work / "expected.json"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        if any(work.iterdir()):
            raise SystemExit(f"{work} is not empty and holds no campaign: name a new folder")
        wanted = [*arguments.stages, *(STAGES if arguments.others else ())]
        made = campaign.prepare(wanted, lambda line: print(line, flush=True))
        path.write_text(json.dumps({name: asdict(one) for name, one in made.items()}), encoding="utf-8")
    return {name: Expected(**one) for name, one in json.loads(path.read_text(encoding="utf-8")).items()}


def _kept(work: Path) -> list[Trial]:
    path = work / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Trial(**json.loads(line)) for line in lines]


def _keep(work: Path, trial: Trial, trials: list[Trial]) -> None:
    trials.append(trial)
    with (work / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(trial)) + "\n")
    told = "; ".join(trial.kills) or "ended before it"
    print(f"{trial.stage} {trial.number}, {trial.how}: {told}: ", end="")
    print("FAULT: " + "; ".join(trial.faults) if trial.faults else "as it must be", f"({trial.seconds} s)", flush=True)


def _print_table(trials: list[Trial]) -> None:
    print("\n| what | how | trials | kills | homes killed more than once | faults |\n|---|---|---|---|---|---|")
    for how in (INSTANTS, CHANGES, OTHER):
        for name in dict.fromkeys(trial.stage for trial in trials if trial.how == how):
            of = [trial for trial in trials if (trial.stage, trial.how) == (name, how)]
            kills, faults = sum(len(trial.kills) for trial in of), sum(bool(trial.faults) for trial in of)
            print(f"| {name} | {how} | {len(of)} | {kills} | {sum(len(one.kills) > 1 for one in of)} | {faults} |")


def _fetched_models() -> Path:
    root = os.environ.get("SPECMINE_TEST_HOME") or Path(__file__).parents[1] / "var" / "tests"
    return Path(root) / "models"


if __name__ == "__main__":
    sys.exit(main())
