"""The flow ``reindex``: the indexed documents under a new configuration, beside the served index until it is done."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, reindexing
from flows.events import call_for_what_follows
from flows.once import once
from flows.runs import REINDEX, RETRIES, can_succeed_later, index_writer, log_progress, settings_of
from flows.workers import workers_of


@flow(name="reindex")
@once
def reindex(config: str | None = None) -> dict[str, Any]:
    """Cut and embed the indexed documents anew under the present configuration, and publish what is no worse.

    Args:
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = build_generation(config)
    artifacts.reindex_summary(report)
    call_for_what_follows("reindex", report, settings_of(config))
    return report


@task(name="build generation", retry_condition_fn=can_succeed_later, **RETRIES)
def build_generation(config: str | None) -> dict[str, Any]:
    """Cut, embed, store, check and publish. Ingests go on meanwhile: it does not take their slot."""
    settings = settings_of(config)
    with index_writer(REINDEX), workers_of(settings.runs) as workers:
        return reindexing.reindex(settings, log_progress(), workers)
