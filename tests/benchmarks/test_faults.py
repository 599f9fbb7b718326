"""The fault campaign: that it kills when it should, a shorter one of it, and that it notices what is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fault_home import STAGES
from benchmarks.fault_kills import needed
from benchmarks.fault_processes import Kill, Tell, run, run_beside
from indexing.home import Home

ROOT = Path(__file__).parents[2]
CAMPAIGN = "from benchmarks.faults import main; raise SystemExit(main())"
# The pointer is written before what it names: a kill in between leaves a release served that is not there.
POINTER_FIRST = f"""
from indexing import releases
write, waiting = releases.write_json, []
def pointer_first(path, content):
    if path.name != "CURRENT":
        waiting.append((path, content))
        return
    write(path, content)
    while waiting:
        write(*waiting.pop())
releases.write_json = pointer_first
{CAMPAIGN}
"""


def three_parts(folder: Path, tell: Tell) -> list[int]:
    for number in range(3):
        tell(f"part {number}", 0, 1)
        (folder / str(number)).write_text("written")
        time.sleep(0.2)
    return [1, 2, 3]


def test_what_is_left_alone_ends_with_its_result(tmp_path: Path) -> None:
    ended = run(lambda tell: three_parts(tmp_path, tell), tmp_path / "log", count=True)
    assert (ended.returned, ended.killed, ended.error, ended.changes) == ([1, 2, 3], False, "", 3)
    assert list(ended.parts) == ["", "part 0", "part 1", "part 2"]
    assert 0.6 <= sum(ended.parts.values()) <= ended.seconds + 0.1


def test_it_is_killed_in_the_part_that_was_drawn(tmp_path: Path) -> None:
    ended = run(lambda tell: three_parts(tmp_path, tell), tmp_path / "log", Kill("part 1", 0.1))
    assert (ended.returned, ended.killed, ended.error) == (None, True, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "log"]


def test_it_is_killed_just_before_a_change(tmp_path: Path) -> None:
    ended = run(lambda tell: three_parts(tmp_path, tell), tmp_path / "log", Kill(change=2))
    assert ended.killed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "log"]


def test_an_error_is_told_with_its_kind(tmp_path: Path) -> None:
    def fails(tell: Tell) -> None:
        raise ValueError("no such thing")

    assert run(fails, tmp_path / "log").error == "ValueError: no such thing"


def test_the_second_begins_in_a_part_of_the_first(tmp_path: Path) -> None:
    def look(tell: Tell) -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    first, second = run_beside(lambda tell: three_parts(tmp_path, tell), "part 2", look, tmp_path / "log")
    assert first.returned == [1, 2, 3]
    assert second is not None
    assert set(second.returned) >= {"0", "1"}
    assert run_beside(look, "never told", look, tmp_path / "log")[1] is None


def test_stages_are_prepared_as_far_as_they_are_needed() -> None:
    assert [stage.name for stage in needed(["first ingest"])] == ["first ingest"]
    assert [stage.name for stage in needed(["publish"])] == ["ingest", "mine", "retrain", "publish"]
    assert [stage.name for stage in needed(STAGES)] == list(STAGES)


def campaign(work: Path, models: Home, *arguments: str, code: str = CAMPAIGN) -> tuple[int, str, list[dict[str, Any]]]:
    """Run a campaign; return its exit code, what it printed, and the trials it kept."""
    command = [sys.executable, "-c", code, str(work), "--models", str(models.models), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    results = work / "results.jsonl"
    lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return done.returncode, done.stdout + done.stderr, [json.loads(line) for line in lines]


@pytest.mark.models
def test_nothing_is_lost_by_kills_in_an_ingest(models_home: Home, tmp_path: Path) -> None:
    arguments = ("--stages", "ingest", "--kills", "3", "--changes", "1", "--others")
    status, output, trials = campaign(tmp_path / "work", models_home, *arguments)
    assert status == 0, output
    assert sum(len(trial["kills"]) for trial in trials) >= 3 + 1
    assert [trial["faults"] for trial in trials] == [[]] * len(trials)
    # Asked for again it has nothing left to do.
    assert campaign(tmp_path / "work", models_home, *arguments)[2] == trials


@pytest.mark.campaign
@pytest.mark.models
def test_nothing_is_lost_in_any_stage(models_home: Home, tmp_path: Path) -> None:
    arguments = ("--kills", "18", "--changes", "3", "--others", "two writers")
    status, output, trials = campaign(tmp_path / "work", models_home, *arguments)
    assert status == 0, output
    assert {trial["stage"] for trial in trials} == {*STAGES, "two writers"}


@pytest.mark.campaign
@pytest.mark.models
def test_a_pointer_that_is_written_too_early_is_noticed(models_home: Home, tmp_path: Path) -> None:
    arguments = ("--stages", "publish", "--kills", "0", "--changes", "99", "--others")
    status, output, trials = campaign(tmp_path / "work", models_home, *arguments, code=POINTER_FIRST)
    assert status == 1, output
    found = [trial for trial in trials if trial["faults"]]
    assert found
    assert all(any("searching after the kill" in fault for fault in trial["faults"]) for trial in found)
