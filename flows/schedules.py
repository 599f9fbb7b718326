"""When flows run, as written in the table ``[schedules]``: a cron line, or a table with cron, interval or rrule."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

from pydantic import BeforeValidator

# Five fields, or six with seconds; names of days and months, ranges, steps and lists. Prefect checks the values.
_CRON = re.compile(r"@(?:yearly|annually|monthly|weekly|daily|midnight|hourly)|[\w*/,#?-]+(?: +[\w*/,#?-]+){4,5}")
_RRULE = re.compile(r"(?:[A-Z]+[:=].*\s)*(?:RRULE:)?FREQ=[A-Z]+(?:;[A-Z]+=[^;\s]+)*", re.DOTALL)


@dataclass(frozen=True)
class Schedule:
    """When one flow runs: exactly one of ``cron``, ``interval`` (seconds) and ``rrule`` (RFC 5545).

    ``timezone`` is an IANA name, UTC where empty (intervals know none). ``parameters`` are given to the scheduled runs.
    ``paused`` registers the schedule without letting it run.
    """

    cron: str | None = None
    interval: float | None = None
    rrule: str | None = None
    timezone: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    paused: bool = False

    def __post_init__(self) -> None:
        given = [name for name in ("cron", "interval", "rrule") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of cron, interval and rrule is wanted, not {', '.join(given) or 'none'}")
        if self.cron is not None and not _CRON.fullmatch(self.cron.strip()):
            raise ValueError(f"{self.cron!r} is no cron line: five fields such as '*/30 * * * *' are wanted")
        if self.interval is not None and not 1 <= self.interval <= 366 * 24 * 3600:
            raise ValueError(f"interval must be 1 second to 366 days, in seconds, not {self.interval:g}")
        if self.rrule is not None and not _RRULE.fullmatch(self.rrule.strip()):
            raise ValueError(f"{self.rrule!r} is no recurrence rule such as 'FREQ=WEEKLY;BYDAY=SU;BYHOUR=3'")
        if self.timezone is not None and self.timezone not in zoneinfo.available_timezones():
            raise ValueError(f"unknown timezone {self.timezone!r}; use an IANA name such as 'Europe/Berlin'")


def _from_line(value: Any) -> Any:
    """Read a bare string as a cron line."""
    return {"cron": value} if isinstance(value, str) else value


Scheduled = Annotated[Schedule | None, BeforeValidator(_from_line)]


@dataclass(frozen=True)
class Schedules:
    """The schedule of each flow; flows without one run when they are asked for."""

    ingest: Scheduled = None
    inbox: Scheduled = None
    evaluate: Scheduled = None
    mine: Scheduled = None
    retrain: Scheduled = None
    retrain_reranker: Scheduled = None
    reindex: Scheduled = None
    lifecycle: Scheduled = None
    compare_chunking: Scheduled = None
    generate: Scheduled = None
    monitor: Scheduled = None
    sweep: Scheduled = None
    ablate: Scheduled = None

    def by_flow(self) -> dict[str, Schedule]:
        """Return the schedules there are, by the flow's name."""
        every = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: schedule for name, schedule in every.items() if schedule is not None}
