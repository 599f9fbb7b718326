"""The sample documents and their judged queries, merged over the families of documents.

The documents are families of sister products and editions, in which the same clause recurs with other values. Splits go
by clause family: all queries about a clause, in whichever sister or edition, are in one split, and no judged section is
in two, so that no near-copy of a training query is held out. The ``guard`` split holds identifier queries of every
document.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict, cast

from samples.render import DOCUMENTS

FAMILIES = Path(__file__).parent / "families"
SPLITS = ("train", "dev", "test", "guard")


class QueryRow(TypedDict):
    """One query; queries about the same clause share their ``group``."""

    id: str
    text: str
    split: str
    group: str


class JudgementRow(TypedDict):
    """``quote`` stands in the section numbered ``section`` of the PDF ``document`` and answers ``query``.

    ``grade`` is 2 for the answer and 1 for a passage that is part of it or points to it. A quote from a table is cut
    from one row of the Markdown, ``M12 | 10.9 | 54.1``, and ends before a cell's text wraps, because readers of PDFs
    see a table line by line.
    """

    query: str
    document: str
    section: str
    quote: str
    grade: int


def documents() -> list[Path]:
    """Return the Markdown sources, in order of name; ``samples.render.render_all`` makes the PDFs from them."""
    return sorted(DOCUMENTS.glob("*.md"))


def queries(split: str) -> list[QueryRow]:
    """Return the queries of a split, in order of family; raises ValueError for an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; there are: {', '.join(SPLITS)}")
    return [row for row in cast("Iterator[QueryRow]", _rows("*.queries.jsonl")) if row["split"] == split]


def judgements(split: str) -> list[JudgementRow]:
    """Return the judgements of the queries of a split."""
    wanted = {row["id"] for row in queries(split)}
    return [row for row in cast("Iterator[JudgementRow]", _rows("*.judgements.jsonl")) if row["query"] in wanted]


def _rows(pattern: str) -> Iterator[dict[str, Any]]:
    for path in sorted(FAMILIES.glob(pattern)):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
