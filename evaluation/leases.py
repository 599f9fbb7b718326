"""Leases in the catalogue: who is at work, and for how long that is believed without a sign of life.

A lease is taken, renewed and given back; one whose holder gave no sign of life before it expired, or is known to have
ended, is taken over. Every taking counts the token of the name up. Whoever holds an older token is refused, so that a
writer that slept through its lease cannot publish over the work of the one that took its place.

Times are the database's, so that machines need not agree. A clock that is set back cannot make a lease last: one that
expires later than it could is expired.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from evaluation import tables
from evaluation.catalogue import Catalogue
from evaluation.catalogue_runs import run_row
from evaluation.database import CatalogueError
from evaluation.processes import Process, is_gone, this_process

SECONDS = 60.0
"""How long a holder is believed to be at work after its last sign of life."""

_RUN = "run "  # what names of leases begin with that stand for one run of a stage
_LEASES = tables.leases


class LeaseError(Exception):
    """A lease is held by another, or was taken over. One line."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it was when it was taken or looked at. ``since`` and ``expires`` are seconds since 1970.

    ``token`` counts how often a lease of this name was taken. ``flow_run`` is the orchestrator's id of the run, where
    there is one.
    """

    name: str
    token: int
    host: str
    process: str
    stage: str
    flow_run: str | None
    since: float
    expires: float
    seconds: float

    def __str__(self) -> str:
        holder = f"process {self.process.partition(':')[0]} on {self.host.partition(' ')[0]}"
        since = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        return f"{self.stage}, {holder}, since {since}"


class Leases:
    """The leases in a catalogue. ``seconds`` is how long one lasts after its last renewal (``SECONDS``).

    ``clock`` replaces the database's clock, and ``me`` the process that holds what is taken here.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        seconds: float = SECONDS,
        clock: Callable[[], float] | None = None,
        me: Process | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._seconds = seconds
        self._clock = clock
        self._me = me or this_process()

    def take(self, name: str, stage: str, flow_run: str | None = None) -> Lease:
        """Take a lease that nobody holds. Raises ``LeaseError`` with the holder when somebody does."""
        with self._catalogue.write() as connection:
            free = {"name": name, "token": 0, "host": "", "process": "", "stage": "", "since": 0.0, "seconds": 0.0}
            _insert_missing(connection, {**free, "expires": 0.0})
            now, before = self._now(connection), _locked(connection, name)
            if not (before.expires == 0.0 or self._is_dead(before, now)):
                raise LeaseError(str(before))
            lease = Lease(
                name,
                before.token + 1,
                self._me.host,
                self._me.process,
                stage,
                flow_run,
                now,
                now + self._seconds,
                self._seconds,
            )
            connection.execute(sa.update(_LEASES).where(_LEASES.c.name == name).values(asdict(lease)))
        return lease

    def renew(self, lease: Lease) -> Lease:
        """Give a sign of life. Raises ``LeaseError`` when the lease was taken over; late is no harm if it was not."""
        with self._catalogue.write() as connection:
            _refuse_stale(connection, lease)
            return self._renewed(connection, lease)

    @contextmanager
    def fenced(self, lease: Lease) -> Iterator[None]:
        """Keep the lease from being taken over while the block runs: it publishes what only the holder may.

        Raises ``LeaseError`` when it was taken over before. The block must not write to the catalogue.
        """
        with self._catalogue.write() as connection:
            _refuse_stale(connection, lease)
            yield
            self._renewed(connection, lease)

    def give_back(self, lease: Lease) -> None:
        """End a lease; its token stays known. Nothing happens when it was taken over."""
        mine = (_LEASES.c.name == lease.name) & (_LEASES.c.token == lease.token)
        with self._catalogue.write() as connection:
            if lease.name.startswith(_RUN):
                connection.execute(sa.delete(_LEASES).where(mine))
            else:
                connection.execute(sa.update(_LEASES).where(mine).values(expires=0.0))

    @contextmanager
    def kept(self, lease: Lease) -> Iterator[None]:
        """Renew a lease while the block runs, from a thread, and give it back at its end.

        A lease that was taken over meanwhile is noticed by ``fenced``, not here.
        """
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(lease, done), name=f"lease {lease.name}", daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()
            with suppress(CatalogueError):  # what cannot be given back expires
                self.give_back(lease)

    def _beat(self, lease: Lease, done: threading.Event) -> None:
        while not done.wait(self._seconds / 3):
            try:
                self.renew(lease)
            except LeaseError:
                return
            except CatalogueError:  # the database may be back before the lease expires
                continue

    def now(self) -> float:
        """Return the database's time, in seconds since 1970."""
        with self._catalogue.read() as connection:
            return self._now(connection)

    def held(self) -> list[Lease]:
        """Return the leases that were not given back, dead or alive, the oldest first."""
        with self._catalogue.read() as connection:
            return _held(connection)

    def dead(self) -> list[Lease]:
        """Return those of ``held`` whose holder gave no sign of life in time, or is known to have ended."""
        with self._catalogue.read() as connection:
            now = self._now(connection)
            return [lease for lease in _held(connection) if self._is_dead(lease, now)]

    def take_run(self, number: str, stage: str, flow_run: str | None = None) -> Lease:
        """Take the lease of one run of a stage; ``number`` is the run's own."""
        return self.take(_RUN + number, stage, flow_run)

    def end_dead_runs(self) -> list[Lease]:
        """Write the runs whose lease nobody keeps alive into the log as crashed, once each; return their leases."""
        ended = []
        with self._catalogue.write() as connection:
            now = self._now(connection)
            wanted = sa.select(_LEASES).where(_LEASES.c.name.startswith(_RUN)).with_for_update()
            for row in connection.execute(wanted).mappings().all():
                lease = Lease(**row)
                if self._is_dead(lease, now):
                    connection.execute(sa.delete(_LEASES).where(_LEASES.c.name == lease.name))
                    connection.execute(sa.insert(tables.runs).values(_crashed(lease, now)))
                    ended.append(lease)
        return ended

    def _is_dead(self, lease: Lease, now: float) -> bool:
        out_of_time = lease.expires <= now or lease.expires > now + lease.seconds
        return out_of_time or is_gone(Process(lease.host, lease.process))

    def _renewed(self, connection: Connection, lease: Lease) -> Lease:
        expires = self._now(connection) + self._seconds
        connection.execute(sa.update(_LEASES).where(_LEASES.c.name == lease.name).values(expires=expires))
        return replace(lease, expires=expires)

    def _now(self, connection: Connection) -> float:
        if self._clock is not None:
            return self._clock()
        sqlite_clock = "SELECT (julianday('now') - 2440587.5) * 86400.0"
        clock = "SELECT extract(epoch FROM clock_timestamp())"
        is_sqlite = connection.dialect.name == "sqlite"
        return float(connection.exec_driver_sql(sqlite_clock if is_sqlite else clock).scalar_one())


def _held(connection: Connection) -> list[Lease]:
    found = connection.execute(sa.select(_LEASES).where(_LEASES.c.expires > 0)).mappings().all()
    return sorted((Lease(**row) for row in found), key=lambda lease: (lease.since, lease.name))


def _insert_missing(connection: Connection, values: dict[str, Any]) -> None:
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(_LEASES).values(values).on_conflict_do_nothing())


def _locked(connection: Connection, name: str) -> Lease:
    """Return the row of a lease, which nobody else changes until the transaction ends."""
    statement = sa.select(_LEASES).where(_LEASES.c.name == name).with_for_update()  # SQLite has one writer anyway
    return Lease(**connection.execute(statement).mappings().one())


def _refuse_stale(connection: Connection, lease: Lease) -> None:
    statement = sa.select(_LEASES).where(_LEASES.c.name == lease.name).with_for_update()
    row = connection.execute(statement).mappings().one_or_none()
    if row is None or row["token"] != lease.token or row["expires"] == 0.0:
        now = "ended" if row is None or row["expires"] == 0.0 else str(Lease(**row))
        raise LeaseError(f"taken over: {now}")


def _crashed(lease: Lease, now: float) -> dict[str, Any]:
    """Return the log's row of a run that ended without a word: it was seen last when it renewed its lease."""
    last_seen = min(now, max(lease.since, lease.expires - lease.seconds))
    started = datetime.fromtimestamp(lease.since, UTC)
    summary = {"error": f"crashed: {lease}", "flow_run": lease.flow_run}
    return run_row(lease.stage, "crashed", started, max(0.0, last_seen - lease.since), summary)
