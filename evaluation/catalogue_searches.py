"""The log of searches in the catalogue: what was shown, what was done with it, and when it is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from evaluation import tables
from evaluation.database import Database
from evaluation.rows import as_iso, insert
from evaluation.searches import Event, Search, Shown

_SEARCH_FIELDS = [column.name for column in tables.searches.c]


class SearchLog(Database):
    """The log of searches."""

    def record_search(self, search: Search, keep_days: int) -> None:
        """Log a search, and forget those that are more than ``keep_days`` old; with 0 nothing is kept."""
        with self.write() as connection:
            if keep_days:
                insert(connection, tables.searches, [{name: getattr(search, name) for name in _SEARCH_FIELDS}])
                rows = [{name: getattr(passage, name) for name in Shown.__slots__} for passage in search.shown]
                insert(connection, tables.shown, [{"search": search.id, **row} for row in rows])
            _forget(connection, keep_days)

    def record_event(self, search: str, rank: int, event: Event) -> bool:
        """Record what was done with the passage of this rank; return whether the log has such a search and passage.

        Of what was said of a passage, that it is right or wrong, the last counts; that it was opened stays.
        """
        shown = tables.shown
        said: dict[str, Any] = {"opened": True}
        if event != "opened":
            verdict = None if event == "withdrawn" else event
            said = {"verdict": verdict, "judged": as_iso(datetime.now(UTC)) if verdict else None}
        statement = sa.update(shown).where(shown.c.search == search, shown.c.rank == rank).values(said)
        with self.write() as connection:
            return connection.execute(statement).rowcount > 0

    def forget_searches(self, keep_days: int) -> int:
        """Forget the searches that are more than ``keep_days`` old, with 0 all; return how many they were."""
        with self.write() as connection:
            return _forget(connection, keep_days)

    def searches(self, limit: int | None = None, with_feedback: bool = False) -> list[Search]:
        """Return the latest searches, newest first; ``with_feedback`` only those in which something was done."""
        searches, shown = tables.searches, tables.shown
        wanted = sa.select(searches).order_by(searches.c.time.desc(), searches.c.id).limit(limit)
        if with_feedback:
            acted = sa.select(shown.c.search).where(shown.c.opened | shown.c.verdict.is_not(None))
            wanted = wanted.where(searches.c.id.in_(acted))
        with self.read() as connection:
            found = connection.execute(wanted).mappings().all()
            ids = sa.select(wanted.subquery().c.id)
            passages: dict[str, list[Shown]] = {row["id"]: [] for row in found}
            listed = sa.select(shown).where(shown.c.search.in_(ids)).order_by(shown.c.search, shown.c.rank)
            for row in connection.execute(listed).mappings():
                if row["search"] in passages:  # PostgreSQL may have let another program write in between
                    passages[row["search"]].append(Shown(**{name: row[name] for name in Shown.__slots__}))
        return [Search(**row, shown=tuple(passages[row["id"]])) for row in found]

    def count_searches(self) -> int:
        """Return how many searches are logged."""
        with self.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(tables.searches)) or 0


def _forget(connection: Connection, keep_days: int) -> int:
    before = tables.searches.c.time < as_iso(datetime.now(UTC) - timedelta(days=keep_days))
    statement = sa.delete(tables.searches)
    return connection.execute(statement.where(before) if keep_days else statement).rowcount
