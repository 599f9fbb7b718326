"""The flow ``sweep``: many settings tried, the winner tried again with fresh seeds, and judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, task
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ProcessPoolTaskRunner

from flows import artifacts, trainings
from flows.once import once
from flows.runs import log_progress, settings_of
from flows.stages import Tell

if TYPE_CHECKING:
    from training.sweep import Job, RunJobs


@flow(name="sweep")
@once
def sweep(
    space: str,
    trials: int = 20,
    minutes: float = 60.0,
    encoder: str | None = None,
    workers: int = 2,
    config: str | None = None,
) -> dict[str, Any]:
    """Try settings of [train] on a part of the training queries; the winner is trained and judged like any other.

    Args:
        space: the TOML file that says what may vary.
        trials: how many settings to try, those of earlier runs of the same sweep among them.
        minutes: after which no trial goes on; the winner's fresh seeds and the verdict come after them.
        encoder: the encoder that is trained; the first configured one when empty.
        workers: trainings at a time, each in a process of its own.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    settings = settings_of(config)
    report = trainings.sweep(settings, Path(space), trials, minutes, encoder, workers, log_progress(), in_tasks)
    return draw_sweep(report, config)


def in_tasks(order: trainings.Order, workers: int, tell: Tell) -> RunJobs:
    """Do every job as a task of this flow run, ``workers`` at a time."""

    def run_jobs(stage: str, jobs: Sequence[Job]) -> None:
        tell(stage, 0, len(jobs))
        with ProcessPoolTaskRunner(max_workers=workers) as runner:
            named = train_once.with_options(task_run_name=stage)
            futures: list[PrefectFuture[None]] = [runner.submit(named, {"order": order, "job": job}) for job in jobs]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                tell(stage, done, len(jobs))

    return run_jobs


@task(name="train once")
def train_once(order: trainings.Order, job: Job) -> None:
    """Do one training of a sweep."""
    trainings.do_job(order, job, log_progress())


@task(name="draw sweep")
def draw_sweep(report: dict[str, Any], config: str | None) -> dict[str, Any]:
    """Write the page and the artifact; return the report with the page's path."""
    from flows.reports.sweep_report import artifact_pictures, write_report

    write_report(settings_of(config).open_home(), report)
    artifacts.sweep_summary(report, artifact_pictures(report))
    return report
