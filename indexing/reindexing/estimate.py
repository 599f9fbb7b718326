"""What a re-index would cost: its work, at the rates measured here; and how wrong that was of earlier ones.

``measured/estimates.jsonl`` below the home has, for each re-index, what was estimated before and measured after.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexing.embedding import load_encoder
from indexing.generations import (
    Generation,
    document_folder,
    norms_file,
    read_documents,
    read_generation,
    vectors_file,
)
from indexing.home import Home
from indexing.models import encoder_fingerprint
from indexing.rates import READING, Rate, Work, append, cpu_seconds, lines, peak_megabytes, rates, record
from indexing.reading import plan_generation
from indexing.reindexing.settings import ReindexSettings
from indexing.reindexing.work import ReindexWork, work_of
from indexing.releases import Release, served
from indexing.settings import IndexSettings

_FILE = "estimates.jsonl"
_TRIAL_SECONDS = 3.0  # of an encoder that was never measured here
_TRIAL_TEXTS = 8  # at a time
_BLOCK = 512  # bytes in which the file system counts (stat(2))
_MEGABYTE = 1_000_000
_GIGABYTE = 1_000_000_000
COMPARED = ("cpu_seconds", "wall_seconds", "memory_megabytes", "disk_megabytes")


@dataclass(frozen=True)
class Stage:
    """One stage of the estimate: so many units, at a rate that was measured so often."""

    stage: str
    encoder: str
    units: float
    cpu_seconds: float
    wall_seconds: float
    measured: int


@dataclass(frozen=True)
class Estimate:
    """What a re-index takes: time, the most memory, and the disk beside what is there, until older generations go.

    ``unmeasured`` names the stages that were never measured here: they are not in the sums. ``money`` has what the
    processors cost and what the disk costs each month, where prices are configured.
    """

    cpu_seconds: float
    wall_seconds: float
    memory_megabytes: float
    disk_megabytes: float
    stages: tuple[Stage, ...] = ()
    unmeasured: tuple[str, ...] = ()
    money: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the estimate as JSON-able values."""
        sums = {name: round(getattr(self, name), 1) for name in COMPARED}
        stages = [
            {**asdict(part), **{name: round(getattr(part, name), 2) for name in ("units", *COMPARED[:2])}}
            for part in self.stages
        ]
        money = {"money": {name: round(value, 4) for name, value in self.money.items()}} if self.money else {}
        return {**sums, **money, "stages": stages, "unmeasured": list(self.unmeasured)}


@dataclass(frozen=True)
class Past:
    """An earlier re-index: by what share its measured ``cpu_seconds`` … were above (+) or below (-) the estimate."""

    time: str
    generation: str
    error: dict[str, float]


def estimate_reindex(
    home: Home, settings: IndexSettings, rule: ReindexSettings, judged_queries: int = 0
) -> tuple[ReindexWork, Estimate]:
    """Return what a re-index would have to do now, and what that would take.

    It takes some seconds: documents are cut to see how, and an encoder that was never measured here is tried.
    """
    release, generation = served(home), plan_generation(home, settings)
    work = work_of(home, settings, release, generation)
    return work, _estimate(home, release, generation, work, rule, judged_queries)


def _estimate(
    home: Home,
    release: Release,
    generation: Generation,
    work: ReindexWork,
    rule: ReindexSettings,
    judged_queries: int,
) -> Estimate:
    _try_unmeasured(home, generation, work)
    known = rates(home)
    todo = [(READING, "", work.read), ("cutting", "", work.cut)]
    for part in generation.encoders:
        todo.append(("embedding", part.fingerprint, work.embed[part.spec.name].characters))
        todo.append(("vectors", part.fingerprint, work.passages))
    todo += [("writing", "", work.passages), ("checking", "", work.passages), ("judging", "", judged_queries)]
    names = {part.fingerprint: part.spec.name for part in generation.encoders}
    stages = tuple(
        _stage(stage, names.get(encoder, ""), units, known[stage, encoder])
        for stage, encoder, units in todo
        if units > 0 and (stage, encoder) in known
    )
    unmeasured = tuple(
        " ".join(filter(None, (stage, names.get(encoder, ""))))
        for stage, encoder, units in todo
        if units > 0 and (stage, encoder) not in known
    )
    cpu, wall = sum(part.cpu_seconds for part in stages), sum(part.wall_seconds for part in stages)
    memory = max((known[key[:2]].megabytes for key in todo if key[2] > 0 and key[:2] in known), default=0.0)
    disk = _disk(home, release, generation, work)
    return Estimate(cpu, wall, memory, disk / _MEGABYTE, stages, unmeasured, _money(rule, cpu, disk))


def _stage(stage: str, encoder: str, units: float, rate: Rate) -> Stage:
    return Stage(stage, encoder, units, units * rate.cpu_seconds, units * rate.wall_seconds, rate.measured)


def _money(rule: ReindexSettings, cpu_seconds: float, disk: float) -> dict[str, float]:
    money = {}
    if rule.cpu_hour_price is not None:
        money["cpu"] = cpu_seconds / 3600 * rule.cpu_hour_price
    if rule.gigabyte_month_price is not None:
        money["disk_per_month"] = disk / _GIGABYTE * rule.gigabyte_month_price
    return money


def _try_unmeasured(home: Home, generation: Generation, work: ReindexWork) -> None:
    """Measure the encoders that have texts to embed and never did here."""
    known = rates(home)
    for part in generation.encoders:
        if work.embed[part.spec.name].characters <= 0 or ("embedding", part.fingerprint) in known:
            continue
        encoder, trial = load_encoder(part, home), Work("embedding", part.fingerprint)
        deadline = time.monotonic() + _TRIAL_SECONDS
        for first in range(0, len(work.texts), _TRIAL_TEXTS):
            texts = work.texts[first : first + _TRIAL_TEXTS]
            with trial.timed(sum(map(len, texts))):
                encoder.embed_with_norms(texts)
            if time.monotonic() > deadline:
                break
        record(home, trial)


def _disk(home: Home, release: Release, generation: Generation, work: ReindexWork) -> float:
    """Return the bytes that a re-index adds: as the served content takes, by the length of its passages and vectors."""
    old = read_generation(home, release.generation)
    documents = read_documents(home, old.id, release.content).values()
    before = sum(entry.chunks for entry in documents)
    sizes = {
        part.spec.name: 4 * encoder_fingerprint(part.spec, home)[1] for part in (*old.encoders, *generation.encoders)
    }
    content = bytes_in(home.generations / old.id / "contents" / str(release.content))
    beside = max(
        0.0, content - before * sum(sizes[name] for name in old.names)
    )  # texts, keywords and what points to them
    growth = work.passages / before if before else 1.0
    store = beside * growth + work.passages * sum(sizes[name] for name in generation.names)
    vectors = sum(
        (work.passages if work.cut else part.passages) * (sizes[name] + 4) for name, part in work.embed.items()
    )
    texts = 2 * work.cut + 2 * work.characters if work.cut else 0.0  # document and text; each passage twice
    return store + vectors + texts


def bytes_in(folder: Path) -> int:
    """Return what the files below a folder take on disk."""
    return sum(path.stat().st_blocks * _BLOCK for path in folder.rglob("*") if path.is_file())


class Meter:
    """What a re-index takes from now on, of what an estimate tells."""

    def __init__(self) -> None:
        self._cpu, self._clock, self._since = cpu_seconds(), time.monotonic(), time.time()

    def read(
        self, home: Home, generation: Generation, content: int, keys: Iterable[str], reads: bool
    ) -> dict[str, float]:
        """Return the values so far, under the names of ``COMPARED``.

        ``content`` and the documents ``keys`` are what was written; ``reads`` tells whether documents were read again.
        """
        disk = bytes_in(home.generations / generation.id / "contents" / str(content))
        for key in keys:
            files = list(document_folder(home, key).glob("*"))
            for part in generation.encoders:
                files += [file(home, part.fingerprint, key) for file in (vectors_file, norms_file)]
            disk += sum(_new_bytes(path, self._since) for path in files)
        taken = (
            cpu_seconds() - self._cpu,
            time.monotonic() - self._clock,
            peak_megabytes(children=reads),
            disk / _MEGABYTE,
        )
        return dict(zip(COMPARED, taken, strict=True))


def _new_bytes(path: Path, since: float) -> int:
    """Return what a file takes on disk if it was written since a time."""
    found = path.stat() if path.exists() else None
    return found.st_blocks * _BLOCK if found and found.st_mtime >= since else 0


def keep_comparison(home: Home, generation_id: str, estimate: Estimate, actual: Mapping[str, float]) -> None:
    """Keep what a re-index was estimated at and what it took, for the next plan to tell."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "generation": generation_id,
        "estimate": {name: getattr(estimate, name) for name in COMPARED},
        "unmeasured": list(estimate.unmeasured),
        "actual": dict(actual),
    }
    append(home, _FILE, line)


def past_errors(home: Home) -> list[Past]:
    """Return how far off the estimates of earlier re-indexes were, the oldest first."""
    return [
        Past(line["time"], line["generation"], errors(line["estimate"], line["actual"])) for line in lines(home, _FILE)
    ]


def errors(estimate: Mapping[str, float], actual: Mapping[str, float]) -> dict[str, float]:
    """Return by what share the measured was above the estimated; what was estimated at nothing is left out."""
    return {name: actual[name] / estimate[name] - 1.0 for name in COMPARED if estimate[name] > 0 and name in actual}
