"""What searchers passed over, or marked as wrong, as candidates for the negatives of queries with the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chunking.document import Chunk
from evaluation.judgements import Judgement, Query
from evaluation.projection import project
from evaluation.searches import Search, feedback, normalise_query
from indexing.fusion import Run

# What one person's "not this" is worth in results that were passed over: most of these were just not read.
WRONG_COUNTS = 3


def passed_over(
    queries: Sequence[Query],
    searches: Iterable[Search],
    chunks: Iterable[Chunk],
    text_of: Callable[[str], str | None],
    renamed: Mapping[str, str],
) -> Run:
    """Return, for each query that was searched for in the same words, what was passed over: chunk id to score.

    The score is how often a passage was skipped, and WRONG_COUNTS for each time it was marked as wrong. What was opened
    or confirmed, and not found wrong since, is never among them, nor is a chunk that shares such a place.
    ``text_of(document id)`` returns an indexed document's text, ``renamed`` the present names of documents.
    """
    words = {query.id: normalise_query(query.text) for query in queries}
    asked = set(words.values())
    learned = feedback((search for search in searches if normalise_query(search.query) in asked), text_of, renamed)
    shown = [
        Judgement(query, document, 1, start, end)
        for query, of in words.items()
        if of in learned
        for document, start, end in learned[of].places
    ]
    documents = {judgement.document for judgement in shown}
    projection = project(shown, (chunk for chunk in chunks if chunk.document in documents), text_of)
    run: Run = {}
    for query, hits in projection.hits.items():
        of_unit = {f"{d}#{start}-{end}": told for (d, start, end), told in learned[words[query]].places.items()}
        for chunk, units in hits.items():
            told = [of_unit[unit] for unit in units]
            if not any(entry.wanted for entry in told):
                score = sum(entry.skipped + WRONG_COUNTS * entry.wrong for entry in told)
                run.setdefault(query, {})[chunk] = float(score)
    return run
