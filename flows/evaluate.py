"""The flow ``evaluate``: the served release, measured on judged queries."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.events import call_for_what_follows
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="evaluate")
@once
def evaluate(split: str = "", config: str | None = None) -> dict[str, Any]:
    """Measure the served release on the judged queries of a split.

    Args:
        split: train, dev, test or guard; test when empty, or dev where there is no test query.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = measure_release(split or stages.held_out_split(settings_of(config)), config)
    artifacts.evaluation(report)
    call_for_what_follows("evaluate", report, settings_of(config))
    return report


@task(name="measure release", retry_condition_fn=can_succeed_later, **RETRIES)
def measure_release(split: str, config: str | None) -> dict[str, Any]:
    """Search every query of the split and compute the measures."""
    return stages.evaluate(settings_of(config), split, log_progress())
