"""One run of a stage: kept alive by a lease while it lasts, in the catalogue's log when it ended, however it ended."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from evaluation.catalogue import Catalogue
from evaluation.database import CatalogueError
from evaluation.leases import Lease, Leases
from flows.logs import run_logged
from flows.prefect_api import configured_api
from flows.settings import Settings
from indexing.log import log_event
from indexing.room import require_room


@contextmanager
def logged(settings: Settings, stage: str) -> Iterator[dict[str, Any]]:
    """Yield the summary to fill; write the run into the catalogue's log when the block ends.

    Runs that ended without a word, by ``kill -9`` or with their machine, are found by their leases and logged first.
    Raises SpecmineError, and nothing is begun, where the home's disk is full.
    """
    summary: dict[str, Any] = {}
    require_room(settings.open_home().reports.parent)
    started, clock = datetime.now(UTC), time.monotonic()
    with closing(Catalogue(settings.catalogue_url())) as book:  # opened first: what cannot be logged is not begun
        leases = Leases(book, settings.runs.lease_seconds)
        end_crashed(leases)
        number = uuid.uuid4().hex
        with (
            run_logged(settings.logs, run=number, stage=stage, flow_run=flow_run()),
            leases.kept(leases.take_run(number, stage, flow_run())),
        ):
            log_event("run began")
            try:
                yield summary
            except BaseException as error:
                summary["error"] = str(error) or type(error).__name__
                log_event("run failed", seconds=round(time.monotonic() - clock, 3), error=summary["error"])
                with suppress(CatalogueError):  # the first error is the one to report
                    book.record_run(stage, "failed", started, time.monotonic() - clock, summary)
                raise
            summary.setdefault("seconds", round(time.monotonic() - clock, 3))
            book.record_run(stage, "completed", started, time.monotonic() - clock, summary)
            log_event("run completed", seconds=summary["seconds"])


def end_crashed(leases: Leases) -> list[Lease]:
    """Log the runs whose process is gone as crashed, and end them in Prefect too; return the leases they held."""
    dead = leases.end_dead_runs()
    alive = {lease.flow_run for lease in leases.held()} | {flow_run()}  # a run that was killed may be running again
    ended = [lease for lease in dead if lease.flow_run and lease.flow_run not in alive]
    if ended and configured_api():
        from flows.crashed_runs import mark_crashed

        mark_crashed(ended)
    return dead


def end_crashed_now(settings: Settings) -> list[Lease]:
    """Do what every stage does when it begins, when no stage begins: a dead run may hold the place of the next one."""
    with closing(Catalogue(settings.catalogue_url())) as book:
        return end_crashed(Leases(book, settings.runs.lease_seconds))


def flow_run() -> str | None:
    """Return Prefect's id of the flow run that this is a part of. Prefect is not imported for it."""
    if "prefect" not in sys.modules:
        return None
    from prefect.runtime import flow_run as present

    return str(present.id) if present.id else None
