"""The catalogue: judged queries, the logs of runs and searches, measures and human decisions.

Times are ISO 8601 in UTC, with milliseconds and ``Z``: they sort as text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
    check_text,
    read_split,
)
from evaluation.searches import Event, Search, Shown
from evaluation.synthetic import Generated, SyntheticQuery

_SEARCH_FIELDS = [column.name for column in tables.searches.c]
_BATCH = 500  # ids in one statement: old SQLite takes 999


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import left in the catalogue: queries and judgements of the files, and how many queries were new."""

    queries: int
    judgements: int
    new_queries: int


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


@dataclass(frozen=True, slots=True)
class Decision:
    """What a reviewer said of a passage (span of a document) for a query; the words belong to the mining room."""

    time: str
    query: str
    document: str
    start: int
    end: int
    verdict: str
    reviewer: str


class Catalogue(Database):
    """The catalogue. Every method is one transaction, which raises ``CatalogueError`` as ``Database`` says."""

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
            _delete_where_in(connection, tables.judgements, tables.judgements.c.query, ids)
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

    def store_generated(self, generated: Generated) -> None:
        """Store what a generator made of a document, in place of what it made of it before."""
        key = {"generator": generated.generator, "document": generated.document}
        row = {
            **key,
            "fingerprint": generated.fingerprint,
            "settings": _json(dict(generated.settings)),
            "made": generated.made,
            "dropped": _json(dict(generated.dropped)),
            "time": _iso(datetime.now(UTC)),
        }
        origins = [{"query": entry.query.id, **key, "rank": entry.rank} for entry in generated.queries]
        with self.write() as connection:
            _delete_generated(connection, [(generated.generator, generated.document)])
            _insert(connection, tables.queries, [_query_row(entry.query) for entry in generated.queries])
            _insert(connection, tables.judgements, [_judgement_row(entry.judgement) for entry in generated.queries])
            _insert(connection, tables.synthetic_queries, origins)
            _insert(connection, tables.generated, [row])

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
            connection.execute(sa.delete(tables.done).where(tables.done.c.time < _iso(now - timedelta(days=366))))
            known = connection.scalar(sa.select(tables.done.c.key).where(tables.done.c.key == key))
            if known is None:
                _insert(connection, tables.done, [{"key": key, "flow_run": flow_run, "time": _iso(now)}])

    def record_measures(self, release: str, split: str, runs: Mapping[str, Mapping[str, float]]) -> None:
        """Add the mean measures (run name → measure → value) of a release on a split; earlier ones are kept."""
        check_split(split)
        now = _iso(datetime.now(UTC))
        rows = [
            {"time": now, "release": release, "split": split, "run": run, "values": _json(dict(values))}
            for run, values in runs.items()
        ]
        with self.write() as connection:
            _insert(connection, tables.measures, rows)

    def measures(self) -> list[MeasureRecord]:
        """Return all measures ever recorded, oldest first."""
        with self.read() as connection:
            rows = connection.execute(sa.select(tables.measures).order_by(tables.measures.c.id)).mappings().all()
        return [
            MeasureRecord(row["time"], row["release"], row["split"], row["run"], json.loads(row["values"]))
            for row in rows
        ]

    def record_decision(self, query: str, document: str, start: int, end: int, verdict: str, reviewer: str) -> Decision:
        """Record what a reviewer decided about a passage: it counts from now on, what was decided before is history.

        Raises ``ValueError`` for an impossible span or an empty text.
        """
        Judgement(query, document, 0, start, end)  # checks the passage
        check_text("verdict", verdict, 64)
        check_text("reviewer", reviewer, 200)
        decision = Decision(_iso(datetime.now(UTC)), query, document, start, end, verdict, reviewer)
        with self.write() as connection:
            values = {name: getattr(decision, name) for name in Decision.__slots__}
            connection.execute(sa.insert(tables.decisions).values(values))
        return decision

    def decisions(self) -> list[Decision]:
        """Return the decision in force for every passage that was reviewed, oldest first."""
        latest: dict[tuple[str, str, int, int], Decision] = {}
        for decision in self.decision_history():
            passage = (decision.query, decision.document, decision.start, decision.end)
            latest.pop(passage, None)
            latest[passage] = decision
        return list(latest.values())

    def decision_history(self) -> list[Decision]:
        """Return every decision ever recorded, oldest first."""
        fields = [column for column in tables.decisions.c if column.name != "id"]
        with self.read() as connection:
            rows = connection.execute(sa.select(*fields).order_by(tables.decisions.c.id)).mappings()
            return [Decision(**row) for row in rows]

    def record_search(self, search: Search, keep_days: int) -> None:
        """Log a search, and forget those that are more than ``keep_days`` old; with 0 nothing is kept."""
        with self.write() as connection:
            if keep_days:
                _insert(connection, tables.searches, [{name: getattr(search, name) for name in _SEARCH_FIELDS}])
                rows = [{name: getattr(passage, name) for name in Shown.__slots__} for passage in search.shown]
                _insert(connection, tables.shown, [{"search": search.id, **row} for row in rows])
            _forget(connection, keep_days)

    def record_event(self, search: str, rank: int, event: Event) -> bool:
        """Record what was done with the passage of this rank; return whether the log has such a search and passage.

        Of what was said of a passage, that it is right or wrong, the last counts; that it was opened stays.
        """
        shown = tables.shown
        said: dict[str, Any] = {"opened": True}
        if event != "opened":
            verdict = None if event == "withdrawn" else event
            said = {"verdict": verdict, "judged": _iso(datetime.now(UTC)) if verdict else None}
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
            _delete_where_in(connection, tables.judgements, tables.judgements.c.query, list(known))
            _delete_where_in(connection, tables.queries, tables.queries.c.id, list(known))
            _insert(connection, tables.queries, [_query_row(query) for query in queries.values()])
            _insert(connection, tables.judgements, [_judgement_row(judgement) for judgement in files.judgements])
        return Imported(len(queries), len(files.judgements), len(queries) - len(known))


def run_row(stage: str, status: str, started: datetime, seconds: float, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run as the log keeps it. Raises ``ValueError`` where ``started`` knows no time zone."""
    return {
        "stage": stage,
        "status": status,
        "started": _iso(started),
        "seconds": float(seconds),
        "summary": _json(dict(summary)),
    }


def _known(connection: Connection, ids: list[str]) -> dict[str, tuple[str, str]]:
    """Return id → (text, split) of those queries that are in the catalogue."""
    columns = (tables.queries.c.id, tables.queries.c.text, tables.queries.c.split)
    known = {}
    for first in range(0, len(ids), _BATCH):
        statement = sa.select(*columns).where(tables.queries.c.id.in_(ids[first : first + _BATCH]))
        known.update({row.id: (row.text, row.split) for row in connection.execute(statement)})
    return known


def _check_stored_split(split: str) -> None:
    if split != SYNTHETIC:
        check_split(split)


def _delete_generated(connection: Connection, keys: Sequence[tuple[str, str]]) -> int:
    removed = 0
    for generator, document in keys:
        origins = tables.synthetic_queries
        mine = (origins.c.generator == generator) & (origins.c.document == document)
        ids = list(connection.scalars(sa.select(origins.c.query).where(mine)))
        _delete_where_in(connection, origins, origins.c.query, ids)
        _delete_where_in(connection, tables.judgements, tables.judgements.c.query, ids)
        _delete_where_in(connection, tables.queries, tables.queries.c.id, ids)
        made = (tables.generated.c.generator == generator) & (tables.generated.c.document == document)
        connection.execute(sa.delete(tables.generated).where(made))
        removed += len(ids)
    return removed


def _refuse_change(query: Query, known: tuple[str, str], place: str | None) -> None:
    text, split = known
    prefix = f"{place}: " if place else ""
    if split != query.split:
        raise CatalogueError(
            f"{prefix}query {query.id!r} is already in split {split!r} and cannot be in {query.split!r} too"
        )
    if text != query.text:
        raise CatalogueError(f"{prefix}query {query.id!r} is already in the catalogue with another text")


def _delete_where_in(connection: Connection, table: sa.Table, column: sa.Column[str], ids: list[str]) -> None:
    for first in range(0, len(ids), _BATCH):
        connection.execute(sa.delete(table).where(column.in_(ids[first : first + _BATCH])))


def _insert(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)


def _forget(connection: Connection, keep_days: int) -> int:
    before = tables.searches.c.time < _iso(datetime.now(UTC) - timedelta(days=keep_days))
    statement = sa.delete(tables.searches)
    return connection.execute(statement.where(before) if keep_days else statement).rowcount


def _query_row(query: Query) -> dict[str, Any]:
    return {"id": query.id, "text": query.text, "split": query.split, "grouping": query.group}


def _judgement_row(judgement: Judgement) -> dict[str, Any]:
    return {name: getattr(judgement, name) for name in Judgement.__slots__}


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False)


def _iso(time: datetime) -> str:
    if time.tzinfo is None:
        raise ValueError("the time must know its time zone")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
