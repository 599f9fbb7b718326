"""The catalogue's database, SQLite or PostgreSQL: opened, created where it is missing, read and written.

One schema and one code for both, written with SQLAlchemy Core; the SQLite file is in WAL mode, so that readers (the
dashboard) never wait for a writer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from evaluation import tables

BUSY_SECONDS = 10.0  # how long a writer waits for another before it gives up


class CatalogueError(Exception):
    """The catalogue cannot be opened, read or written, or an import contradicts it. One line."""


class Database:
    """The database at a URL (``sqlite:///path`` or ``postgresql+psycopg://…``); created where it is missing.

    Every transaction raises ``CatalogueError`` in one line when the database is locked for more than ``wait`` seconds
    (10 by default), unreachable or of another schema version. Safe to use from several processes and threads.
    """

    def __init__(self, url: str, wait: float | None = None) -> None:
        self._wait = BUSY_SECONDS if wait is None else wait
        try:
            parsed = sa.make_url(url)
            self.name = parsed.render_as_string(hide_password=True)
            if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
                Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
            self._engine = open_engine(parsed, self._wait)
        except (ArgumentError, ImportError, OSError) as error:
            raise CatalogueError(f"the catalogue cannot be opened: {_one_line(error)}") from None
        self._prepare()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a transaction that only reads."""
        with self._errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a transaction that may write; it is undone when the block raises."""
        writer = self._engine.execution_options(specmine_write=True)
        with self._errors(), writer.begin() as connection:
            yield connection

    def _prepare(self) -> None:
        version = self._version()
        if version is None:
            try:
                self._create()
            except CatalogueError:
                if self._version() is None:  # otherwise another program has just created it
                    raise
            version = self._version()
        if version != tables.SCHEMA_VERSION:
            raise CatalogueError(
                f"catalogue {self.name} has schema version {version}, but this specmine reads "
                f"{tables.SCHEMA_VERSION}: use the specmine that wrote it, or another catalogue"
            )
        self._add_missing_tables()

    def _add_missing_tables(self) -> None:
        """Create the tables that a catalogue of an earlier specmine lacks; that one goes on using it."""
        with self.read() as connection:
            missing = set(tables.METADATA.tables) - set(sa.inspect(connection).get_table_names())
        if missing:
            with self.write() as connection:
                tables.METADATA.create_all(connection)

    def _version(self) -> int | None:
        """Return the schema's version; None where the catalogue is not created yet."""
        with self.read() as connection:
            if not sa.inspect(connection).has_table(tables.schema_version.name):
                return None
            return connection.scalar(sa.select(tables.schema_version.c.version))

    def _create(self) -> None:
        with self.write() as connection:
            tables.METADATA.create_all(connection)
            if connection.scalar(sa.select(tables.schema_version.c.version)) is None:
                connection.execute(sa.insert(tables.schema_version).values(version=tables.SCHEMA_VERSION))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the database's errors into one line."""
        try:
            yield
        except IntegrityError as error:
            raise CatalogueError(f"catalogue {self.name}: another program wrote the same rows, try again") from error
        except DBAPIError as error:
            text = _one_line(error.orig)
            if "locked" in text:
                text = f"another program has held it for {self._wait:g} seconds; try again when it is done"
            raise CatalogueError(f"catalogue {self.name}: {text}") from error
        except SQLAlchemyError as error:
            raise CatalogueError(f"catalogue {self.name}: {_one_line(error)}") from error


def open_engine(url: URL, wait: float = BUSY_SECONDS) -> Engine:
    """Return an engine for a database URL; nothing is connected yet. ``wait`` is in seconds, for a lock or an answer.

    Raises ``ImportError`` where the database's driver is not installed and ``ArgumentError`` for an unknown database.
    """
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        # PostgreSQL's least is 2 seconds. Errors name no parameters: queries are confidential.
        arguments = {"connect_timeout": max(2, round(wait))}
        return sa.create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=arguments)
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": wait})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver's own implicit BEGIN would come too late; see _begin_sqlite
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer: it fails at once. So writers take
    # the lock when they begin, where waiting works.
    writes = connection.get_execution_options().get("specmine_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]
