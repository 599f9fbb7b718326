"""The flow ``inbox``: what was put into the watched folder, into the served index."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, inbox_batches
from flows.events import call_for_what_follows, refusal_calls_for_reindex
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, index_writer, log_progress, settings_of
from flows.workers import workers_of


@flow(name="inbox")
@once
def inbox(config: str | None = None) -> dict[str, Any]:
    """Ingest the files in the inbox that have settled, and go on with batches that were interrupted.

    Args:
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    settings = settings_of(config)
    with refusal_calls_for_reindex("inbox", settings):
        report = take_batches(config)
    artifacts.inbox_summary(report)
    call_for_what_follows("inbox", report, settings)
    return report


@task(name="take batches", retry_condition_fn=can_succeed_later, **RETRIES)
def take_batches(config: str | None) -> dict[str, Any]:
    """Take, ingest, put away."""
    settings = settings_of(config)
    with index_writer(), workers_of(settings.runs) as workers:
        return inbox_batches.take_in(settings, log_progress(), workers=workers)
