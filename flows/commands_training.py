"""What the commands do that choose among settings of ``[train]``."""

from __future__ import annotations

from pathlib import Path

from flows.commands import as_flow, config_of
from flows.output import Session
from flows.settings import load_settings


def sweep(
    session: Session,
    space: Path,
    trials: int,
    minutes: float,
    encoder: str | None,
    workers: int,
    prefect: bool | None,
) -> None:
    """Sweep over a space of settings."""
    from flows import show_training

    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.sweep import sweep as flow

        result = flow(str(space.absolute()), trials, minutes, encoder, workers, config_of(settings))
    else:
        from flows import trainings
        from flows.sweep_report import write_report

        with session.progress() as tell:
            result = trainings.sweep(settings, space, trials, minutes, encoder, workers, tell)
        write_report(settings.open_home(), result)
    session.emit(result, lambda console: show_training.sweep(console, result))


def ablate(session: Session, seeds: int, encoder: str | None, workers: int, prefect: bool | None) -> None:
    """Leave out one part of the training at a time."""
    from flows import show_training

    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.ablate import ablate as flow

        result = flow(seeds, encoder, workers, config_of(settings))
    else:
        from flows import trainings

        with session.progress() as tell:
            result = trainings.ablate(settings, seeds, encoder, workers, tell)
    session.emit(result, lambda console: show_training.ablation(console, result))
