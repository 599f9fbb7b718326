"""The flow ``mine``: negatives for the training queries, into a new ledger, and the report on it."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.events import call_for_what_follows
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="mine")
@once
def mine(config: str | None = None, like: str | None = None) -> dict[str, Any]:
    """Mine hard negatives for the training queries.

    Args:
        config: the configuration file; specmine.toml in the working directory when empty.
        like: a ledger to make again, with its settings and on its release.
    """
    report = mine_negatives(config, like)
    report = {**report, "report": draw_ledger(report, config)}
    call_for_what_follows("mine", report, settings_of(config))
    return report


@task(name="mine negatives", retry_condition_fn=can_succeed_later, **RETRIES)
def mine_negatives(config: str | None, like: str | None = None) -> dict[str, Any]:
    """Search, filter, select, and write the ledger."""
    return stages.mine(settings_of(config), log_progress(), like)


@task(name="draw ledger")
def draw_ledger(report: dict[str, Any], config: str | None) -> str:
    """Write the report on the new ledger, and its pictures into the artifact; return the report's path."""
    from flows.reports.ledger_report import artifact_pictures, gather, write_report

    settings = settings_of(config)
    facts = gather(settings, report["ledger"])
    page = write_report(settings.open_home(), facts)
    artifacts.mining_summary(report, str(page), artifact_pictures(facts))
    return str(page)
