"""What stages work on, open: a release, the catalogue, and judged queries with what answers them in that release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from chunking.document import as_shown
from evaluation.catalogue import Catalogue
from evaluation.catalogue_decisions import Decision
from evaluation.judgements import Judgement, Query, follow_renames, training_splits
from evaluation.projection import Projection, project
from flows.settings import Settings
from indexing.generations import present_names
from indexing.home import SpecmineError
from indexing.releases import Release
from indexing.search import Searcher


@contextmanager
def opened(settings: Settings, release: Release | None = None) -> Iterator[Searcher]:
    """Yield ``release``, or the served one, open for searching."""
    searcher = Searcher.open(settings.open_home(), settings.index(), release)
    try:
        yield searcher
    finally:
        searcher.close()


@contextmanager
def catalogue(settings: Settings) -> Iterator[Catalogue]:
    """Yield the catalogue."""
    book = Catalogue(settings.catalogue_url())
    try:
        yield book
    finally:
        book.close()


def judged(searcher: Searcher, book: Catalogue, split: str, shown: bool = False) -> tuple[list[Query], Projection]:
    """Return the queries of a split and their judgements on the searcher's chunks; at least one must map.

    ``shown`` asks whether what is shown for a chunk answers a query, rather than the chunk itself.
    """
    queries = book.queries(split)
    if not queries:
        raise no_queries(split)
    judgements = follow_renames(book.judgements(split), present_names(searcher.documents))
    return queries, _projected(searcher, judgements, split, shown)


def learned(
    searcher: Searcher, book: Catalogue, synthetic: bool, decisions: Sequence[Decision]
) -> tuple[list[Query], Projection]:
    """Return the queries that train, and what answers them: as judged, as made, and as people confirmed since."""
    from mining.decisions import confirmed_judgements

    splits = training_splits(synthetic)
    queries = [query for split in splits for query in book.queries(split)]
    if not queries:
        raise no_queries("train")
    stored = [judgement for split in splits for judgement in book.judgements(split)]
    confirmed = confirmed_judgements({query.id for query in queries}, decisions)
    judgements = [*follow_renames(stored, present_names(searcher.documents)), *confirmed]
    return queries, _projected(searcher, judgements, "train", shown=False)


def _projected(searcher: Searcher, judgements: Sequence[Judgement], split: str, shown: bool) -> Projection:
    chunks = searcher.chunks.of_documents(judgement.document for judgement in judgements)
    projection = project(judgements, map(as_shown, chunks) if shown else chunks, searcher.document_text)
    if not projection.units:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in count_reasons(projection).items())
        raise SpecmineError(
            f"no judgement of split {split!r} maps to an indexed passage ({reasons or 'none is relevant'})"
        )
    return projection


def no_queries(split: str) -> SpecmineError:
    """Return what to say where a split has no queries."""
    hint = ""
    if split == "train":
        hint = "; or `specmine queries generate`, and let them train with synthetic = true in [mine]"
    return SpecmineError(
        f"there are no judged queries of split {split!r}: run "
        f"`specmine judgements import --queries FILE --judgements FILE --split {split}`{hint}"
    )


def count_reasons(projection: Projection) -> dict[str, int]:
    """Return how many judgements map to no passage, by the reason."""
    counts: dict[str, int] = {}
    for entry in projection.unmapped:
        counts[entry.reason] = counts.get(entry.reason, 0) + 1
    return counts
