"""What all flows share: the log as progress, the one writer's slot, and which failures are worth another try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger
from prefect.concurrency.sync import concurrency
from prefect.exceptions import PrefectException

from evaluation.database import CatalogueError
from flows import artifacts
from flows.pace import ProgressLines
from flows.prefect_api import configured_api
from flows.settings import Settings, load_settings
from indexing.home import LockedHomeError

INDEX_WRITER = "index-writer"
REINDEX = "reindex"
# A killed holder's slot is free again after this long. Renewed while the holder lives.
_LEASE_SECONDS = 60.0
_SECONDS_BETWEEN_LINES = 10.0

# Tasks wait for another writer, a database or a network; nothing else gets better by itself. Some wait longer than
# others, so that those that met do not meet again.
RETRIES: dict[str, Any] = {"retries": 3, "retry_delay_seconds": [10, 60, 300], "retry_jitter_factor": 0.5}


def can_succeed_later(task: Any, task_run: Any, state: Any) -> bool:
    """Tell whether a failed task is worth another try: the home or the catalogue was held, or a connection broke."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, CatalogueError):
        return "try again" in str(error)
    return isinstance(error, LockedHomeError | ConnectionError | TimeoutError)


def settings_of(config: str | None) -> Settings:
    """Return the settings of a flow's parameter ``config``."""
    return load_settings(Path(config) if config else None)


@contextmanager
def index_writer(slot: str = INDEX_WRITER) -> Iterator[None]:
    """Hold the slot of the one index writer, across all flows of the Prefect server. Without a server, do nothing.

    The one re-index has a ``slot`` of its own, for it lasts hours and writes beside.

    It makes runs queue instead of fail. The truth is the home's own lock, which holds for every process.
    """
    if configured_api() is None:
        yield
        return
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(slot, 1)
    with concurrency(slot, occupy=1, lease_duration=_LEASE_SECONDS, strict=True, raise_on_lease_renewal_failure=False):
        yield


def log_progress() -> Callable[[str, int, int], None]:
    """Return a function that shows progress: begin and end of a stage, and now and then between.

    It writes a line into the run's log, and keeps a progress artifact for each stage.
    """
    logger = get_run_logger()
    lines = ProgressLines(_SECONDS_BETWEEN_LINES)
    shown: dict[str, UUID] = {}

    def tell(stage: str, done: int, total: int) -> None:
        if line := lines(stage, done, total):
            logger.info("%s", line)
            try:
                shown[stage] = artifacts.progress(shown.get(stage), done / total if total else 1.0, line)
            except (PrefectException, httpx.HTTPError) as error:  # a server that restarts must not end hours of work
                logger.warning("the progress of %s is not shown: %s", stage, error)

    return tell
