"""Shadow: the served release goes on answering; another is scored beside it on what people really searched for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from chunking.document import as_shown
from evaluation.measures import measure
from evaluation.projection import project
from evaluation.verdict import Comparison, PromotionRule, compare
from indexing.embedding import Progress
from indexing.fusion import Run
from indexing.home import SpecmineError
from indexing.search import FUSION, RERANKED, Searcher
from training.live import LiveQueries

SHOWN = 10
"""How many results are compared: what a person sees."""

_BLOCK = 32
_CHANGED_TOLD = 20


@dataclass(frozen=True)
class Shadowed:
    """What another release would have answered.

    ``overlap`` is the mean share of the first ten results that both have, ``same_first`` the share of queries with
    the same first result. ``wanted`` compares where the wanted passages stand, None where nobody said or opened any.
    ``changed`` are the queries whose results differ most: (text, overlap).
    """

    queries: int
    overlap: float
    same_first: float
    wanted: Comparison | None
    changed: tuple[tuple[str, float], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the report with the keys other programs rely on."""
        return {
            "queries": self.queries,
            "overlap": round(self.overlap, 4),
            "same_first": round(self.same_first, 4),
            "wanted": asdict(self.wanted) if self.wanted else None,
            "changed": [{"query": text, "overlap": round(overlap, 4)} for text, overlap in self.changed],
        }


def shadow(before: Searcher, after: Searcher, live: LiveQueries, rule: PromotionRule, progress: Progress) -> Shadowed:
    """Answer the live queries with both releases, as each is served, and compare the answers.

    Raises SpecmineError when there is no query.
    """
    if not live.texts:
        raise SpecmineError("no search is logged that could be answered again: [search] log_days keeps them")
    runs = [served_run(searcher, live.texts, progress) for searcher in (before, after)]
    lists = [{query: _first(run.get(query, {})) for query in live.texts} for run in runs]
    overlaps = {query: _overlap(lists[0][query], lists[1][query]) for query in live.texts}
    changed = sorted((overlap, live.texts[query]) for query, overlap in overlaps.items() if overlap < 1)
    return Shadowed(
        len(live.texts),
        fmean(overlaps.values()),
        fmean(lists[0][query][:1] == lists[1][query][:1] for query in live.texts),
        _wanted(before, runs[0], runs[1], live, rule),
        tuple((text, overlap) for overlap, text in changed[:_CHANGED_TOLD]),
    )


def served_run(searcher: Searcher, texts: Mapping[str, str], progress: Progress) -> Run:
    """Search queries as the release is served: its fusion, re-ranked where it has a re-ranker."""
    name = RERANKED if searcher.release.reranker else FUSION
    found: Run = {}
    ids = list(texts)
    for first in range(0, len(ids), _BLOCK):
        block = {query: texts[query] for query in ids[first : first + _BLOCK]}
        found.update(searcher.runs(block)[name])
        progress(f"searching with {searcher.release.id or 'the candidate'}", min(first + _BLOCK, len(ids)), len(ids))
    return found


def _wanted(before: Searcher, old: Run, new: Run, live: LiveQueries, rule: PromotionRule) -> Comparison | None:
    if not live.judgements:
        return None
    chunks = map(as_shown, before.chunks.values())
    projection = project(live.judgements, chunks, before.document_text)
    if not projection.units:
        return None
    return compare(measure(old, projection), measure(new, projection), None, rule.measure, rule.level)


def _first(scores: Mapping[str, float]) -> list[str]:
    return sorted(scores, key=lambda chunk: (-scores[chunk], chunk))[:SHOWN]


def _overlap(one: list[str], other: list[str]) -> float:
    longest = max(len(one), len(other))
    return len(set(one) & set(other)) / longest if longest else 1.0
