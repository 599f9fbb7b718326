"""Progress in words, on the command line and in the log of a run: how fast a stage goes, and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

# What counts is the speed of the last so many seconds: batches are not alike.
_WINDOW_SECONDS = 60.0


class Pace:
    """The speed of each stage, by what it was told to be done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, deque[tuple[float, int]]] = {}

    def __call__(self, stage: str, done: int, total: int) -> str:
        """Return the rate and the time left, as in "12.5/s, 3 min left"; nothing while that is not known.

        What was done when a stage is told of for the first time was done before: a resumed one is no faster for it.
        """
        now = self._clock()
        told = self._told.setdefault(stage, deque())
        told.append((now, done))
        while len(told) > 2 and told[1][0] <= now - _WINDOW_SECONDS:
            told.popleft()
        since, before = told[0]
        if done <= before or now <= since:
            return ""
        rate = (done - before) / (now - since)
        return ", ".join([_rate(rate), *([_left((total - done) / rate)] if done < total else [])])


class ProgressLines:
    """The lines that tell of progress: the first and the last of each stage, and one every ``seconds`` between."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._pace = Pace(clock)
        self._last: dict[str, tuple[float, int, int]] = {}

    def __call__(self, stage: str, done: int, total: int) -> str | None:
        """Return the line to write now; None where none is due, or where it was written already."""
        now = self._clock()
        pace = self._pace(stage, done, total)
        if stage in self._last:
            then, *told = self._last[stage]
            # The end may be told by a stage and by its last part.
            if told == [done, total] or (done < total and now - then < self._seconds):
                return None
        self._last[stage] = now, done, total
        return ", ".join(filter(None, (f"{stage}: {done} of {total}", pace)))


def _rate(per_second: float) -> str:
    if per_second >= 10:
        return f"{per_second:.0f}/s"
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{60 * per_second:.1f}/min"


def _left(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left" if seconds < 6000 else f"{seconds / 3600:.1f} h left"
