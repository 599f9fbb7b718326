"""What a re-index takes while it runs: in all, and by stage, under the names that its estimate has."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from indexing.costs import READING, UNITS, judged_by
from indexing.files_in_use import bytes_in, bytes_of
from indexing.generations import Generation, document_folder, norms_file, read_generation, vectors_file
from indexing.home import Home
from indexing.rates import Work, cpu_seconds, measured_after, measurements, peak_megabytes
from indexing.releases import Release

MEGABYTE = 1_000_000
COMPARED = ("cpu_seconds", "wall_seconds", "memory_megabytes", "disk_megabytes")


@dataclass(frozen=True)
class Stage:
    """One stage: so many units (``indexing.costs.UNITS``), by the encoders that are named, or by a splitter.

    ``measured`` is how often its rate was measured, or in how many parts it was.
    """

    stage: str
    encoder: str
    units: float
    cpu_seconds: float
    wall_seconds: float
    measured: int

    def as_json(self) -> dict[str, Any]:
        """Return the stage as JSON-able values."""
        numbers = {name: round(getattr(self, name), 2) for name in ("units", "cpu_seconds", "wall_seconds")}
        return {**asdict(self), **numbers, "unit": UNITS[self.stage]}


@dataclass(frozen=True)
class Taken:
    """What a re-index took: ``sums`` under the names of ``COMPARED``, and its stages.

    The stages do not add up to the sums: what is between them (lists that are read and written, the catalogue) is in
    no stage.
    """

    sums: dict[str, float]
    stages: tuple[Stage, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        sums = {name: round(value, 1) for name, value in self.sums.items()}
        return {**sums, "stages": [part.as_json() for part in self.stages]}


class Meter:
    """What a re-index of ``release`` to ``generation`` takes from now on."""

    def __init__(self, home: Home, release: Release, generation: Generation) -> None:
        self._home, self._generation = home, generation
        self._names = stage_names(home, release, generation)
        self._measurements = measurements(home)
        self._cpu, self._clock, self._since = cpu_seconds(), time.monotonic(), time.time()

    def read(self, content: int, keys: Iterable[str]) -> Taken:
        """Return what was taken so far; ``content`` and the documents ``keys`` are what was written."""
        disk = bytes_in(self._home.generations / self._generation.id / "contents" / str(content))
        for key in keys:
            files = list(document_folder(self._home, key).glob("*"))
            for part in self._generation.encoders:
                files += [file(self._home, part.fingerprint, key) for file in (vectors_file, norms_file)]
            disk += sum(_new_bytes(path, self._since) for path in files)
        works = measured_after(self._home, self._measurements)
        megabytes = peak_megabytes(children=any(work.stage == READING for work in works))
        taken = (  # what workers in other processes did is in the stages alone
            max(cpu_seconds() - self._cpu, sum(work.cpu_seconds for work in works)),
            time.monotonic() - self._clock,
            max(megabytes, *(work.megabytes for work in works)) if works else megabytes,
            disk / MEGABYTE,
        )
        return Taken(dict(zip(COMPARED, taken, strict=True)), self._stages(works))

    def _stages(self, works: Iterable[Work]) -> tuple[Stage, ...]:
        parts: dict[tuple[str, str], list[Work]] = {}
        for work in works:
            parts.setdefault((work.stage, self._names.get(work.by, work.by)), []).append(work)
        return tuple(
            Stage(
                *key,
                sum(work.units for work in found),
                sum(work.cpu_seconds for work in found),
                sum(work.wall_seconds for work in found),
                len(found),
            )
            for key, found in parts.items()
        )


def stage_names(home: Home, release: Release, generation: Generation) -> dict[str, str]:
    """Return the encoders' names by what measurements call them, alone and together."""
    names = {}
    for one in (read_generation(home, release.generation), generation):
        names.update({part.fingerprint: part.spec.name for part in one.encoders})
        names[judged_by([part.fingerprint for part in one.encoders], release.reranker)] = ", ".join(one.names)
    return names


def _new_bytes(path: Path, since: float) -> int:
    """Return what a file takes on disk if it was written since a time."""
    found = path.stat() if path.exists() else None
    return bytes_of(found) if found and found.st_mtime >= since else 0
