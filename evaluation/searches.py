"""What people searched for, what they were shown, and what they did with it.

A passage is logged by document and span. The id of its chunk, which is made of document, span and text, is kept as a
check: feedback counts only while the document still says the same there.
"""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from chunking.document import chunk_id
from evaluation.judgements import MAX_TEXT, Judgement, check_text

Origin = Literal["cli", "dashboard", "api"]
Event = Literal["opened", "confirmed", "wrong", "withdrawn"]
"""What can happen to a passage that was shown; ``withdrawn`` takes back that it was confirmed or wrong."""

CONFIRMED, WRONG = "confirmed", "wrong"

Place = tuple[str, int, int]
"""A document and a span ``[start, end)`` of its text."""

_Key = tuple[str, int, int, str]  # document, span and chunk of a passage as it was shown


@dataclass(frozen=True, slots=True)
class Shown:
    """A passage that a search showed: ``rank`` counts from 1 in the order in which a person saw them.

    ``verdict`` is CONFIRMED, WRONG or None, ``judged`` when it was given (ISO 8601, UTC).
    """

    rank: int
    document: str
    start: int
    end: int
    chunk: str
    score: float
    opened: bool = False
    verdict: str | None = None
    judged: str | None = None

    @property
    def passed_over(self) -> bool:
        """Whether nothing was done with it."""
        return not self.opened and self.verdict is None

    @property
    def wanted(self) -> bool:
        """Whether it was confirmed, or opened and not found wrong."""
        return self.verdict == CONFIRMED or (self.opened and self.verdict is None)


@dataclass(frozen=True, slots=True)
class Search:
    """One search and its results. ``time`` is ISO 8601 in UTC, ``milliseconds`` how long the answer took."""

    id: str
    time: str
    query: str
    release: str
    origin: str
    milliseconds: float
    shown: tuple[Shown, ...]

    def __post_init__(self) -> None:
        check_text("query", self.query, MAX_TEXT)
        if self.origin not in get_args(Origin):
            raise ValueError(f"origin must be one of {', '.join(get_args(Origin))}, not {self.origin!r}")
        for passage in self.shown:
            Judgement("*", passage.document, 0, passage.start, passage.end)  # checks the place


@dataclass(frozen=True, slots=True)
class Feedback:
    """What people did with a passage over all searches for one query; the newest ``verdict`` counts.

    ``skipped`` is how often it was passed over although one below it, or the one just above it, was wanted.
    """

    skipped: int = 0
    opened: int = 0
    wrong: int = 0
    verdict: str | None = None
    judged: str = ""

    @property
    def wanted(self) -> bool:
        """Whether it was confirmed, or opened and not found wrong."""
        return self.verdict == CONFIRMED or (self.opened > 0 and self.verdict is None)


@dataclass(frozen=True, slots=True)
class QueryFeedback:
    """One query, in the words of its first search, and what was done with the passages shown for it.

    ``lost`` counts the confirmed and the wrong ones whose document is gone or says something else there now.
    """

    text: str
    places: dict[Place, Feedback]
    lost: int


def new_search_id() -> str:
    """Return an id that nobody can guess: who knows it has seen the search's results."""
    return uuid.uuid4().hex


def normalise_query(text: str) -> str:
    """Return what is the same for all spellings of a query: without case, runs of white space, compatibility forms."""
    # Twice, as in Unicode's compatibility caseless match: some letters fold only once they are decomposed, and to what
    # can be decomposed again.
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = unicodedata.normalize("NFKD", folded).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def feedback(
    searches: Iterable[Search], text_of: Callable[[str], str | None], renamed: Mapping[str, str]
) -> dict[str, QueryFeedback]:
    """Return what was done with which passages, by normalised query.

    What is passed over counts where an opened or confirmed passage stands below it or just above it: who wanted that
    one has most likely looked at these ("Last Click > Skip Above" and "Click > No-Click Next" of Joachims et al.,
    SIGIR 2005). ``text_of(document id)`` returns an indexed document's text, each is asked for once; ``renamed`` gives
    the present names of documents by former name. Searches of which nothing can be learned are left out.
    """
    ordered = sorted(searches, key=lambda search: (search.time, search.id))
    told = [(search, passage, skipped) for search in ordered for passage, skipped in _told(search)]
    same = _still_there({passage for _, passage, _ in told}, text_of, renamed)
    texts: dict[str, str] = {}
    places: dict[str, dict[Place, Feedback]] = {}
    lost: dict[str, set[_Key]] = {}
    for search, passage, skipped in told:
        query = normalise_query(search.query)
        texts.setdefault(query, search.query)
        of_query = places.setdefault(query, {})
        place = same.get(_key(passage))
        if place is None and passage.verdict is not None:
            lost.setdefault(query, set()).add(_key(passage))
        if place is not None:
            of_query[place] = _added(of_query.get(place, Feedback()), passage, skipped)
    return {
        query: QueryFeedback(texts[query], of_query, len(lost.get(query, ()))) for query, of_query in places.items()
    }


def _told(search: Search) -> Iterator[tuple[Shown, bool]]:
    """Yield what a search tells of its passages, each with whether it was skipped."""
    reach = max((passage.rank + 1 for passage in search.shown if passage.wanted), default=0)
    for passage in search.shown:
        if not passage.passed_over or passage.rank <= reach:
            yield passage, passage.passed_over


def _added(before: Feedback, passage: Shown, skipped: bool) -> Feedback:
    judged = passage.judged or ""
    newer = passage.verdict is not None and judged >= before.judged
    return Feedback(
        before.skipped + skipped,
        before.opened + passage.opened,
        before.wrong + (passage.verdict == WRONG),
        passage.verdict if newer else before.verdict,
        judged if newer else before.judged,
    )


def _still_there(
    passages: Iterable[Shown], text_of: Callable[[str], str | None], renamed: Mapping[str, str]
) -> dict[_Key, Place]:
    """Return where the passages stand now, of those whose words have not changed."""
    of_document: dict[str, set[_Key]] = {}
    for passage in passages:
        present = renamed.get(passage.document, passage.document)
        of_document.setdefault(present, set()).add(_key(passage))
    same: dict[_Key, Place] = {}
    for document, keys in sorted(of_document.items()):
        text = text_of(document)
        if text is None:
            continue
        for key in keys:
            name, start, end, chunk = key
            if chunk_id(name, start, end, text[start:end]) == chunk:
                same[key] = (document, start, end)
    return same


def _key(passage: Shown) -> _Key:
    return passage.document, passage.start, passage.end, passage.chunk
