"""What a mining that has not ended yet has found, kept on disk: whoever mines the same again goes on where it ended.

``ledgers/unfinished/<key>/`` holds one Parquet file for each block of queries that was searched, written whole or not
at all; the key covers everything that shapes a search. The folder goes when the ledger is written. Scores of the
cross-encoder are kept elsewhere (``mining.pair_scores``): they serve every later mining too.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chunking.document import Chunk
from indexing.home import Home, remove_partials, replacing
from mining.candidates import Candidate, Case

# Count up when a search finds other things for the same inputs.
FORMAT = 2
# Of other minings that never ended only the newest are kept: somebody may yet go back to those settings.
_OTHERS_KEPT = 3

_VOTE = [("rank", pa.int32()), ("score", pa.float64())]
_CANDIDATE = pa.struct(
    [
        ("chunk", pa.string()),
        ("found", pa.list_(pa.struct([("source", pa.string()), *_VOTE]))),
        ("ensemble", pa.float64()),
        ("rank", pa.int32()),
        ("drawn", pa.bool_()),
        ("preferred_by", pa.list_(pa.string())),
        ("to_query", pa.float64()),
        ("to_judged", pa.float64()),
        ("to_each_judged", pa.list_(pa.float64())),
    ]
)
_SCHEMA = pa.schema(
    [
        ("query", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("positives", pa.list_(pa.struct([("chunk", pa.string()), ("vote", pa.struct(_VOTE))]))),
        ("spans", pa.list_(pa.struct([("document", pa.string()), ("start", pa.int64()), ("end", pa.int64())]))),
        ("encoders", pa.list_(pa.string())),
        ("candidates", pa.list_(_CANDIDATE)),
        ("query_to_judged", pa.float64()),
    ]
)

log = logging.getLogger(__name__)


class Unfinished:
    """The searched blocks of one mining, by number from 0: what a search gives a case, and no score or verdict yet."""

    def __init__(self, folder: Path, chunks: Mapping[str, Chunk]) -> None:
        self._folder = folder
        self._chunks = chunks

    def read(self, number: int) -> list[Case] | None:
        """Return a block as it was written, None where it was not, or is damaged."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            table = pq.read_table(path, schema=_SCHEMA, page_checksum_verification=True)
        except (OSError, pa.ArrowException) as error:
            log.warning("searching again: %s is damaged: %s", path, error)
            return None
        return self._from(table, self._chunks)

    def write(self, number: int, block: Sequence[Case]) -> list[Case]:
        """Keep a block. Returns it as it will be read, so that a mining never goes on with anything else."""
        records = [_record(case) for case in block]
        columns = {name: [record[place] for record in records] for place, name in enumerate(_SCHEMA.names)}
        table = pa.table(columns, schema=_SCHEMA)
        with replacing(self._path(number)) as partial:
            pq.write_table(table, partial, compression="zstd", write_page_checksum=True)
        return self._from(
            table, {candidate.chunk.id: candidate.chunk for case in block for candidate in case.candidates}
        )

    def _path(self, number: int) -> Path:
        return self._folder / f"block-{number:06}.parquet"

    def _from(self, table: pa.Table, chunks: Mapping[str, Chunk]) -> list[Case]:
        """Return the cases of a block, whose candidates are found in ``chunks``."""
        return [
            self._case(record, chunks)
            for batch in table.to_batches(max_chunksize=16)  # plain objects of a few queries at a time
            for record in batch.to_pylist()
        ]

    def _case(self, record: dict[str, Any], chunks: Mapping[str, Chunk]) -> Case:
        return Case(
            query=record["query"],
            text=record["text"],
            language=record["language"],
            positives=tuple(self._chunks[positive["chunk"]] for positive in record["positives"]),
            positive_votes=tuple(_vote(positive["vote"]) for positive in record["positives"]),
            spans=tuple((span["document"], span["start"], span["end"]) for span in record["spans"]),
            encoders=tuple(record["encoders"]),
            candidates=[_candidate(candidate, chunks) for candidate in record["candidates"]],
            query_to_judged=record["query_to_judged"],
        )


@contextmanager
def unfinished(home: Home, key: str, chunks: Mapping[str, Chunk]) -> Iterator[Unfinished]:
    """Yield what is kept of the mining ``key``; when the block ends without error it is removed.

    One process mines a home at a time: raises LockedHomeError when another does.
    """
    root = home.ledgers / "unfinished"
    with Home(root).exclusive():
        folder = root / key
        folder.mkdir(exist_ok=True)
        _remove_stale(root, folder)
        remove_partials(folder)
        remove_partials(home.ledgers, below=False)  # a ledger that was being written; scores are written elsewhere
        yield Unfinished(folder, chunks)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_stale(root: Path, present: Path) -> None:
    others = [path for path in root.iterdir() if path.is_dir() and path != present]
    for folder in sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)[_OTHERS_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)


def _record(case: Case) -> tuple[Any, ...]:
    """Return a case as a row of _SCHEMA; structs are tuples of their fields, which cost less than dictionaries."""
    return (
        case.query,
        case.text,
        case.language,
        [(chunk.id, vote) for chunk, vote in zip(case.positives, case.positive_votes, strict=True)],
        case.spans,
        case.encoders,
        [
            (
                candidate.chunk.id,
                [(source, *vote) for source, vote in candidate.found.items()],
                candidate.ensemble,
                candidate.rank,
                candidate.drawn,
                candidate.preferred_by,
                candidate.to_query,
                candidate.to_judged,
                candidate.to_each_judged,
            )
            for candidate in case.candidates
        ],
        case.query_to_judged,
    )


def _candidate(record: dict[str, Any], chunks: Mapping[str, Chunk]) -> Candidate:
    return Candidate(
        chunk=chunks[record["chunk"]],
        found={place["source"]: (place["rank"], place["score"]) for place in record["found"]},
        ensemble=record["ensemble"],
        rank=record["rank"],
        drawn=record["drawn"],
        preferred_by=tuple(record["preferred_by"]),
        to_query=record["to_query"],
        to_judged=record["to_judged"],
        to_each_judged=tuple(record["to_each_judged"]),
    )


def _vote(record: dict[str, Any] | None) -> tuple[int, float] | None:
    return None if record is None else (record["rank"], record["score"])
