"""What runs leave in the catalogue: that they ran and how they ended, what they have done once, and measures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from evaluation import tables
from evaluation.database import Database
from evaluation.judgements import check_split
from evaluation.rows import as_iso, as_json, insert


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run of a stage. ``started`` is ISO 8601 UTC; ``summary`` is what the stage reported."""

    id: int
    stage: str
    status: str
    started: str
    seconds: float
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunTotal:
    """All logged runs of a stage that ended alike: number and seconds; start (ISO 8601) and seconds of the last."""

    stage: str
    status: str
    number: int
    seconds: float
    last_started: str
    last_seconds: float


@dataclass(frozen=True, slots=True)
class MeasureRecord:
    """The mean measures of one run (``bm25``, ``fusion``, …) of one release on one split at one time."""

    time: str
    release: str
    split: str
    run: str
    values: dict[str, float]


class RunLog(Database):
    """The logs of runs and of measures."""

    def record_run(self, stage: str, status: str, started: datetime, seconds: float, summary: Mapping[str, Any]) -> int:
        """Log one run of a stage and return its number. ``started`` must know its time zone (``ValueError``)."""
        values = run_row(stage, status, started, seconds, summary)
        with self.write() as connection:
            statement = sa.insert(tables.runs).values(values).returning(tables.runs.c.id)
            return int(connection.scalars(statement).one())

    def last_runs(self, limit: int = 50) -> list[RunRecord]:
        """Return the latest runs, newest first."""
        statement = sa.select(tables.runs).order_by(tables.runs.c.started.desc(), tables.runs.c.id.desc()).limit(limit)
        with self.read() as connection:
            rows = connection.execute(statement).all()
        return [RunRecord(r.id, r.stage, r.status, r.started, r.seconds, json.loads(r.summary)) for r in rows]

    def run_totals(self) -> list[RunTotal]:
        """Return, for each stage and status, how many runs there were, their seconds, and the latest of them."""
        runs = tables.runs.c
        sums = (
            sa.select(
                runs.stage,
                runs.status,
                sa.func.count().label("number"),
                sa.func.sum(runs.seconds).label("seconds"),
                sa.func.max(runs.id).label("last"),
            )
            .group_by(runs.stage, runs.status)
            .subquery()
        )
        latest = sa.select(sums, runs.started, runs.seconds.label("took")).join(tables.runs, runs.id == sums.c.last)
        with self.read() as connection:
            rows = connection.execute(latest.order_by(sums.c.stage, sums.c.status)).all()
        return [RunTotal(r.stage, r.status, r.number, r.seconds, r.started, r.took) for r in rows]

    def done_by(self, key: str) -> str | None:
        """Return the run that has done what ``key`` stands for, None where none has."""
        with self.read() as connection:
            return connection.scalar(sa.select(tables.done.c.flow_run).where(tables.done.c.key == key))

    def record_done(self, key: str, flow_run: str) -> None:
        """Record that a run has done what ``key`` stands for, where none has before; forget what is a year old."""
        now = datetime.now(UTC)
        with self.write() as connection:
            connection.execute(sa.delete(tables.done).where(tables.done.c.time < as_iso(now - timedelta(days=366))))
            known = connection.scalar(sa.select(tables.done.c.key).where(tables.done.c.key == key))
            if known is None:
                insert(connection, tables.done, [{"key": key, "flow_run": flow_run, "time": as_iso(now)}])

    def record_measures(self, release: str, split: str, runs: Mapping[str, Mapping[str, float]]) -> None:
        """Add the mean measures (run name → measure → value) of a release on a split; earlier ones are kept."""
        check_split(split)
        now = as_iso(datetime.now(UTC))
        rows = [
            {"time": now, "release": release, "split": split, "run": run, "values": as_json(dict(values))}
            for run, values in runs.items()
        ]
        with self.write() as connection:
            insert(connection, tables.measures, rows)

    def measures(self) -> list[MeasureRecord]:
        """Return all measures ever recorded, oldest first."""
        with self.read() as connection:
            rows = connection.execute(sa.select(tables.measures).order_by(tables.measures.c.id)).mappings().all()
        return [
            MeasureRecord(row["time"], row["release"], row["split"], row["run"], json.loads(row["values"]))
            for row in rows
        ]


def run_row(stage: str, status: str, started: datetime, seconds: float, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run as the log keeps it. Raises ``ValueError`` where ``started`` knows no time zone."""
    return {
        "stage": stage,
        "status": status,
        "started": as_iso(started),
        "seconds": float(seconds),
        "summary": as_json(dict(summary)),
    }
