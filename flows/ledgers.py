"""Ledgers as people and programs ask for them: which there are, what one holds, how two differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chunking.document import SECTION_SEPARATOR, Chunk
from indexing.home import Home, SpecmineError
from mining.diff import diff_ledgers
from mining.ledger import (
    VERDICTS,
    Ledger,
    LedgerError,
    LedgerQuery,
    LedgerRow,
    list_ledgers,
    read_ledger,
    read_manifest,
)
from mining.passages import ledger_passages


def list_all(home: Home) -> dict[str, Any]:
    """Return all ledgers, newest first, each with its counts or with why it cannot be read."""
    ledgers: list[dict[str, Any]] = []
    for ledger_id in reversed(list_ledgers(home)):
        try:
            manifest = read_manifest(home, ledger_id)
        except LedgerError as error:
            ledgers.append({"ledger": ledger_id, "problem": str(error)})
            continue
        keys = ("created", "release", "queries", "rows", "verdicts")
        ledgers.append({"ledger": ledger_id, "problem": "", **{key: manifest.get(key) for key in keys}})
    return {"ledgers": ledgers}


def show(home: Home, ledger_id: str, query: str | None, verdict: str | None, limit: int | None) -> dict[str, Any]:
    """Return a ledger's counts and its rows: those of one query, by its id or a part of its text, and of one verdict.

    Raises SpecmineError for an unknown verdict, or a query that the ledger does not have.
    """
    if verdict is not None and verdict not in VERDICTS:
        raise SpecmineError(f"there is no verdict {verdict!r}: choose {', '.join(VERDICTS)}")
    _check_limit(limit)
    ledger = read_ledger(home, ledger_id)
    queries = {found.id: found for found in ledger.queries}
    asked = queries.keys() if query is None else _matching(ledger, query)
    rows = [row for row in ledger.rows if row.query in asked and verdict in (None, row.verdict)]
    shown = rows[:limit]
    return {
        "ledger": ledger.id,
        "created": ledger.manifest.get("created"),
        "release": ledger.manifest.get("release"),
        "queries": len(ledger.queries),
        "rows": len(ledger.rows),
        "verdicts": ledger.manifest.get("verdicts", {}),
        "matching": len(rows),
        "shown": rows_json(shown, queries, _chunks(home, ledger, shown)),
    }


def diff(home: Home, before_id: str, after_id: str) -> dict[str, Any]:
    """Return which candidates changed their verdict, appeared or went away, and what differed in the mining."""
    before, after = read_ledger(home, before_id), read_ledger(home, after_id)
    found = diff_ledgers(before, after)
    queries = {query.id: query for ledger in (before, after) for query in ledger.queries}
    old = _chunks(home, before, (*found.gone, *(row for row, _ in found.changed)))
    new = _chunks(home, after, (*found.appeared, *(row for _, row in found.changed)))
    changed = []
    for was, row in found.changed:
        (entry,) = rows_json([row], queries, new)
        changed.append({**entry, "before": was.verdict, "before_reason": was.reason})
    return {
        "before": before.id,
        "after": after.id,
        "matrix": found.matrix,
        "took_part": {name: {"before": was, "after": now} for name, (was, now) in found.took_part.items()},
        "changed": changed,
        "appeared": rows_json(found.appeared, queries, new),
        "gone": rows_json(found.gone, queries, old),
    }


def export(home: Home, ledger_id: str, form: str, file: Path) -> dict[str, Any]:
    """Write a ledger's training set to a file, and return what was written."""
    from mining.export import export_ledger

    return asdict(export_ledger(home, read_ledger(home, ledger_id), form, file))


def rows_json(
    rows: Iterable[LedgerRow], queries: Mapping[str, LedgerQuery], chunks: Mapping[str, Chunk]
) -> list[dict[str, Any]]:
    """Return rows with the keys other programs rely on; section, pages and text are None where the text is gone."""
    return [
        {
            "query": row.query,
            "query_text": queries[row.query].text if row.query in queries else None,
            "chunk": row.chunk,
            "document": row.document,
            "section": SECTION_SEPARATOR.join(chunk.section) if chunk else None,
            "pages": [chunk.first_page, chunk.last_page] if chunk else None,
            "span": [row.start, row.end],
            "text": chunk.text if chunk else None,
            "verdict": row.verdict,
            "reason": row.reason,
            "reviewer": row.reviewer,
            "ensemble_score": row.ensemble_score,
            "cross_score": row.cross_score,
            "positive_cross_score": row.positive_cross_score,
            "sources": {source.name: {"rank": source.rank, "score": source.score} for source in row.sources},
        }
        for row in rows
        for chunk in (chunks.get(row.chunk),)
    ]


def _matching(ledger: Ledger, query: str) -> set[str]:
    ids = {found.id for found in ledger.queries}
    if query in ids:
        return {query}
    matching = {found.id for found in ledger.queries if query.casefold() in found.text.casefold()}
    if not matching:
        raise SpecmineError(f"ledger {ledger.id} has no query with the id {query!r} or these words")
    return matching


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 0:
        raise SpecmineError(f"the limit must be 0 or more, not {limit}")


def _chunks(home: Home, ledger: Ledger, rows: Iterable[LedgerRow]) -> Mapping[str, Chunk]:
    """Return the passages of ``rows``, none where their content is gone: a ledger is shown without them too."""
    try:
        return ledger_passages(home, ledger, {row.document for row in rows})
    except LedgerError:
        return {}
