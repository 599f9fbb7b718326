"""The commands that choose among settings of ``[train]``."""

from __future__ import annotations

from pathlib import Path

from flows.cli_parameters import Given, Orchestrated


def ablate(
    *,
    seeds: int = 3,
    encoder: str | None = None,
    workers: int = 2,
    prefect: Orchestrated = None,
    session: Given,
) -> None:
    """Train without each part of [train] and of the ledger in turn, and say what each part is worth.

    Whole and parts are trained with the same seeds on a part of the training queries. The same command again goes on
    where the last run stopped.

    Parameters
    ----------
    seeds
        Trainings of each.
    encoder
        The encoder to train; the first of the configured ones by default.
    workers
        Trainings at a time, each in a process of its own.
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import commands_training

    commands_training.ablate(session, seeds, encoder, workers, prefect)


def sweep(
    *,
    space: Path,
    trials: int = 20,
    minutes: float = 60.0,
    encoder: str | None = None,
    workers: int = 2,
    prefect: Orchestrated = None,
    session: Given,
) -> None:
    """Try settings of [train], and publish what the best of them makes only if proven better.

    Settings are tried on a part of the training queries. The best are tried again with fresh seeds, beside those that
    are configured; if they are still ahead, the encoder is trained with them and judged as by `specmine retrain`. The
    same command again goes on where the last run stopped.

    Parameters
    ----------
    space
        The TOML file that says which keys of [train] may take which values.
    trials
        How many settings to try, those of earlier runs of the same sweep among them.
    minutes
        After so many no trial goes on; the fresh seeds and the verdict come after them.
    encoder
        The encoder to train; the first of the configured ones by default.
    workers
        Trainings at a time, each in a process of its own.
    prefect
        Run as a flow, or not; by default when a Prefect API is configured.
    """
    from flows import commands_training

    commands_training.sweep(session, space, trials, minutes, encoder, workers, prefect)
