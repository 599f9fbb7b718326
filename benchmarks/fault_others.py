"""What goes wrong besides a kill: a full disk, a locked catalogue, a stepped clock, two writers at once.

Each is tried on copies of the prepared homes and judged as a kill is: what is served meanwhile, what the next run ends
as. An error is one that a user can act on (SpecmineError, CatalogueError, or the system's own word for a full disk).
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.fault_home import STAGES, Stage
from benchmarks.fault_kills import Expected, KillCampaign, Trial
from benchmarks.fault_processes import Ended, Tell, run, run_beside
from benchmarks.fault_state import State, state_of
from flows import stages
from flows.settings import Settings

TOLD = ("SpecmineError", "LockedHomeError", "CatalogueError", "LedgerError")
SMALL_DISK = 512 << 20  # bytes
BALLAST, KILOBYTES_LEFT = "ballast", 40  # of a full disk
LOCKED_SHORT, LOCKED_LONG = 4.0, 60.0  # seconds; a catalogue that is locked is waited for for ten
MORE = "# One more\n\n## 1 Scope\n\nA document that comes while something else is under way.\n"
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def disk_full(campaign: KillCampaign, expected: dict[str, Expected], trial: Trial) -> None:
    """Fill the file system of a home before a stage or while it runs; then make room and run it again.

    Before: it must be refused in one line. Meanwhile: it ends with an error, or with SIGBUS where SQLite or the engine
    finds no room for a page that it maps. After either the served release must be searched with the disk still full.
    """
    with _mounted(campaign.made.folder / "small") as folder:
        for stage in STAGES.values():
            for part in (None, _middle(expected[stage.name])):
                home = folder / "home"
                campaign.made.copy_of(stage.after, home)
                settings = campaign.made.settings(home, stage.reindexed)
                if part is None:
                    _fill(folder, KILOBYTES_LEFT)
                    ended, name = run(campaign.work(stage, settings), campaign.log), stage.name
                    if not ended.error.startswith(TOLD):
                        trial.faults.append(f"{name} on a full disk is told as {ended.error or 'done'}")
                else:
                    filling = partial(_fill_told, folder, KILOBYTES_LEFT)
                    ended, _ = run_beside(campaign.work(stage, settings), part, filling, campaign.log)
                    name = f"{stage.name}, full from {part!r} on"
                told = ended.error.partition("\n")[0][:120] or f"done in {ended.seconds:.1f} s"
                trial.kills.append(f"{name}: {told}")
                campaign.look(settings, expected[stage.name], trial)
                (folder / BALLAST).unlink(missing_ok=True)  # where the stage ended first there is none
                campaign.run_to_its_end(stage, settings, expected[stage.name], trial, kills=1)


def locked_for_a_moment(campaign: KillCampaign, expected: dict[str, Expected], trial: Trial) -> None:
    """Hold the catalogue's write lock for some seconds when a stage begins: it waits and ends as undisturbed."""
    for stage in STAGES.values():
        settings = _fresh(campaign, stage)
        held, ended = run_beside(
            partial(_hold, settings.home / "catalogue.sqlite", LOCKED_SHORT),
            "locked",
            campaign.work(stage, settings),
            campaign.log,
        )
        trial.kills.append(stage.name)
        if held.error or ended is None or ended.error:
            trial.faults.append(f"{stage.name}: {held.error or (ended and ended.error)}")
        campaign.run_to_its_end(stage, settings, expected[stage.name], trial, kills=1)


def locked_for_long(campaign: KillCampaign, expected: dict[str, Expected], trial: Trial) -> None:
    """Hold it while a stage is under way, for longer than it waits: it says so, and the next run goes on."""
    for stage in STAGES.values():
        settings = _fresh(campaign, stage)
        parts = list(expected[stage.name].parts)
        ended, held = run_beside(
            campaign.work(stage, settings),
            parts[len(parts) // 2] if len(parts) > 1 else parts[0],
            partial(_hold, settings.home / "catalogue.sqlite", LOCKED_LONG),
            campaign.log,
        )
        told = ended.error[:160] or "it ended"
        trial.kills.append(f"{stage.name}: {told}")
        if ended.error and not ended.error.startswith(TOLD):
            trial.faults.append(f"{stage.name} is told as {told}")
        if held is not None and held.error:
            trial.faults.append(f"the lock: {held.error}")
        campaign.look(settings, expected[stage.name], trial)
        campaign.run_to_its_end(stage, settings, expected[stage.name], trial, kills=1)


def clock_stepped(campaign: KillCampaign, expected: dict[str, Expected], trial: Trial) -> None:
    """Step the clock of an ingest by an hour, there or back, while it runs; another that comes then is refused."""
    if not FAKETIME.exists():
        trial.kills.append("not tried: libfaketime is not installed")
        return
    stage = STAGES["ingest"]
    for step in ("+3600", "-3600"):
        settings = _fresh(campaign, stage)
        clock = campaign.made.folder / "clock"
        clock.write_text("+0", encoding="utf-8")
        stepped, second = run_beside(
            partial(_ingest_stepped, campaign, settings.home, clock, step),
            "stepped",
            campaign.work(stage, settings),
            campaign.log,
        )
        trial.kills.append(f"{step} s, and a second ingest: {second.error[:90] if second else 'came too late'}")
        if stepped.error:
            trial.faults.append(f"{step} s: {stepped.error}")
        if second is not None and second.error and not second.error.startswith("LockedHomeError"):
            trial.faults.append(f"the second writer at {step} s: {second.error}")
        campaign.run_to_its_end(stage, settings, expected[stage.name], trial, kills=1)


def two_writers(campaign: KillCampaign, expected: dict[str, Expected], trial: Trial) -> None:
    """Start a second stage while the first works: one of them waits or is refused, and neither's work is lost."""
    for name in ("ingest", "mine", "retrain", "reindex", "publish"):
        stage = STAGES[name]
        settings = _fresh(campaign, stage)
        one, two = run_beside(
            campaign.work(stage, settings), _middle(expected[name]), campaign.work(stage, settings), campaign.log
        )
        _note(trial, f"{name} and {name}", one, two)
        campaign.look(settings, expected[name], trial)
        campaign.run_to_its_end(stage, settings, expected[name], trial, kills=1)
    for name in ("retrain", "publish", "reindex"):
        for ingest_first in (True, False):
            _beside_an_ingest(campaign, expected, trial, STAGES[name], ingest_first)


def _beside_an_ingest(
    campaign: KillCampaign, expected: dict[str, Expected], trial: Trial, stage: Stage, ingest_first: bool
) -> None:
    """Run a stage and an ingest of one more document at once, and what was refused once more: both must be served."""
    more = campaign.made.folder / "more"
    more.mkdir(exist_ok=True)
    (more / "one more.md").write_text(MORE, encoding="utf-8")
    settings = _fresh(campaign, stage)
    ingest = Stage("ingest", stage.after, lambda c, documents, tell: stages.ingest(c, [more], False, tell))
    # A re-index is configured first and then run: an ingest before it still has the configuration of what is served.
    before = campaign.made.settings(settings.home)
    works = [campaign.work(ingest, before if ingest_first else settings), campaign.work(stage, settings)]
    part = "after reading" if ingest_first else _middle(expected[stage.name])
    one, two = run_beside(*_turned(works, part, ingest_first), campaign.log)
    name = f"ingest and {stage.name}" if ingest_first else f"{stage.name} and ingest"
    _note(trial, name, one, two)
    for again in (stage, ingest):
        ended = run(campaign.work(again, settings), campaign.log)
        if ended.error:
            trial.faults.append(f"{name}, and then {again.name}: {ended.error}")
    seen = run(partial(_state, settings), campaign.log)
    after = expected[stage.name].after
    if seen.error:
        trial.faults.append(f"{name}: {seen.error}")
        return
    if sorted(seen.returned["documents"]) != sorted([*after["documents"], "one more.md"]):
        trial.faults.append(f"{name}: served are {sorted(seen.returned['documents'])}")
    trial.faults += [
        f"{name}: {what} is {seen.returned[what]}"
        for what in ("fusion", "encoders", "generation")
        if seen.returned[what] != after[what]
    ]


def _turned(
    works: list[Callable[[Tell], Any]], part: str, ingest_first: bool
) -> tuple[Callable[[Tell], Any], str, Callable[[Tell], Any]]:
    first, second = works if ingest_first else reversed(works)
    return first, part, second


def _note(trial: Trial, name: str, one: Ended, two: Ended | None) -> None:
    told = f"{name}: {_told(one)}; {_told(two)}"
    trial.kills.append(told)
    for ended in (one, two):
        if ended is not None and ended.error and not ended.error.startswith(TOLD):
            trial.faults.append(told)


def _middle(expected: Expected) -> str:
    parts = list(expected.parts)
    return parts[len(parts) // 2]


OTHERS: dict[str, Callable[[KillCampaign, dict[str, Expected], Trial], None]] = {
    "disk full": disk_full,
    "catalogue locked for 4 s": locked_for_a_moment,
    "catalogue locked for long": locked_for_long,
    "clock stepped": clock_stepped,
    "two writers": two_writers,
}


def try_other(name: str, campaign: KillCampaign, expected: dict[str, Expected], trial: Trial) -> None:
    """Try one of OTHERS and note in ``trial`` what was done and what went wrong."""
    started = time.monotonic()
    OTHERS[name](campaign, expected, trial)
    trial.seconds = round(time.monotonic() - started, 1)


def _fresh(campaign: KillCampaign, stage: Stage) -> Settings:
    home = campaign.trial_home
    campaign.made.copy_of(stage.after, home)
    return campaign.made.settings(home, stage.reindexed)


def _state(settings: Settings, tell: Tell) -> State:
    return state_of(settings)


def _told(ended: Ended | None) -> str:
    if ended is None:
        return "came too late"
    return ended.error[:110] or f"done in {ended.seconds:.0f} s"


def _kilobytes(folder: Path) -> int:
    return int(subprocess.run(["du", "-sk", str(folder)], check=True, capture_output=True, text=True).stdout.split()[0])


@contextmanager
def _mounted(folder: Path) -> Iterator[Path]:
    """Mount a file system of its own (ext4 in a file), as only root may, and yield where."""
    image = folder.with_suffix(".ext4")
    folder.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(SMALL_DISK)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        image.unlink()


def _fill(folder: Path, kilobytes: int) -> Path:
    """Fill a file system but for so much, and return the file that fills it."""
    subprocess.run(["sync", "-f", str(folder)], check=True)
    ballast = folder / BALLAST
    with ballast.open("wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(bytes(1 << 16)):
                pass
        with suppress(OSError):
            while file.write(bytes(1 << 10)):
                pass
        file.truncate(max(0, file.tell() - kilobytes * 1024))
        os.fsync(file.fileno())
    return ballast


def _fill_told(folder: Path, kilobytes: int, tell: Tell) -> bool:
    return _fill(folder, kilobytes).exists()


def _hold(catalogue: Path, seconds: float, tell: Tell) -> bool:
    """Hold an SQLite file's write lock."""
    connection = sqlite3.connect(catalogue, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    tell("locked", 0, 1)
    time.sleep(seconds)
    connection.execute("ROLLBACK")
    connection.close()
    return True


def _ingest_stepped(campaign: KillCampaign, home: Path, clock: Path, step: str, tell: Tell) -> bool:
    """Ingest by the command line with a clock of its own, which is stepped after some seconds."""
    environment = {
        **os.environ,
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "SPECMINE_HOME": str(home),
    }
    command = [sys.executable, "-m", "cli", "ingest", str(campaign.made.documents), "--prune", "--no-prefect", "--json"]
    command += ["--config", str(campaign.made.folder / "specmine.toml")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        lease = home / "writer.lock"
        before = lease.stat().st_mtime if lease.exists() else 0.0
        while process.poll() is None and (not lease.exists() or lease.stat().st_mtime == before):
            time.sleep(0.05)
        clock.write_text(step, encoding="utf-8")
        tell("stepped", 0, 1)
        output = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(json.loads(output)["error"] if output else f"status {process.returncode}")
    return True
