"""What a re-index would cost: its work, at the rates measured here; and how wrong that was of earlier ones.

``measured/estimates.jsonl`` below the home has, for each re-index, what was estimated before and measured after.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from indexing.costs import (
    CHECKING,
    CUTTING,
    EMBEDDING,
    JUDGING,
    LOADING,
    READING,
    VECTORS,
    WRITING,
    checking_units,
    judged_by,
    judging_units,
    writing_units,
)
from indexing.embedding import load_encoder
from indexing.files_in_use import bytes_in
from indexing.generations import Generation, read_documents, read_generation
from indexing.home import Home
from indexing.models.fingerprints import encoder_fingerprint
from indexing.rates import Work, append, lines, rate_of, rates, record
from indexing.reading import plan_generation
from indexing.reindexing.meter import COMPARED, MEGABYTE, Stage, Taken, stage_names
from indexing.reindexing.settings import ReindexSettings
from indexing.reindexing.work import ReindexWork, work_of
from indexing.releases import Release, served
from indexing.settings import IndexSettings

_FILE = "estimates.jsonl"
_TRIAL_SECONDS = 3.0  # of an encoder that was never measured here
_TRIAL_TEXTS = 8  # at a time
_GIGABYTE = 1_000_000_000


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
        stages = [part.as_json() for part in self.stages]
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
    todo = _todo(home, release, generation, work, judged_queries)
    known, names = rates(home), stage_names(home, release, generation)
    found = {key: rate for key in todo if (rate := rate_of(known, *key))}
    stages = tuple(
        Stage(stage, names.get(by, by), units, units * rate.cpu_seconds, units * rate.wall_seconds, rate.measured)
        for (stage, by), units in todo.items()
        if (rate := found.get((stage, by)))
    )
    unmeasured = tuple(
        " ".join(filter(None, (stage, names.get(by, by)))) for stage, by in todo if (stage, by) not in found
    )
    cpu, wall = sum(part.cpu_seconds for part in stages), sum(part.wall_seconds for part in stages)
    memory = max((rate.megabytes for rate in found.values()), default=0.0)
    disk = _disk(home, release, generation, work)
    return Estimate(cpu, wall, memory, disk / MEGABYTE, stages, unmeasured, _money(rule, cpu, disk))


def _todo(
    home: Home, release: Release, generation: Generation, work: ReindexWork, judged_queries: int
) -> dict[tuple[str, str], float]:
    """Return the units of every stage that has something to do, by stage and what does it."""
    todo: defaultdict[tuple[str, str], float] = defaultdict(float)
    todo[READING, ""] = work.read
    todo[CUTTING, generation.chunk_settings["splitter"]] = work.cut - work.read
    for part in generation.encoders:
        embed = work.embed[part.spec.name]
        todo[LOADING, part.fingerprint] = float(embed.tokens > 0)
        todo[EMBEDDING, part.fingerprint] = embed.tokens
        todo[VECTORS, ""] += embed.compared
    dimensions = [encoder_fingerprint(part.spec, home)[1] for part in generation.encoders]
    todo[WRITING, ""] = writing_units(work.passages, work.characters, sum(dimensions))
    todo[CHECKING, ""] = checking_units(work.passages, dimensions)
    for one in (read_generation(home, release.generation), generation):
        by = judged_by([part.fingerprint for part in one.encoders], release.reranker)
        todo[JUDGING, by] += judging_units(judged_queries, len(one.encoders))
    return {key: units for key, units in todo.items() if units > 0}


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
        if work.embed[part.spec.name].tokens <= 0 or (EMBEDDING, part.fingerprint) in known:
            continue
        loading, trial = (Work(stage, part.fingerprint) for stage in (LOADING, EMBEDDING))
        with loading.timed(1):
            encoder = load_encoder(part, home)
        deadline = time.monotonic() + _TRIAL_SECONDS
        for first in range(0, len(work.texts), _TRIAL_TEXTS):
            some = work.texts[first : first + _TRIAL_TEXTS]
            with trial.timed(sum(tokens for _, tokens in some)):
                encoder.embed_with_norms([text for text, _ in some])
            if time.monotonic() > deadline:
                break
        record(home, loading)
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


def keep_comparison(home: Home, generation_id: str, estimate: Estimate, taken: Taken) -> None:
    """Keep what a re-index was estimated at and what it took, for the next plan to tell."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "generation": generation_id,
        "estimate": {name: getattr(estimate, name) for name in COMPARED},
        "unmeasured": list(estimate.unmeasured),
        "actual": taken.sums,
        "stages": {"estimate": _seconds(estimate.stages), "actual": _seconds(taken.stages)},
    }
    append(home, _FILE, line)


def _seconds(stages: Iterable[Stage]) -> dict[str, float]:
    """Return the processor seconds of each stage."""
    return {" ".join(filter(None, (part.stage, part.encoder))): round(part.cpu_seconds, 2) for part in stages}


def past_errors(home: Home) -> list[Past]:
    """Return how far off the estimates of earlier re-indexes were, the oldest first."""
    return [
        Past(line["time"], line["generation"], errors(line["estimate"], line["actual"])) for line in lines(home, _FILE)
    ]


def errors(estimate: Mapping[str, float], actual: Mapping[str, float]) -> dict[str, float]:
    """Return by what share the measured was above the estimated; what was estimated at nothing is left out."""
    return {name: actual[name] / estimate[name] - 1.0 for name in COMPARED if estimate[name] > 0 and name in actual}
