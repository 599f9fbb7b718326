"""The flow ``retrain``: the newest ledger in, better query encoders out, or none."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.events import call_for_what_follows
from flows.once import once
from flows.reports.similarity_pictures import similarity_histograms
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="retrain")
@once
def retrain(config: str | None = None) -> dict[str, Any]:
    """Retrain the query encoders on the newest ledger; publish what is proven better.

    Args:
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = retrain_encoders(config)
    report = draw_verdicts(report, config)
    call_for_what_follows("retrain", report, settings_of(config))
    return report


@task(name="retrain encoders", retry_condition_fn=can_succeed_later, **RETRIES)
def retrain_encoders(config: str | None) -> dict[str, Any]:
    """Train, compare on held-out queries, publish or keep what was there.

    It does not hold the index writer's slot, since documents must come in while it trains: it takes the home's lock
    for the moment in which it publishes.
    """
    return stages.retrain(settings_of(config), log_progress())


@task(name="draw verdicts")
def draw_verdicts(report: dict[str, Any], config: str | None) -> dict[str, Any]:
    """Write the page and the verdict of each version with its pictures; return the report with the pages' paths."""
    from flows.reports.training_report import write_reports
    from training.versions import read_version

    settings = settings_of(config)
    curves = write_reports(settings, report)
    pictures = {}
    for version in report["versions"]:
        histograms = read_version(settings.open_home(), version["version"]).histograms
        if histograms:
            pictures[version["version"]] = similarity_histograms(histograms["before"], histograms["after"])
    artifacts.verdicts(report, pictures, curves)
    return report
