"""The commands of ``specmine queries``: make synthetic queries, list them, remove them; list the judged ones too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from evaluation.judgements import SYNTHETIC, Query
from flows import show_queries
from flows.commands import as_flow, config_of
from flows.output import Session
from flows.settings import Settings, load_settings
from flows.stages import catalogue
from indexing.home import SpecmineError


def generate(
    session: Session,
    generators: Sequence[str],
    per_document: int | None,
    limit: int | None,
    seed: int | None,
    documents: Sequence[str],
    dry_run: bool,
    prefect: bool | None,
) -> None:
    """Make queries here or as a flow."""
    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.generate import generate as flow

        result = flow(
            generators=list(generators),
            per_document=per_document,
            limit=limit,
            seed=seed,
            documents=list(documents),
            dry_run=dry_run,
            config=config_of(settings),
        )
    else:
        from flows import stages

        wanted = stages.generating(settings, generators, per_document, seed)
        with session.progress() as tell:
            result = stages.generate(wanted, documents, limit, dry_run, tell)
    session.emit(result, lambda console: show_queries.generated(console, result, settings.mine.synthetic))


def list_all(session: Session, split: str | None, limit: int | None) -> None:
    """List the queries of a split, or of all."""
    result = listing(load_settings(session.config), split, None if session.json else limit or 20)
    session.emit(result, lambda console: show_queries.listing(console, result))


def listing(settings: Settings, split: str | None, most: int | None) -> dict[str, Any]:
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


def remove(session: Session, generator: str, documents: Sequence[str]) -> None:
    """Remove what one generator made, of all documents or of some."""
    with catalogue(load_settings(session.config)) as book:
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
    result = {"generator": generator, "documents": len(meant), "removed": removed}
    session.emit(
        result,
        lambda console: console.print(f"removed {removed} queries that {generator} made of {len(meant)} documents"),
    )
