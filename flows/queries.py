"""The queries of the catalogue as one object, and the synthetic ones removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from evaluation.judgements import SYNTHETIC, Query
from flows.opened import catalogue
from flows.settings import Settings
from indexing.home import SpecmineError


def list_all(settings: Settings, split: str | None, most: int | None) -> dict[str, Any]:
    """Return how many queries each split has, and the first ``most`` of ``split``, or of all, with what made them."""
    with catalogue(settings) as book:
        names = (*book.splits(), SYNTHETIC)
        if split is not None and split not in names:
            raise SpecmineError(f"split must be one of {', '.join(names)}, not {split!r}")
        queries = {name: book.queries(name) for name in names}
        generated = book.generated()
    made = {entry.query.id: (found, entry) for found in generated for entry in found.queries}

    def row(query: Query) -> dict[str, Any]:
        told: dict[str, Any] = {"id": query.id, "split": query.split, "text": query.text}
        if query.id in made:
            found, entry = made[query.id]
            told |= {
                "generator": found.generator,
                "document": entry.judgement.document,
                "start": entry.judgement.start,
                "end": entry.judgement.end,
                "rank": entry.rank,
                "made_by": dict(found.settings),
                "time": found.time,
            }
        return told

    wanted = [query for name in names if split in (None, name) for query in queries[name]]
    return {
        "splits": {name: len(found) for name, found in queries.items()},
        "generators": dict(Counter(found.generator for found in generated for _ in found.queries)),
        "queries": [row(query) for query in wanted[:most]],
        "total": len(wanted),
    }


def remove(settings: Settings, generator: str, documents: Sequence[str]) -> dict[str, Any]:
    """Remove what one generator made, of all documents or of some; return how many queries of how many documents.

    Raises SpecmineError where nothing is stored that it made.
    """
    with catalogue(settings) as book:
        generated = book.generated()
        of_generator = [found for found in generated if found.generator == generator]
        if not of_generator:
            known = ", ".join(sorted({found.generator for found in generated}))
            raise SpecmineError(f"generator {generator!r} made nothing that is stored; {known or 'none'} did")
        meant = [found for found in of_generator if not documents or found.document in documents]
        for name in documents:
            if not any(found.document == name for found in of_generator):
                raise SpecmineError(f"generator {generator!r} made nothing of document {name!r}")
        removed = book.remove_generated([(found.generator, found.document) for found in meant])
    return {"generator": generator, "documents": len(meant), "removed": removed}
