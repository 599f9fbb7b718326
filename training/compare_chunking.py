"""Chunkings compared: the served documents cut in several ways, searched for the same judged queries.

Every chunking is an index of its own beside the served one (``indexing.scratch``), searched with the query encoders as
they were pretrained: versions that were trained on one chunking's passages would favour it. Judgements name places in
documents, so they hold for every chunking; those that map to no passage of one are counted there, and a query that maps
under some chunking but not under this one scores 0.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from chunking.document import as_shown
from evaluation.coverage import span_coverage
from evaluation.judgements import Judgement, Query, follow_renames
from evaluation.leakage import groups
from evaluation.measures import Measures, measure, over
from evaluation.projection import Projection, project
from evaluation.significance import holm
from evaluation.verdict import Comparison, compare
from indexing.embedding import Progress
from indexing.fusion import Run
from indexing.generations import present_names, read_documents
from indexing.home import Home, SpecmineError
from indexing.releases import served
from indexing.scratch import ScratchIndex, build_scratch, scratch_home, text_lengths
from indexing.search import Searcher
from indexing.settings import IndexSettings
from training.referee import DEPTH

TESTED = "nDCG@10"
_SHOWN = {"nDCG@10": "nDCG@10", "MRR@10": "RR@10", "Recall@10": "R@10"}
_LEVEL = 0.95


@dataclass(frozen=True)
class Chunking:
    """A splitter and the size of its passages in tokens, as named: ``section:256``."""

    splitter: str
    max_tokens: int

    @property
    def name(self) -> str:
        """How it is written."""
        return f"{self.splitter}:{self.max_tokens}"


@dataclass(frozen=True)
class _Measured:
    """One chunking, searched: measures and coverage by run, over the queries that map under it."""

    index: ScratchIndex
    seconds: float
    projection: Projection
    runs: dict[str, Measures]
    coverage: dict[str, dict[str, float]]


def parse_chunkings(named: str) -> list[Chunking]:
    """Return the chunkings of a list such as ``section:256,fixed:256``. Raises SpecmineError for any other text."""
    chunkings = []
    for part in named.split(","):
        splitter, colon, size = part.strip().partition(":")
        if not splitter or not colon or not size.isdecimal():
            raise SpecmineError(f"{part.strip()!r} is no splitter and size: write them like section:256,fixed:256")
        chunkings.append(Chunking(splitter, int(size)))
    if len(set(chunkings)) < max(2, len(chunkings)):
        raise SpecmineError("a comparison needs two splitters or more, each named once")
    return chunkings


def compare_chunking(
    home: Home,
    settings: IndexSettings,
    chunkings: Sequence[Chunking],
    encoders: Sequence[str],
    queries: Sequence[Query],
    judgements: Sequence[Judgement],
    keep: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Build, search and measure every chunking of the served documents; return the comparison as JSON-able values.

    ``encoders`` names those to embed with, all that are configured when it is empty. ``keep`` leaves the indexes where
    they were built. Raises SpecmineError when nothing is indexed, a chunking cannot be, an encoder is not configured,
    or no judgement maps.
    """
    started = time.monotonic()
    known = [spec.name for spec in settings.encoders]
    if unknown := [name for name in encoders if name not in known]:
        raise SpecmineError(f"there is no encoder {unknown[0]!r}; configured are: {', '.join(known)}")
    release = served(home)
    planned = [_settings_for(settings, chunking) for chunking in chunkings]  # refused before anything is built
    documents = read_documents(home, release.generation, release.content)
    judgements = follow_renames(judgements, present_names(documents))
    measured: dict[str, _Measured] = {}
    with scratch_home(home, keep) as scratch:
        for chunking, wanted in zip(chunkings, planned, strict=True):

            def tell(stage: str, done: int, total: int, name: str = chunking.name) -> None:
                progress(f"{name}: {stage}", done, total)

            measured[chunking.name] = _measure(home, scratch, wanted, encoders or known, queries, judgements, tell)
    judged = sorted({query for entry in measured.values() for query in entry.projection.units})
    lengths = text_lengths(home, documents)
    middle = statistics.median(lengths.values())
    longest = _longest_documents(judged, judgements, lengths)
    lists = {
        "long": [query for query in judged if longest[query] > middle],
        "short": [query for query in judged if longest[query] <= middle],
    }
    first = chunkings[0].name
    return {
        "release": release.id,
        "queries": len(judged),
        "queries_long": len(lists["long"]),
        "queries_short": len(lists["short"]),
        "documents": len(documents),
        "long_documents_above_bytes": int(middle),
        "splitters": [_about(name, entry) for name, entry in measured.items()],
        "runs": _rows(measured, judged, lists),
        "against": first,
        "tests": _tests(measured, first, judged, groups(queries, judgements)),
        "seconds": round(time.monotonic() - started, 3),
    }


def _settings_for(settings: IndexSettings, chunking: Chunking) -> IndexSettings:
    try:
        wanted = replace(settings.chunking, splitter=chunking.splitter, max_tokens=chunking.max_tokens)
    except ValueError as error:
        raise SpecmineError(f"{chunking.name}: {error}") from None
    return replace(settings, chunking=wanted)


def _measure(
    home: Home,
    scratch: Home,
    settings: IndexSettings,
    encoders: Sequence[str],
    queries: Sequence[Query],
    judgements: Sequence[Judgement],
    tell: Progress,
) -> _Measured:
    clock = time.monotonic()
    index = build_scratch(home, scratch, settings, encoders, tell)
    seconds = time.monotonic() - clock
    searcher = Searcher.open(scratch, index.settings, index.release)
    try:
        chunks = {chunk.id: as_shown(chunk) for chunk in searcher.chunks.values()}  # what a reader is shown counts
        projection = project(judgements, chunks.values(), searcher.document_text)
        if not projection.units:
            raise SpecmineError("no judgement maps to an indexed passage: ingest the judged documents first")
        texts = {query.id: query.text for query in queries if query.id in projection.units}
        tell("searching", 0, len(texts))
        runs: dict[str, Run] = searcher.runs(texts, depth=DEPTH)
        tell("searching", len(texts), len(texts))
        return _Measured(
            index,
            seconds,
            projection,
            {name: measure(run, projection) for name, run in runs.items()},
            {name: span_coverage(run, projection.units, chunks) for name, run in runs.items()},
        )
    finally:
        searcher.close()


def _longest_documents(
    queries: Sequence[str], judgements: Sequence[Judgement], lengths: Mapping[str, int]
) -> dict[str, int]:
    """Return, for each query, the length of the longest document that is judged relevant to it."""
    longest = dict.fromkeys(queries, 0)
    for judgement in judgements:
        if judgement.grade > 0 and judgement.query in longest:
            longest[judgement.query] = max(longest[judgement.query], lengths.get(judgement.document, 0))
    return longest


def _about(name: str, entry: _Measured) -> dict[str, Any]:
    reasons = Counter(lost.reason for lost in entry.projection.unmapped)
    return {
        "splitter": name,
        "passage_tokens": entry.index.max_tokens,
        "chunks": entry.index.chunks,
        "bytes": entry.index.bytes,
        "embedded": entry.index.embedded,
        "seconds": round(entry.seconds, 1),
        "unmapped_judgements": len(entry.projection.unmapped),
        "unmapped_reasons": dict(reasons),
    }


def _rows(
    measured: Mapping[str, _Measured], judged: Sequence[str], lists: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    rows = []
    for run in _runs(measured):
        for name, entry in measured.items():
            values = over(entry.runs[run], judged).per_query
            covered = entry.coverage[run]
            row: dict[str, Any] = {"run": run, "splitter": name}
            row |= {shown: _mean([values[query][key] for query in judged]) for shown, key in _SHOWN.items()}
            row["coverage@10"] = _mean(list(covered.values()))
            for which, members in lists.items():
                row[f"nDCG@10 {which}"] = _mean([values[query][TESTED] for query in members])
                row[f"coverage@10 {which}"] = _mean([covered[query] for query in members if query in covered])
            rows.append(row)
    return rows


def _tests(
    measured: Mapping[str, _Measured], first: str, judged: Sequence[str], of_query: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Compare every chunking with the first, for each run; p-values are Holm's over all of these comparisons."""
    found: list[tuple[str, str, Comparison]] = []
    for run in _runs(measured):
        before = over(measured[first].runs[run], judged)
        for name, entry in measured.items():
            if name != first:
                after = over(entry.runs[run], judged)
                found.append((run, name, compare(before, after, of_query, TESTED, _LEVEL)))
    adjusted = holm([test.p_value for _, _, test in found])
    return [
        {"run": run, "splitter": name, "measure": TESTED, **asdict(test), "p_holm": p}
        for (run, name, test), p in zip(found, adjusted, strict=True)
    ]


def _runs(measured: Mapping[str, _Measured]) -> list[str]:
    """Return the names of the runs: every encoder, BM25 and the fusion."""
    return list(next(iter(measured.values())).runs)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
