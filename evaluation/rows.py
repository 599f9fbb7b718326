"""Rows as the catalogue keeps them: written and deleted many at once, times and values as text.

Times are ISO 8601 in UTC, with milliseconds and ``Z``: they sort as text.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

BATCH = 500  # ids in one statement: old SQLite takes 999


def insert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows into a table; none is no statement."""
    if rows:
        connection.execute(sa.insert(table), rows)


def delete_where_in(connection: Connection, table: sa.Table, column: sa.Column[str], ids: list[str]) -> None:
    """Delete the rows of which a column has one of these values."""
    for first in range(0, len(ids), BATCH):
        connection.execute(sa.delete(table).where(column.in_(ids[first : first + BATCH])))


def as_json(values: dict[str, Any]) -> str:
    """Return values as JSON text. Raises ``ValueError`` for numbers that JSON does not have."""
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def as_iso(time: datetime) -> str:
    """Return a time as text. Raises ``ValueError`` where it does not know its time zone."""
    if time.tzinfo is None:
        raise ValueError("the time must know its time zone")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
