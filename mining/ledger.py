"""The ledger of mined negatives: every candidate of every query with its verdict and the reason, in Parquet.

Layout of ``ledgers/<id>/``::

    rows.parquet      one row for each candidate (ROW_SCHEMA)
    queries.parquet   one row for each mined query with the ids of its positive chunks (QUERY_SCHEMA)
    manifest.json     what took part: versions and fingerprints, settings, seed, counts, the files' SHA-256

Ids begin with the UTC time and end with the start of a hash of the content, so that they sort by age.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from chunking.document import sha256_file
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, write_artifact, write_json

FORMAT = 2
LATEST = "latest"
ROWS = "rows.parquet"
QUERIES = "queries.parquet"

KEPT = "kept"
RANDOM = "random"
RELEVANT = "relevant"
PROPOSED_POSITIVE = "proposed_positive"
FALSE_NEGATIVE = "false_negative"
BORDERLINE = "borderline"
TOO_EASY = "too_easy"
DUPLICATE = "duplicate"
UNSELECTED = "unselected"
VERDICTS = {
    KEPT: "a hard negative, for training",
    RANDOM: "a random negative, for training",
    RELEVANT: "answers the query: a person said so, or [mine] relabel accepts proposals; a positive, for training",
    PROPOSED_POSITIVE: "the cross-encoder and another source put it above the judged passage: a person should confirm",
    FALSE_NEGATIVE: "looks as relevant as the judged passage, or a person said that it is no negative",
    BORDERLINE: "too close to call: a person should look",
    TOO_EASY: "teaches nothing",
    DUPLICATE: "holds, adjoins or repeats a judged passage",
    UNSELECTED: "no fault was found, but enough others were kept",
}
# What a person can decide about a candidate; "borderline" is a person who cannot tell either.
DECISIONS = (KEPT, RELEVANT, FALSE_NEGATIVE, TOO_EASY, DUPLICATE, BORDERLINE)

_ROWS_AT_A_TIME = 1024  # dictionaries of so many rows are in memory while a ledger is read

_LEDGER_ID = re.compile(r"\d{8}T\d{6}(\d{3})?-[0-9a-f]{6}")  # older ones without milliseconds

ROW_SCHEMA = pa.schema(
    [
        pa.field("query", pa.string(), nullable=False),
        pa.field("chunk", pa.string(), nullable=False),
        pa.field("document", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field(
            "sources",
            pa.list_(pa.struct([("name", pa.string()), ("rank", pa.int32()), ("score", pa.float64())])),
            nullable=False,
        ),
        pa.field("ensemble_score", pa.float64()),
        pa.field("cross_score", pa.float64()),
        pa.field("positive_cross_score", pa.float64()),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("reviewer", pa.string()),
    ]
)
QUERY_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("positives", pa.list_(pa.string()), nullable=False),
    ]
)


class LedgerError(SpecmineError):
    """There is no such ledger, or its files are damaged."""


class FoundBy(NamedTuple):
    """One source that found a candidate: its name, the rank it gave (from 1) and its score (higher is better)."""

    name: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One candidate negative of one query.

    ``start`` and ``end`` are the chunk's span in ``document``. ``ensemble_score`` is the soft vote in [0, 1] (None when
    no list of the vote holds the chunk). ``cross_score`` and ``positive_cross_score`` are logits of the cross-encoder
    for the candidate and for the query's best judged passage (None when they were not computed). ``verdict`` is a key
    of VERDICTS; ``reviewer`` names the person whose decision it is, None when a rule decided.
    """

    query: str
    chunk: str
    document: str
    start: int
    end: int
    sources: tuple[FoundBy, ...]
    ensemble_score: float | None
    cross_score: float | None
    positive_cross_score: float | None
    verdict: str
    reason: str
    reviewer: str | None = None

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"unknown verdict {self.verdict!r}; known: {', '.join(VERDICTS)}")


@dataclass(frozen=True, slots=True)
class LedgerQuery:
    """One mined query: its text, its language (ISO 639-1) and the chunks that hold its judged passages."""

    id: str
    text: str
    language: str
    positives: tuple[str, ...]


@dataclass(frozen=True)
class Ledger:
    """A ledger as read: its rows in order of query, its queries in order of id, and its manifest."""

    id: str
    rows: tuple[LedgerRow, ...]
    queries: tuple[LedgerQuery, ...]
    manifest: dict[str, Any]


def write_ledger(
    home: Home, rows: Sequence[LedgerRow], manifest: Mapping[str, Any], queries: Sequence[LedgerQuery] = ()
) -> str:
    """Write a ledger whole or not at all, and return its id.

    ``manifest`` says what took part; id, time, counts and checksums are added here.
    """
    row_table, query_table = _table(rows, ROW_SCHEMA), _table(queries, QUERY_SCHEMA)
    now = datetime.now(UTC)
    described = {
        **manifest,
        "format": FORMAT,
        "created": now.isoformat(timespec="seconds"),
        "rows": len(rows),
        "verdicts": dict(sorted(Counter(row.verdict for row in rows).items())),
    }
    files = {ROWS: _parquet(row_table), QUERIES: _parquet(query_table)}
    described["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode()).hexdigest()
    ledger_id = f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03}-{digest[:6]}"
    with write_artifact(home.ledgers / ledger_id) as partial:
        for name, content in files.items():
            (partial / name).write_bytes(content)
        write_json(partial / MANIFEST, {"id": ledger_id, **described})
    return ledger_id


def list_ledgers(home: Home) -> list[str]:
    """Return the ids of all whole ledgers, oldest first."""
    return sorted(path.name for path in home.ledgers.iterdir() if _LEDGER_ID.fullmatch(path.name) and is_whole(path))


def read_manifest(home: Home, ledger_id: str = LATEST) -> dict[str, Any]:
    """Return a ledger's manifest alone. Raises LedgerError as ``read_ledger`` does."""
    directory = _directory(home, ledger_id)
    damaged = f"ledger {directory.name} has a damaged {MANIFEST}: remove {directory} and mine again"
    try:
        manifest: Any = read_json(directory / MANIFEST)
    except SpecmineError:
        raise LedgerError(damaged) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), dict):
        raise LedgerError(damaged)
    if manifest.get("format") != FORMAT:
        raise LedgerError(f"ledger {directory.name} has format {manifest.get('format')}, not {FORMAT}: mine again")
    return manifest


def read_ledger(home: Home, ledger_id: str = LATEST) -> Ledger:
    """Read one ledger, or the newest.

    Raises LedgerError in one line when there is none, or when a file differs from what the manifest recorded.
    """
    manifest = read_manifest(home, ledger_id)
    directory = _directory(home, ledger_id)
    for name in (ROWS, QUERIES):
        path = directory / name
        if not path.is_file() or sha256_file(path) != manifest["sha256"].get(name):
            raise LedgerError(
                f"ledger {directory.name}: {name} is missing or damaged; remove {directory} and mine again"
            )
    rows = tuple(
        LedgerRow(**{**row, "sources": tuple(FoundBy(**source) for source in row["sources"])})
        for batch in pq.read_table(directory / ROWS, schema=ROW_SCHEMA).to_batches(max_chunksize=_ROWS_AT_A_TIME)
        for row in batch.to_pylist()
    )
    queries = tuple(
        LedgerQuery(**{**query, "positives": tuple(query["positives"])})
        for query in pq.read_table(directory / QUERIES, schema=QUERY_SCHEMA).to_pylist()
    )
    return Ledger(directory.name, rows, queries, manifest)


def _directory(home: Home, ledger_id: str) -> Path:
    known = list_ledgers(home)
    if not known:
        raise LedgerError(f"there is no ledger in {home.ledgers} yet: run `specmine mine` first")
    if ledger_id == LATEST:
        return home.ledgers / known[-1]
    # Ids come from the command line and the API: only a listed name ever becomes a path.
    if ledger_id not in known:
        raise LedgerError(f"there is no ledger {ledger_id!r}; the newest is {known[-1]!r}")
    return home.ledgers / ledger_id


def _table(records: Sequence[LedgerRow] | Sequence[LedgerQuery], schema: pa.Schema) -> pa.Table:
    """Return the records as a table. Column by column: as dictionaries they would take many times the memory."""
    return pa.table({name: [getattr(record, name) for record in records] for name in schema.names}, schema=schema)


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())
