"""The flow ``ablate``: what each part of the configured training is worth."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, trainings
from flows.once import once
from flows.runs import log_progress, settings_of
from flows.sweep import in_tasks


@flow(name="ablate")
@once
def ablate(seeds: int = 3, encoder: str | None = None, workers: int = 2, config: str | None = None) -> dict[str, Any]:
    """Train without each part of [train] and of the ledger in turn, and say what each part is worth.

    Args:
        seeds: trainings of each.
        encoder: the encoder that is trained; the first configured one when empty.
        workers: trainings at a time, each in a process of its own.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = trainings.ablate(settings_of(config), seeds, encoder, workers, log_progress(), in_tasks)
    draw_ablation(report)
    return report


@task(name="draw ablation")
def draw_ablation(report: dict[str, Any]) -> None:
    """Write the table."""
    artifacts.ablation_summary(report)
