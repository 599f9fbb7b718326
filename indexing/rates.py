"""What work takes on this installation: measured at every ingest and re-index, and read by the plan of the next one.

``measured/rates.jsonl`` below the home has one line for each stage of each run. What a stage counts stands in
``indexing.costs``.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from indexing.costs import COMPARABLE, READING, UNITS
from indexing.home import Home

_FILE = "rates.jsonl"
_LATEST = 50  # measurements of a stage that are looked at: what was long ago was perhaps another machine
_LARGEST = 5  # of them count: a small one tells how long it takes to begin


@dataclass
class Work:
    """A stage while it is measured: how many ``units`` were done, in how many seconds of all processors and of a clock.

    ``by`` names what did it, where its time depends on that: an encoder's fingerprint, a splitter.
    ``megabytes`` is the most memory that the process which did it ever held.
    """

    stage: str
    by: str = ""
    units: float = 0.0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    megabytes: float = 0.0

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
            self.megabytes = peak_megabytes(children=self.stage == READING)

    def without(self, part: Work) -> Work:
        """Return this work without the time of a part of it."""
        cpu, wall = self.cpu_seconds - part.cpu_seconds, self.wall_seconds - part.wall_seconds
        return replace(self, cpu_seconds=max(0.0, cpu), wall_seconds=max(0.0, wall))


@dataclass(frozen=True)
class Rate:
    """What a unit of a stage takes, in seconds; ``megabytes`` is the most memory that was seen until its end.

    ``measured`` counts the measurements that it is the mean of, large ones counting more.
    """

    cpu_seconds: float
    wall_seconds: float
    megabytes: float
    measured: int


Rates = Mapping[tuple[str, str | None], Rate]
"""Rates by stage and what did it."""


def record(home: Home, work: Work) -> None:
    """Keep what a stage took; nothing where it had nothing to do."""
    if work.units <= 0:
        return
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    unit, megabytes = UNITS[work.stage], max(work.megabytes, peak_megabytes(children=work.stage == READING))
    line = {"time": moment, "process": os.getpid(), **asdict(work), "unit": unit, "megabytes": megabytes}
    append(home, _FILE, line)


def together(parts: Iterable[Work], wall_seconds: float) -> list[Work]:
    """Return the work of several processes by stage; ``wall_seconds`` is what all of it took by the clock.

    Of that each stage has its share of what the processes took by their own clocks.
    """
    found: dict[str, Work] = {}
    for part in parts:
        whole = found.setdefault(part.stage, Work(part.stage, part.by))
        whole.units += part.units
        whole.cpu_seconds += part.cpu_seconds
        whole.wall_seconds += part.wall_seconds
        whole.megabytes = max(whole.megabytes, part.megabytes)
    clocks = sum(work.wall_seconds for work in found.values()) or 1.0
    return [replace(work, wall_seconds=work.wall_seconds * wall_seconds / clocks) for work in found.values()]


@contextmanager
def measured_together(home: Home) -> Iterator[list[Work]]:
    """Yield a list for the work of several processes; if the block ends without error, keep what its stages took."""
    took: list[Work] = []
    started = time.monotonic()
    yield took
    for work in together(took, time.monotonic() - started):
        record(home, work)


def rates(home: Home) -> Rates:
    """Return the rates by stage and what did it, of the largest among the latest measurements of each.

    Stages that are ``COMPARABLE`` have one more, of all that did it, under the stage and None.
    """
    found: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for line in lines(home, _FILE):
        if line.get("unit") == UNITS.get(line["stage"]):
            for key in [line["by"], *([None] if line["stage"] in COMPARABLE else [])]:
                found.setdefault((line["stage"], key), []).append(line)
    return {
        key: _mean(sorted(measured[-_LATEST:], key=lambda line: line["units"])[-_LARGEST:])
        for key, measured in found.items()
    }


def rate_of(known: Rates, stage: str, by: str) -> Rate | None:
    """Return the rate of a stage by what does it, or by anything where that is comparable; None where neither is."""
    return known.get((stage, by)) or known.get((stage, None))


def measurements(home: Home) -> int:
    """Return how many measurements there are; ``measured_after`` returns those that came since."""
    return len(lines(home, _FILE))


def measured_after(home: Home, count: int) -> list[Work]:
    """Return what this process measured after the first ``count`` measurements, in order."""
    names = [field.name for field in fields(Work)]
    return [
        Work(**{name: line[name] for name in names})
        for line in lines(home, _FILE)[count:]
        if line.get("process") == os.getpid()
    ]


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
