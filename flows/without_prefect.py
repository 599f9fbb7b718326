"""What the flows of the same names do, with the pages they leave, for a command that runs without Prefect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flows import stages, trainings
from flows.reports import ledger_report, sweep_report, training_report
from flows.settings import Settings
from flows.stages import Tell


def mine(settings: Settings, like: str | None, tell: Tell) -> dict[str, Any]:
    """Mine, and write the page on the new ledger."""
    result = stages.mine(settings, tell, like)
    tell("drawing the report", 0, 1)
    facts = ledger_report.gather(settings, result["ledger"])
    result["report"] = str(ledger_report.write_report(settings.open_home(), facts))
    tell("drawing the report", 1, 1)
    return result


def retrain(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Retrain the query encoders, and write the page on each new version."""
    result = stages.retrain(settings, tell)
    training_report.write_reports(settings, result)
    return result


def lifecycle(settings: Settings, paths: Sequence[Path], prune: bool, tell: Tell) -> dict[str, Any]:
    """Ingest, mine, retrain and evaluate, in this order."""
    return {
        "ingest": stages.ingest(settings, paths, prune, tell),
        "mine": mine(settings, None, tell),
        "retrain": retrain(settings, tell),
        "evaluate": stages.evaluate(settings, stages.held_out_split(settings), tell),
    }


def sweep(
    settings: Settings, space: Path, trials: int, minutes: float, encoder: str | None, workers: int, tell: Tell
) -> dict[str, Any]:
    """Sweep over a space of settings, and write the page on what was found."""
    result = trainings.sweep(settings, space, trials, minutes, encoder, workers, tell)
    sweep_report.write_report(settings.open_home(), result)
    return result
