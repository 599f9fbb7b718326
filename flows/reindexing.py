"""The stages of re-indexing: what it would do and cost, and doing it."""

from __future__ import annotations

from typing import Any

from flows.settings import Settings
from flows.stage_runs import logged
from flows.stages import Tell, catalogue


def plan(settings: Settings) -> dict[str, Any]:
    """Return what a re-index would do."""
    from indexing.reindex_plan import plan_reindex

    return plan_reindex(settings.open_home(), settings.index()).as_json()


def reindex(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Build the configured generation from the indexed documents, check it, and serve it if it is no worse."""
    from indexing.reindex import reindex as build_anew
    from training.generation_check import judge_by_queries

    home, index, rule = settings.open_home(), settings.index(), settings.reindex
    with logged(settings, "reindex") as summary, catalogue(settings) as book:
        judge = judge_by_queries(home, index, book, rule, tell)
        summary.update(build_anew(home, index, tell, rule, judge).as_json())
    return summary
