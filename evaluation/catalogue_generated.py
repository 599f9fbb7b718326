"""Synthetic queries in the catalogue: stored, read and removed by what made them of which document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from evaluation import tables
from evaluation.catalogue_queries import JudgedQueries, judgement_row, query_row
from evaluation.judgements import SYNTHETIC
from evaluation.rows import as_iso, as_json, delete_where_in, insert
from evaluation.synthetic import Generated, SyntheticQuery


class GeneratedQueries(JudgedQueries):
    """What generators made of documents, and the queries that were kept."""

    def store_generated(self, generated: Generated) -> None:
        """Store what a generator made of a document, in place of what it made of it before."""
        key = {"generator": generated.generator, "document": generated.document}
        row = {
            **key,
            "fingerprint": generated.fingerprint,
            "settings": as_json(dict(generated.settings)),
            "made": generated.made,
            "dropped": as_json(dict(generated.dropped)),
            "time": as_iso(datetime.now(UTC)),
        }
        origins = [{"query": entry.query.id, **key, "rank": entry.rank} for entry in generated.queries]
        with self.write() as connection:
            _delete_generated(connection, [(generated.generator, generated.document)])
            insert(connection, tables.queries, [query_row(entry.query) for entry in generated.queries])
            insert(connection, tables.judgements, [judgement_row(entry.judgement) for entry in generated.queries])
            insert(connection, tables.synthetic_queries, origins)
            insert(connection, tables.generated, [row])

    def generated(self) -> list[Generated]:
        """Return what every generator made of every document, with the queries that were kept, in this order."""
        queries = {query.id: query for query in self.queries(SYNTHETIC)}
        judgements = {judgement.query: judgement for judgement in self.judgements(SYNTHETIC)}
        with self.read() as connection:
            origins = connection.execute(sa.select(tables.synthetic_queries)).all()
            rows = connection.execute(sa.select(tables.generated)).all()
        kept: dict[tuple[str, str], list[SyntheticQuery]] = {}
        for origin in sorted(origins, key=lambda origin: str(origin.query)):
            if origin.query in queries and origin.query in judgements:  # not stored or removed between two readings
                entry = SyntheticQuery(queries[origin.query], judgements[origin.query], origin.rank)
                kept.setdefault((origin.generator, origin.document), []).append(entry)
        found = [
            Generated(
                row.generator,
                row.document,
                row.fingerprint,
                json.loads(row.settings),
                row.made,
                json.loads(row.dropped),
                tuple(kept.get((row.generator, row.document), ())),
                row.time,
            )
            for row in rows
        ]
        return sorted(found, key=lambda entry: (entry.generator, entry.document))

    def remove_generated(self, keys: Sequence[tuple[str, str]]) -> int:
        """Remove what these (generator, document) made, and return how many queries that were."""
        with self.write() as connection:
            return _delete_generated(connection, keys)


def _delete_generated(connection: Connection, keys: Sequence[tuple[str, str]]) -> int:
    removed = 0
    for generator, document in keys:
        origins = tables.synthetic_queries
        mine = (origins.c.generator == generator) & (origins.c.document == document)
        ids = list(connection.scalars(sa.select(origins.c.query).where(mine)))
        delete_where_in(connection, origins, origins.c.query, ids)
        delete_where_in(connection, tables.judgements, tables.judgements.c.query, ids)
        delete_where_in(connection, tables.queries, tables.queries.c.id, ids)
        made = (tables.generated.c.generator == generator) & (tables.generated.c.document == document)
        connection.execute(sa.delete(tables.generated).where(made))
        removed += len(ids)
    return removed
