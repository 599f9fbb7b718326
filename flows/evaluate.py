"""The flow ``evaluate``: the served release, measured on judged queries."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="evaluate")
def evaluate(split: str = "test", config: str | None = None) -> dict[str, Any]:
    """Measure the served release on the judged queries of a split.

    Args:
        split: train, dev, test or guard.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = measure_release(split, config)
    artifacts.evaluation(report)
    return report


@task(name="measure release", retry_condition_fn=can_succeed_later, **RETRIES)
def measure_release(split: str, config: str | None) -> dict[str, Any]:
    """Search every query of the split and compute the measures."""
    return stages.evaluate(settings_of(config), split, log_progress())
