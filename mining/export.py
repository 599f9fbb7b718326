"""A ledger's negatives as a training set for other programs, in the text that the encoders read."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chunking.document import Chunk, sha256_file
from indexing.home import Home, SpecmineError, replacing
from mining.ledger import KEPT, RANDOM, RELEVANT, Ledger, LedgerError, LedgerQuery, LedgerRow
from mining.passages import ledger_passages, passage_json
from mining.scoring import passage_text

_PARQUET, _LINES = ".parquet", ".jsonl"
Record = dict[str, Any]


@dataclass(frozen=True)
class Mined:
    """A query with what it is drawn to and pushed from: hard negatives first, the hardest of them first."""

    query: LedgerQuery
    positives: tuple[Chunk, ...]
    negatives: tuple[tuple[Chunk, LedgerRow], ...]


@dataclass(frozen=True)
class Exported:
    """What an export wrote: how many records, of how many queries, with how many different negatives of them.

    ``negatives_left_out`` and ``queries_left_out`` are what the ledger has besides.
    """

    ledger: str
    format: str
    file: str
    records: int
    queries: int
    negatives: int
    queries_left_out: int
    negatives_left_out: int
    sha256: str


Format = Callable[[Sequence[Mined]], tuple[list[Record], dict[str, int]]]
"""Returns the records, and how many negatives of which query (id) they hold."""


def export_ledger(home: Home, ledger: Ledger, form: str, file: Path) -> Exported:
    """Write a ledger's positives and negatives to ``file``, whole or not at all; an existing file is refused.

    ``form`` is a name of FORMATS. The file's suffix decides how it is written: .parquet, or .jsonl for JSON lines.
    Raises SpecmineError in one line when the format or the suffix is unknown, the file exists or cannot be written,
    or the texts are no longer there.
    """
    if form not in FORMATS:
        raise SpecmineError(f"there is no format {form!r}: choose {', '.join(FORMATS)}")
    allowed = (_LINES,) if form == "jsonl" else (_PARQUET, _LINES)
    if file.suffix not in allowed:
        raise SpecmineError(f"{file}: for {form} the name must end in {' or '.join(allowed)}")
    _refuse_existing(file)
    mined = _mined(home, ledger)
    records, used = FORMATS[form]([entry for entry in mined if entry.positives and entry.negatives])
    if not records:
        raise SpecmineError(f"ledger {ledger.id} has no negatives to export: `specmine ledger show` says why")
    _write(file, records)
    negatives = sum(used.values())
    return Exported(
        ledger=ledger.id,
        format=form,
        file=str(file),
        records=len(records),
        queries=len(used),
        negatives=negatives,
        queries_left_out=len(mined) - len(used),
        negatives_left_out=sum(len(entry.negatives) for entry in mined) - negatives,
        sha256=sha256_file(file),
    )


def _mined(home: Home, ledger: Ledger) -> list[Mined]:
    chunks = ledger_passages(home, ledger)
    named = {row.chunk for row in ledger.rows} | {chunk for query in ledger.queries for chunk in query.positives}
    if lost := named - chunks.keys():
        raise LedgerError(f"ledger {ledger.id} names {len(lost)} passages that its content does not have: mine again")
    of_query: dict[str, list[LedgerRow]] = {}
    for row in ledger.rows:
        of_query.setdefault(row.query, []).append(row)
    mined = []
    for query in ledger.queries:
        rows = of_query.get(query.id, [])
        positives = dict.fromkeys((*query.positives, *(row.chunk for row in rows if row.verdict == RELEVANT)))
        negatives = sorted((row for row in rows if row.verdict in (KEPT, RANDOM)), key=_hardest_first)
        mined.append(
            Mined(
                query,
                tuple(chunks[chunk] for chunk in positives),
                tuple((chunks[row.chunk], row) for row in negatives),
            )
        )
    return mined


def _hardest_first(row: LedgerRow) -> tuple[bool, float, str]:
    return row.verdict == RANDOM, -(row.ensemble_score or 0.0), row.chunk


def _triplets(mined: Sequence[Mined]) -> tuple[list[Record], dict[str, int]]:
    """One record for each positive with each negative: anchor, positive, negative."""
    records = [
        {"anchor": entry.query.text, "positive": passage_text(positive), "negative": passage_text(negative)}
        for entry in mined
        for positive in entry.positives
        for negative, _ in entry.negatives
    ]
    return records, {entry.query.id: len(entry.negatives) for entry in mined}


def _sentence_transformers(mined: Sequence[Mined]) -> tuple[list[Record], dict[str, int]]:
    """One record for each positive, with the K hardest negatives: anchor, positive, negative_1 to negative_K.

    The trainer wants the same columns in every record; K is the number with which most negatives are used.
    """
    counts = [len(entry.negatives) for entry in mined]
    width = max(range(1, max(counts, default=0) + 1), key=lambda k: k * sum(n >= k for n in counts), default=0)
    wide = [entry for entry in mined if len(entry.negatives) >= width]
    records = [
        {
            "anchor": entry.query.text,
            "positive": passage_text(positive),
            **{f"negative_{k}": passage_text(entry.negatives[k - 1][0]) for k in range(1, width + 1)},
        }
        for entry in wide
        for positive in entry.positives
    ]
    return records, {entry.query.id: width for entry in wide}


def _jsonl(mined: Sequence[Mined]) -> tuple[list[Record], dict[str, int]]:
    """One record for each query, with all positives and negatives, their places and scores."""
    records = [
        {
            "id": entry.query.id,
            "query": entry.query.text,
            "language": entry.query.language,
            "positive_cross_score": entry.negatives[0][1].positive_cross_score,
            "positives": [_passage(chunk) for chunk in entry.positives],
            "negatives": [
                {
                    **_passage(chunk),
                    "verdict": row.verdict,
                    "reason": row.reason,
                    "reviewer": row.reviewer,
                    "ensemble_score": row.ensemble_score,
                    "cross_score": row.cross_score,
                    "sources": {source.name: {"rank": source.rank, "score": source.score} for source in row.sources},
                }
                for chunk, row in entry.negatives
            ],
        }
        for entry in mined
    ]
    return records, {entry.query.id: len(entry.negatives) for entry in mined}


def _passage(chunk: Chunk) -> Record:
    return {**passage_json(chunk), "encoder_text": passage_text(chunk)}


def _write(file: Path, records: Sequence[Record]) -> None:
    try:
        with replacing(file) as partial:
            if file.suffix == _PARQUET:
                pq.write_table(pa.Table.from_pylist(list(records)), partial, compression="zstd")
            else:
                with partial.open("w", encoding="utf-8", newline="\n") as lines:
                    for record in records:
                        lines.write(json.dumps(record, ensure_ascii=False) + "\n")
            _refuse_existing(file)  # by now
    except OSError as error:
        raise SpecmineError(f"{file} cannot be written: {error.strerror or error}") from None


def _refuse_existing(file: Path) -> None:
    if file.exists():
        raise SpecmineError(f"{file} exists: give another name, or remove it")


FORMATS: dict[str, Format] = {
    "triplets": _triplets,
    "sentence-transformers": _sentence_transformers,
    "jsonl": _jsonl,
}
