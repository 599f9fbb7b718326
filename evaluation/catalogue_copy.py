"""A copy of the whole catalogue in one SQLite file, as it is at one moment while others write, and back again.

SQLite is copied by its own backup, PostgreSQL table by table in one transaction that sees one state. The file is the
same for both, so that a catalogue can go from one to the other. Leases are left out: they belong to running processes.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from evaluation import tables
from evaluation.catalogue import Catalogue
from evaluation.database import CatalogueError, open_engine

_ROWS = 1000  # that are copied at a time
_LEFT_OUT = ("leases",)


def export_catalogue(url: str, path: Path) -> None:
    """Write the catalogue at a database URL to the SQLite file ``path``, which must not be there yet.

    Raises CatalogueError in one line when the catalogue cannot be read.
    """
    parsed = _parsed(url)
    Catalogue(url).close()  # of the schema that this version knows, with every table
    try:
        if parsed.get_backend_name() == "sqlite":
            with closing(sqlite3.connect(str(parsed.database))) as source, closing(sqlite3.connect(path)) as copy:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        else:
            with closing(Catalogue(f"sqlite:///{path}")):
                pass
            _copy_tables(parsed, sa.make_url(f"sqlite:///{path}"))
        with closing(sqlite3.connect(path)) as copy:
            for name in _LEFT_OUT:
                copy.execute(f"DELETE FROM {name}")  # noqa: S608  # one of the names above
            copy.commit()
            copy.execute("PRAGMA journal_mode = DELETE")
    except (sqlite3.Error, SQLAlchemyError, OSError) as error:
        raise CatalogueError(f"the catalogue cannot be copied: {_one_line(error)}") from None


def import_catalogue(path: Path, url: str) -> None:
    """Fill the empty catalogue at a database URL from a file of ``export_catalogue``.

    Raises CatalogueError when the catalogue has rows already, or either is of another schema version.
    """
    parsed, source = _parsed(url), sa.make_url(f"sqlite:///{path}")
    Catalogue(str(source)).close()
    Catalogue(url).close()
    try:
        _copy_tables(source, parsed)
    except (SQLAlchemyError, OSError) as error:
        raise CatalogueError(f"the catalogue cannot be restored: {_one_line(error)}") from None


def _copy_tables(source: URL, target: URL) -> None:
    """Copy the rows of all tables, in the order their references ask for, in one transaction on either side."""
    reading, writing = open_engine(source), open_engine(target)
    try:
        reader = reading.connect()
        if reading.dialect.name == "postgresql":
            reader = reader.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with reader, writing.connect().execution_options(specmine_write=True) as writer, writer.begin(), reader.begin():
            wanted = [table for table in tables.METADATA.sorted_tables if table.name not in _LEFT_OUT]
            for table in wanted:
                if table is not tables.schema_version and writer.scalar(sa.select(sa.func.count()).select_from(table)):
                    raise CatalogueError(f"the catalogue is not empty: table {table.name} has rows")
            for table in wanted:
                if table is not tables.schema_version:
                    _copy_table(table, reader, writer)
    finally:
        reading.dispose()
        writing.dispose()


def _copy_table(table: sa.Table, reader: Connection, writer: Connection) -> None:
    for rows in reader.execute(sa.select(table)).mappings().partitions(_ROWS):
        writer.execute(sa.insert(table), [dict(row) for row in rows])
    number = table.c.get("id")
    if writer.dialect.name == "postgresql" and number is not None and isinstance(number.type, sa.Integer):
        highest = sa.select(sa.func.coalesce(sa.func.max(number), 0) + 1).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        writer.execute(sa.select(sa.func.setval(sequence, highest, False)))


def _parsed(url: str) -> URL:
    try:
        return sa.make_url(url)
    except ArgumentError as error:
        raise CatalogueError(f"the catalogue cannot be opened: {_one_line(error)}") from None


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:300]
