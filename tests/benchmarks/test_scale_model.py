"""The model of larger installations, where arithmetic says what it must say."""

from __future__ import annotations

import pytest

from benchmarks.scale_model import DAY, Installation, Line, simulate, through


def test_a_line_through_what_was_measured() -> None:
    line = through([(1000, 3.0), (4000, 9.0)])
    assert line(16_000) == pytest.approx(1 + 16_000 * 2 / 1000)
    assert through([(1000, 5.0), (4000, 3.0)]) == Line(4.0, 0.0)


def test_processors_share_what_can_be_shared() -> None:
    one = Installation(read=0.1, embed=0.3, write=0.05, run=Line(2.0, 0.001), processors=1)
    four = Installation(read=0.1, embed=0.3, write=0.05, run=Line(2.0, 0.001), processors=4)
    assert one.reindex_seconds(1000) == pytest.approx(1000 * 0.45)
    assert four.reindex_seconds(1000) == pytest.approx(1000 * (0.4 / 4 + 0.05))
    assert four.ingest_seconds(1000, 20) == pytest.approx(2 + 1 + 20 * (0.4 / 4 + 0.05))


def test_what_comes_waits_for_half_of_the_time_between_runs() -> None:
    quick = Installation(0.0, 0.0, 0.0, Line(60.0, 0.0), processors=1)
    load = simulate(quick, passages=1e6, changed_daily=0.1, per_document=20, every=1800)  # every run finds some
    assert load.keeps_up
    # A document comes at any moment between two runs, so that it waits for half of that time, and for its run.
    assert load.median_delay == pytest.approx(1800 / 2 + 60, rel=0.1)
    assert load.p95_delay <= 1800 + 60
    assert load.busy == pytest.approx(48 * 60 / DAY, rel=0.05)


def test_too_much_is_told() -> None:
    slow = Installation(read=0.0, embed=0.5, write=0.0, run=Line(1.0, 0.0), processors=1)
    load = simulate(slow, passages=1e8, changed_daily=0.005, per_document=20)  # 250,000 s of work every day
    assert not load.keeps_up
    assert load.busy > 0.99
    assert simulate(slow, 1e8, 0.005, 20) == load
