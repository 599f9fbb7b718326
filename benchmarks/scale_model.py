"""A model of an installation: lines through what was measured, and nights simulated one run after the other."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DAY = 86_400.0


@dataclass(frozen=True)
class Line:
    """``fixed + each * n``."""

    fixed: float
    each: float

    def __call__(self, n: float) -> float:
        """Return the value at ``n``."""
        return self.fixed + self.each * n


def through(points: Sequence[tuple[float, float]]) -> Line:
    """Return the line through two points, or nearest to more; one that would fall is flat at their mean."""
    x, y = np.array(points, dtype=float).T
    each, fixed = np.polyfit(x, y, 1)
    if each < 0:
        return Line(float(y.mean()), 0.0)
    return Line(float(fixed), float(each))


@dataclass(frozen=True)
class Installation:
    """What work takes, in processor seconds: ``read`` and ``embed`` of a passage, ``write`` of one that is new.

    ``run`` is what an ingest takes besides, which grows with the passages that are there already. Reading and embedding
    are spread over ``processors``; writing and what a run takes besides are not.
    """

    read: float
    embed: float
    write: float
    run: Line
    processors: int

    def ingest_seconds(self, passages: float, fresh: float) -> float:
        """Return how long a run takes that brings ``fresh`` passages to ``passages``."""
        return self.run(passages) + fresh * ((self.read + self.embed) / self.processors + self.write)

    def reindex_seconds(self, passages: float) -> float:
        """Return how long a re-index of everything takes with another encoder and another chunking."""
        return passages * ((self.read + self.embed) / self.processors + self.write)


@dataclass(frozen=True)
class Load:
    """What came of some days: seconds from a document's arrival until it is found, and the share that runs took."""

    median_delay: float
    p95_delay: float
    busy: float
    waiting: int  # documents of all days but the last that were not found in time

    @property
    def keeps_up(self) -> bool:
        """Whether what came in the last day but one was found by the end."""
        return self.waiting == 0


def simulate(
    installation: Installation,
    passages: float,
    changed_daily: float,
    per_document: float,
    every: float = 1800.0,
    days: int = 7,
    seed: int = 1,
) -> Load:
    """Let documents arrive and scheduled runs take them in.

    A share ``changed_daily`` of the passages is new every day, in documents of ``per_document``; nine of ten come in
    the two hours after midnight (deliveries of other systems), the others evenly. A run begins ``every`` seconds if
    the last has ended, else at once after it, and takes everything that has arrived.
    """
    random = np.random.default_rng(seed)
    number = round(passages * changed_daily / per_document)
    arrivals: list[float] = []
    for day in range(days):
        night = random.random(number) < 0.9
        arrivals += (day * DAY + np.where(night, random.random(number) * 7200, random.random(number) * DAY)).tolist()
    heapq.heapify(arrivals)
    now, busy, delays = 0.0, 0.0, []
    end = days * DAY
    while now < end:
        taken = []
        while arrivals and arrivals[0] <= now:
            taken.append(heapq.heappop(arrivals))
        if taken:
            seconds = installation.ingest_seconds(passages, len(taken) * per_document)
            busy += min(seconds, end - now)
            delays += [now + seconds - arrived for arrived in taken if now + seconds <= end]
        else:
            seconds = 0.0
        now = max(now + seconds, (now // every + 1) * every)
    found = len(delays)
    due = number * (days - 1)  # what came on the last day may still be waiting
    return Load(
        float(np.median(delays)) if delays else float("inf"),
        float(np.quantile(delays, 0.95)) if delays else float("inf"),
        busy / end,
        max(0, due - found),
    )
