"""What follows from a run's end, and why: new documents are measured, new judgements are learned from. No Prefect here.

``following`` names the flows that the end of one calls for. Flows tell it to Prefect as events (``flows.events``), and
automations on the server start what is called for (``flows.automations``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evaluation.catalogue import Catalogue
from evaluation.catalogue_runs import RunRecord
from flows import reindexing
from flows.lessons import lessons
from flows.opened import catalogue
from flows.settings import Settings

Report = Mapping[str, Any]
Reasons = dict[str, str]

ALERT = "alert"
"""What is called for besides flows: somebody is to be told."""

UNTIL_DONE = ("mine", "reindex")
"""What calls for these stands until they are done: while one is under way it is no reason for another."""

_FULL_SEARCH = ("release", "fusion")  # the runs that tell how good a release is, the first there is
_RUNS_LOOKED_AT = 1000


def following(flow: str, report: Report, settings: Settings) -> Reasons:
    """Return the flows that the end of ``flow`` with ``report`` calls for, with the reason of each."""
    follow = FOLLOWING.get(flow)
    if follow is None or not settings.chain.enabled:
        return {}
    with catalogue(settings) as book:
        return follow(report, settings, book)


def after_ingest(report: Report, settings: Settings, book: Catalogue) -> Reasons:
    """New documents are measured, and make a re-index worth while once many are stale."""
    counts = report["documents"]
    changed = {name: counts[name] for name in ("indexed", "renamed", "removed") if counts[name]}
    told = ", ".join(f"{count} documents {name}" for name, count in changed.items())
    reasons = due_reindex(settings)
    if changed and _is_judged(book):
        reasons["evaluate"] = told
    elif changed:
        reasons |= enough_lessons(settings, book)
    return reasons


def after_refused_ingest(settings: Settings) -> Reasons:
    """The configuration, or a new version of specmine, asks for another index: it is built where that is worth it."""
    return due_reindex(settings) if settings.chain.enabled else {}


def after_evaluate(report: Report, settings: Settings, book: Catalogue) -> Reasons:
    """A fall is looked into; new judgements are learned from."""
    return {**_fall(report, settings, book), **enough_lessons(settings, book)}


def after_mine(report: Report, settings: Settings, book: Catalogue) -> Reasons:
    """What was mined is trained on."""
    kept = report["verdicts"].get("kept", 0)
    return {"retrain": f"{kept} negatives in ledger {report['ledger']}"} if kept else {}


def after_release(report: Report, settings: Settings, book: Catalogue) -> Reasons:
    """A new release is measured."""
    if report.get("release") and report.get("published", True) and _is_judged(book):
        return {"evaluate": f"release {report['release']} was published"}
    return {}


def after_monitor(report: Report, settings: Settings, book: Catalogue) -> Reasons:
    """Somebody is told of a release that fell; monitor has served the one before again."""
    if report["fell"]:
        return {ALERT: report["reason"]}
    return enough_lessons(settings, book)


FOLLOWING: dict[str, Callable[[Report, Settings, Catalogue], Reasons]] = {
    "ingest": after_ingest,
    "inbox": after_ingest,
    "evaluate": after_evaluate,
    "mine": after_mine,
    "retrain": after_release,
    "retrain_reranker": after_release,
    "reindex": after_release,
    "monitor": after_monitor,
}


def enough_lessons(settings: Settings, book: Catalogue) -> Reasons:
    """Call for mining when enough was judged or decided since the last one."""
    now, last = lessons(book, settings.mine.synthetic), _last(book, "mine")
    before = last.summary.get("lessons", {}) if last else {}
    new = {name: count - before.get(name, 0) for name, count in now.items()}
    if not now["judgements"]:  # nothing to learn from at all
        return {}
    if new["judgements"] >= settings.chain.judgements or new["decisions"] >= settings.chain.decisions:
        return {"mine": f"{new['judgements']} judgements and {new['decisions']} decisions since the last mining"}
    return {}


def due_reindex(settings: Settings) -> Reasons:
    """Call for a re-index when its planned benefit exceeds its planned cost.

    The benefit is the share of documents that would be made anew, the cost the time that this installation's rates
    foretell; where nothing was measured yet the plan has no estimate, and nothing is called for.
    """
    plan = reindexing.plan(settings)
    estimate = plan.get("estimate") or {}
    anew = plan["documents_to_read"] + plan["documents_to_cut"]
    share = anew / plan["documents"] if plan["documents"] else 0.0
    if share < settings.chain.stale or "wall_seconds" not in estimate or estimate.get("unmeasured"):
        return {}
    minutes = estimate["wall_seconds"] / 60
    if minutes > settings.chain.reindex_minutes:
        return {}
    return {"reindex": f"{anew} of {plan['documents']} documents would be made anew, in about {minutes:.1f} minutes"}


def _fall(report: Report, settings: Settings, book: Catalogue) -> Reasons:
    """Call for ``monitor`` when the release measures worse than the last time anything was measured on this split."""
    if not report.get("runs"):
        return {}
    run = next((name for name in _FULL_SEARCH if name in report["runs"]), None)
    measure = settings.promotion.measure
    earlier = [record for record in book.measures() if (record.split, record.run) == (report["split"], run)]
    if run is None or len(earlier) < 2 or measure not in report["runs"][run]:
        return {}
    before, now = earlier[-2].values.get(measure, 0.0), report["runs"][run][measure]  # the last is that of now
    if before - now < settings.chain.drop:
        return {}
    return {"monitor": f"{measure} on {report['split']} fell from {before:.4f} to {now:.4f}"}


def _is_judged(book: Catalogue) -> bool:
    return any(book.queries(split) for split in ("test", "dev"))


def _last(book: Catalogue, stage: str) -> RunRecord | None:
    runs = book.last_runs(_RUNS_LOOKED_AT)
    return next((run for run in runs if (run.stage, run.status) == (stage, "completed")), None)
