"""What work takes on this installation: measured at every ingest and re-index, and read by the plan of the next one.

``measured/rates.jsonl`` below the home has one line for each stage of each run. A stage counts what it takes its time
for: characters of text that are read, cut or embedded, passages that are written or checked.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from indexing.home import Home

_FILE = "rates.jsonl"
READING = "reading"
"""The stage that other processes do."""
_LATEST = 50  # measurements of a stage that are looked at: what was long ago was perhaps another machine
_LARGEST = 5  # of them count: a small one tells how long it takes to begin


@dataclass
class Work:
    """A stage while it is measured: how many ``units`` were done, in how many seconds of all processors and of a clock.

    ``encoder`` is the fingerprint of the encoder that did it, empty where none did.
    """

    stage: str
    encoder: str = ""
    units: float = 0.0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0

    @contextmanager
    def timed(self, units: float) -> Iterator[None]:
        """Add the time of the block and, if it ends without error, its units."""
        cpu, clock = cpu_seconds(), time.monotonic()
        try:
            yield
            self.units += units
        finally:
            self.cpu_seconds += cpu_seconds() - cpu
            self.wall_seconds += time.monotonic() - clock

    def without(self, part: Work) -> Work:
        """Return this work without the time of a part of it."""
        cpu, wall = self.cpu_seconds - part.cpu_seconds, self.wall_seconds - part.wall_seconds
        return Work(self.stage, self.encoder, self.units, max(0.0, cpu), max(0.0, wall))


@dataclass(frozen=True)
class Rate:
    """What a unit of a stage takes, in seconds; ``megabytes`` is the most memory that was seen until its end.

    ``measured`` counts the measurements that it is the mean of, large ones counting more.
    """

    cpu_seconds: float
    wall_seconds: float
    megabytes: float
    measured: int


def record(home: Home, work: Work) -> None:
    """Keep what a stage took; nothing where it had nothing to do."""
    if work.units <= 0:
        return
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    line = {"time": moment, **asdict(work), "megabytes": peak_megabytes(children=work.stage == READING)}
    append(home, _FILE, line)


def rates(home: Home) -> dict[tuple[str, str], Rate]:
    """Return the rates by stage and encoder, of the largest among the latest measurements of each."""
    by_stage: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines(home, _FILE):
        by_stage.setdefault((line["stage"], line["encoder"]), []).append(line)
    return {
        key: _mean(sorted(found[-_LATEST:], key=lambda line: line["units"])[-_LARGEST:])
        for key, found in by_stage.items()
    }


def _mean(found: list[dict[str, Any]]) -> Rate:
    units = sum(line["units"] for line in found)
    cpu, wall = (sum(line[name] for line in found) / units for name in ("cpu_seconds", "wall_seconds"))
    return Rate(cpu, wall, max(line["megabytes"] for line in found), len(found))


def cpu_seconds() -> float:
    """Return the processor time of this process and of those of its children that ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def peak_megabytes(children: bool) -> float:
    """Return the most memory that this process ever held, with or without the largest of its ended ``children``."""
    mine, theirs = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round((mine + theirs * children) / 1024, 1)


def append(home: Home, name: str, line: dict[str, Any]) -> None:
    """Add a line to a file of measurements, at once, so that those of two processes do not mix."""
    with (home.measured / name).open("ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")


def lines(home: Home, name: str) -> list[dict[str, Any]]:
    """Return the lines of a file of measurements, oldest first, but for those that a full disk cut short."""
    path = home.measured / name
    found = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    return found
