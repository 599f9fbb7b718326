"""The flow ``ingest``: documents into the served index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.events import call_for_what_follows, refusal_calls_for_reindex
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, index_writer, log_progress, settings_of
from flows.workers import workers_of


@flow(name="ingest")
@once
def ingest(paths: list[str] | None = None, prune: bool = False, config: str | None = None) -> dict[str, Any]:
    """Bring documents into the index and publish it.

    Args:
        paths: folders and files; those of [sources] in the configuration when empty.
        prune: remove documents whose files are gone from the folders.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    settings = settings_of(config)
    with refusal_calls_for_reindex("ingest", settings):
        report = ingest_documents(paths or [], prune, config)
    artifacts.ingest_summary(report)
    call_for_what_follows("ingest", report, settings)
    return report


# One task, and below it those of the task runner: what was read and embedded is kept on disk as it comes, so another
# try begins where this one ended.
@task(name="ingest documents", retry_condition_fn=can_succeed_later, **RETRIES)
def ingest_documents(paths: list[str], prune: bool, config: str | None) -> dict[str, Any]:
    """Read, chunk, embed, store and publish."""
    settings = settings_of(config)
    with index_writer(), workers_of(settings.runs) as workers:
        return stages.ingest(settings, [Path(path) for path in paths], prune, log_progress(), workers)
