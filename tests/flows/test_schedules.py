from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from flows.schedules import Schedule, Schedules


def read(table: dict[str, object]) -> dict[str, Schedule]:
    return TypeAdapter(Schedules).validate_python(table).by_flow()


def test_a_line_is_cron() -> None:
    assert read({"ingest": "*/30 * * * *"}) == {"ingest": Schedule(cron="*/30 * * * *")}


def test_tables_and_order() -> None:
    schedules = read(
        {
            "mine": {"interval": 60, "parameters": {"x": 1}},
            "ingest": {"rrule": "FREQ=WEEKLY;BYDAY=SU;BYHOUR=3", "timezone": "Asia/Tokyo", "paused": True},
        }
    )
    assert list(schedules) == ["ingest", "mine"]
    assert schedules["mine"] == Schedule(interval=60.0, parameters={"x": 1})
    assert schedules["ingest"].timezone == "Asia/Tokyo"
    assert schedules["ingest"].paused


@pytest.mark.parametrize(
    "line", ["* * * * *", "0 1 * * mon-fri", "5,10 */2 1-7 jan *", "@daily", "*/5 * * * * *", "0 0 L * *"]
)
def test_cron_lines(line: str) -> None:
    assert read({"mine": line})["mine"].cron == line


@pytest.mark.parametrize(
    "table",
    [
        "every day",
        "* * * *",
        "* * * * * * *",
        "",
        {},
        {"interval": 0},
        {"interval": -1},
        {"interval": float("nan")},
        {"interval": 1e9},
        {"rrule": "WEEKLY"},
        {"cron": "* * * * *", "timezone": "Middle/Earth"},
        {"cron": "* * * * *", "rrule": "FREQ=DAILY"},
        3,
    ],
)
def test_what_is_no_schedule_is_refused(table: object) -> None:
    with pytest.raises(ValidationError):
        read({"mine": table})
