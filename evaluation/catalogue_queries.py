"""Judged queries in the catalogue: imported split by split, read, removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from evaluation import tables
from evaluation.database import CatalogueError, Database
from evaluation.judgements import (
    GUARD,
    SPLITS,
    SYNTHETIC,
    Judgement,
    Query,
    SplitFiles,
    check_split,
    read_split,
)
from evaluation.rows import BATCH, delete_where_in, insert


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import left in the catalogue: queries and judgements of the files, and how many queries were new."""

    queries: int
    judgements: int
    new_queries: int


class JudgedQueries(Database):
    """The queries of every split, and their judgements."""

    def import_files(self, split: str, queries_path: Path, judgements_path: Path) -> Imported:
        """Import one split from its two files (formats: ``evaluation.judgements``); see ``import_split``.

        Raises ``ValueError`` naming ``file:line`` for a bad line.
        """
        return self._import(read_split(queries_path, judgements_path, split))

    def import_split(self, split: str, queries: Sequence[Query], judgements: Sequence[Judgement]) -> Imported:
        """Add queries to a split; their judgements become exactly those given. Importing twice changes nothing.

        Raises ``CatalogueError``, and imports nothing, when a query is known with another text or in another split, or
        a judgement is of a query that is not among ``queries``.
        """
        return self._import(SplitFiles(split, list(queries), list(judgements), {}))

    def remove_split(self, split: str) -> int:
        """Remove a split's queries and judgements, and return how many queries they were."""
        check_split(split)
        with self.write() as connection:
            ids = list(connection.scalars(sa.select(tables.queries.c.id).where(tables.queries.c.split == split)))
            delete_where_in(connection, tables.judgements, tables.judgements.c.query, ids)
            connection.execute(sa.delete(tables.queries).where(tables.queries.c.split == split))
        return len(ids)

    def splits(self) -> list[str]:
        """Return the judged splits: the four that there always are, and every named guard that has queries."""
        with self.read() as connection:
            stored = set(connection.scalars(sa.select(tables.queries.c.split).distinct()))
        return [*SPLITS, *sorted(stored - {*SPLITS, SYNTHETIC})]

    def guards(self) -> list[str]:
        """Return the guard splits: ``guard``, and those with a name."""
        return [split for split in self.splits() if split.split(":")[0] == GUARD]

    def queries(self, split: str) -> list[Query]:
        """Return the queries of a split, or the synthetic ones, by id."""
        _check_stored_split(split)
        statement = sa.select(tables.queries).where(tables.queries.c.split == split)
        with self.read() as connection:
            rows = connection.execute(statement).all()
        try:
            found = [Query(row.id, row.text, row.split, row.grouping) for row in rows]
        except ValueError as error:
            raise CatalogueError(f"catalogue {self.name} was changed by another program: {error}") from None
        return sorted(found, key=lambda query: query.id)  # here, because databases collate differently

    def judgements(self, split: str) -> list[Judgement]:
        """Return the judgements of a split's queries, or the synthetic ones', in the order of their import."""
        _check_stored_split(split)
        fields = [column for column in tables.judgements.c if column.name != "id"]
        statement = (
            sa.select(*fields)
            .join(tables.queries, tables.queries.c.id == tables.judgements.c.query)
            .where(tables.queries.c.split == split)
            .order_by(tables.judgements.c.id)
        )
        with self.read() as connection:
            return [Judgement(**row) for row in connection.execute(statement).mappings()]

    def _import(self, files: SplitFiles) -> Imported:
        check_split(files.split)
        queries = {query.id: query for query in files.queries}
        for query in files.queries:
            if query.split != files.split or queries[query.id] != query:
                raise CatalogueError(f"query {query.id!r} is given twice, or for another split than {files.split!r}")
        for judgement in files.judgements:
            if judgement.query not in queries:
                raise CatalogueError(f"a judgement is of query {judgement.query!r}, which is not imported with it")
        with self.write() as connection:
            known = _known(connection, list(queries))
            for id, old in known.items():
                _refuse_change(queries[id], old, files.where.get(id))
            delete_where_in(connection, tables.judgements, tables.judgements.c.query, list(known))
            delete_where_in(connection, tables.queries, tables.queries.c.id, list(known))
            insert(connection, tables.queries, [query_row(query) for query in queries.values()])
            insert(connection, tables.judgements, [judgement_row(judgement) for judgement in files.judgements])
        return Imported(len(queries), len(files.judgements), len(queries) - len(known))


def _known(connection: Connection, ids: list[str]) -> dict[str, tuple[str, str]]:
    """Return id → (text, split) of those queries that are in the catalogue."""
    columns = (tables.queries.c.id, tables.queries.c.text, tables.queries.c.split)
    known = {}
    for first in range(0, len(ids), BATCH):
        statement = sa.select(*columns).where(tables.queries.c.id.in_(ids[first : first + BATCH]))
        known.update({row.id: (row.text, row.split) for row in connection.execute(statement)})
    return known


def _check_stored_split(split: str) -> None:
    if split != SYNTHETIC:
        check_split(split)


def _refuse_change(query: Query, known: tuple[str, str], place: str | None) -> None:
    text, split = known
    prefix = f"{place}: " if place else ""
    if split != query.split:
        raise CatalogueError(
            f"{prefix}query {query.id!r} is already in split {split!r} and cannot be in {query.split!r} too"
        )
    if text != query.text:
        raise CatalogueError(f"{prefix}query {query.id!r} is already in the catalogue with another text")


def query_row(query: Query) -> dict[str, Any]:
    """Return a query as the catalogue keeps it."""
    return {"id": query.id, "text": query.text, "split": query.split, "grouping": query.group}


def judgement_row(judgement: Judgement) -> dict[str, Any]:
    """Return a judgement as the catalogue keeps it."""
    return {name: getattr(judgement, name) for name in Judgement.__slots__}
