"""Live queries: what people searched for, and what they were looking for, from the log of searches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from evaluation.judgements import Judgement
from evaluation.searches import Search, feedback, normalise_query


@dataclass(frozen=True)
class LiveQueries:
    """Distinct queries of the log, the latest first: id → text. ``judgements`` are of those with a wanted passage.

    A passage is wanted that was confirmed, or opened and not found wrong. It was seen in the order of the release that
    was served then, so it favours that release.
    """

    texts: dict[str, str]
    judgements: tuple[Judgement, ...]


def live_queries(
    searches: Iterable[Search],
    text_of: Callable[[str], str | None],
    renamed: Mapping[str, str],
    limit: int | None = None,
    since: str = "",
) -> LiveQueries:
    """Return the latest ``limit`` distinct queries of the log, and what was wanted.

    ``since`` (ISO 8601, UTC) leaves out what was searched before. ``text_of`` and ``renamed`` are as in
    ``evaluation.searches.feedback``: what a document no longer says was not wanted of it.
    """
    chosen: dict[str, str] = {}
    kept = []
    for search in sorted(searches, key=lambda search: (search.time, search.id), reverse=True):
        words = normalise_query(search.query)
        if search.time < since or (limit is not None and len(chosen) >= limit and words not in chosen):
            continue
        chosen.setdefault(words, search.query)
        kept.append(search)
    ids = {words: f"live-{number:05d}" for number, words in enumerate(chosen)}
    judgements = [
        Judgement(ids[words], document, 1, start, end)
        for words, told in feedback(kept, text_of, renamed).items()
        for (document, start, end), entry in sorted(told.places.items())
        if entry.wanted
    ]
    return LiveQueries({ids[words]: text for words, text in chosen.items()}, tuple(judgements))
