"""The speed of a stage, and the time left, as arithmetic."""

from __future__ import annotations

import pytest

from flows.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace("searching", 0, 640) == ""
    clock.now += 4
    assert pace("searching", 128, 640) == "32/s, 16 s left"  # 128 in 4 s; 512 to go
    clock.now += 4
    assert pace("searching", 640, 640) == "80/s"  # 640 in 8 s
    assert pace("cross-encoder", 0, 9) == ""  # another stage


def test_what_was_done_before_makes_a_resumed_stage_no_faster() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace("cross-encoder", 9000, 12_600) == ""
    clock.now += 10
    assert pace("cross-encoder", 9030, 12_600) == "3.0/s, 20 min left"  # 3,570 at 3/s


def test_only_the_last_minute_counts() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace("cross-encoder", 0, 1000)
    for second, done in ((30, 10), (60, 20), (90, 50), (120, 80)):
        clock.now = 1000.0 + second
        said = pace("cross-encoder", done, 1000)
    assert said == "1.0/s, 15 min left"  # 60 in the last 60 s, 920 to go


@pytest.mark.parametrize(
    ("done", "seconds", "said"),
    [(1, 4, "15.0/min, 4.4 h left"), (1, 40, "1.5/min, 43.7 h left"), (3930, 10, "393/s, 0 s left")],
)
def test_slow_and_fast(done: int, seconds: float, said: str) -> None:
    clock = Clock()
    pace = Pace(clock)
    pace("x", 0, 3931)
    clock.now += seconds
    assert pace("x", done, 3931) == said
