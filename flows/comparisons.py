"""Stages that measure other ways to index beside what is served, and change nothing of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from evaluation.judgements import follow_renames
from flows.opened import catalogue, judged, no_queries, opened
from flows.settings import Settings
from flows.stage_runs import logged
from flows.stages import Tell
from indexing.generations import present_names
from indexing.home import write_json


def compare_geometry(settings: Settings, split: str, tell: Tell) -> dict[str, Any]:
    """Measure every geometry of every served encoder on one split; nothing is published."""
    from training.geometries import compare_geometries

    with logged(settings, "compare geometry") as summary, opened(settings) as searcher, catalogue(settings) as book:
        queries, projection = judged(searcher, book, split)
        judgements = follow_renames(book.judgements(split), present_names(searcher.documents))
        summary.update(split=split, **compare_geometries(searcher, queries, judgements, projection, tell))
    return summary


def compare_chunking(
    settings: Settings, splitters: str, split: str, encoders: Sequence[str], keep: bool, tell: Tell
) -> dict[str, Any]:
    """Measure several chunkings of the served documents on one split; leave the report in ``comparisons/``."""
    from flows.reports import compared_chunkings
    from training.compare_chunking import compare_chunking as compare
    from training.compare_chunking import parse_chunkings

    chunkings = parse_chunkings(splitters)
    index, home = settings.index(), settings.open_home()
    with logged(settings, "compare chunking") as summary, catalogue(settings) as book:
        queries, judgements = book.queries(split), book.judgements(split)
        if not queries:
            raise no_queries(split)
        summary.update(split=split, **compare(home, index, chunkings, encoders, queries, judgements, keep, tell))
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        report = home.comparisons / f"chunking-{split}-{stamp}.md"
        summary["report"] = str(report)
        write_json(report.with_suffix(".json"), summary)
        report.write_text(compared_chunkings.markdown(summary), encoding="utf-8")
    return summary
