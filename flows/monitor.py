"""The flow ``monitor``: is the served release still better than the one before it?"""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.events import call_for_what_follows
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="monitor")
@once
def monitor(config: str | None = None) -> dict[str, Any]:
    """Compare the served release with the one before it; where it has fallen below, serve that one again.

    Args:
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = watch_release(config)
    artifacts.monitoring(report)
    call_for_what_follows("monitor", report, settings_of(config))
    return report


@task(name="watch release", retry_condition_fn=can_succeed_later, **RETRIES)
def watch_release(config: str | None) -> dict[str, Any]:
    """Search the monitored queries with both releases, compare, and roll back where the served one fell."""
    return stages.monitor(settings_of(config), log_progress())
