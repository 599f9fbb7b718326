"""What a command tells while it works."""

from __future__ import annotations

import pytest

from cli.session import Session
from flows.pace import ProgressLines
from tests.flows.test_pace import Clock


def test_progress_lines_tell_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("cli.session.ProgressLines", lambda seconds: ProgressLines(seconds, clock))
    with Session().progress() as tell:
        tell("searching", 0, 300)
        clock.now += 2
        tell("searching", 100, 300)  # too soon after the last line
        clock.now += 4
        tell("searching", 200, 300)
        clock.now += 2
        tell("searching", 300, 300)
        tell("searching", 300, 300)  # the last part has ended, and with it the stage
        tell("fusing", 0, 0)
        tell("fusing", 0, 0)
    assert capsys.readouterr().err.splitlines() == [
        "searching: 0 of 300",
        "searching: 200 of 300, 33/s, 3 s left",
        "searching: 300 of 300, 38/s",
        "fusing: 0 of 0",
    ]
