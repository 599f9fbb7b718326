"""The stages of re-indexing: what it would do and cost, and doing it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from evaluation.catalogue import Catalogue
from evaluation.judgements import follow_renames
from flows.opened import catalogue
from flows.settings import Settings
from flows.stage_runs import logged
from flows.stages import Tell
from indexing.generations import present_names, read_documents
from indexing.home import Home
from indexing.parts import Workers, here
from indexing.releases import served


def plan(settings: Settings) -> dict[str, Any]:
    """Return what a re-index would do, what that would take, and how wrong earlier estimates were."""
    from indexing.reindexing.estimate import estimate_reindex, past_errors
    from indexing.reindexing.plan import plan_reindex

    home, index, rule = settings.open_home(), settings.index(), settings.reindex
    found = plan_reindex(home, index).as_json()
    with catalogue(settings) as book:
        work, estimate = estimate_reindex(home, index, rule, _judged_queries(home, book, rule.split))
    past = [asdict(one) for one in past_errors(home)]
    return {**found, "work": work.as_json(), "estimate": estimate.as_json(), "past": past}


def reindex(settings: Settings, tell: Tell, workers: Workers = here) -> dict[str, Any]:
    """Build the configured generation from the indexed documents, check it, and serve it if it is no worse."""
    from indexing.reindexing.reindex import reindex as build_anew
    from training.generation_check import judge_by_queries

    home, index, rule = settings.open_home(), settings.index(), settings.reindex
    with logged(settings, "reindex") as summary, catalogue(settings) as book:
        judge = judge_by_queries(home, index, book, rule, tell)
        report = build_anew(home, index, tell, rule, judge, _judged_queries(home, book, rule.split), workers)
        summary.update(report.as_json())
    return summary


def _judged_queries(home: Home, book: Catalogue, split: str) -> int:
    """Return how many queries of a split have a judged answer in the served documents."""
    release = served(home)
    documents = read_documents(home, release.generation, release.content)
    judgements = follow_renames(book.judgements(split), present_names(documents))
    return len({one.query for one in judgements if one.grade > 0 and one.document in documents})
