"""The commands that choose among settings of ``[train]``."""

from __future__ import annotations

from pathlib import Path

from cli.parameters import Given, Orchestrated, Trained, Workers, flow_or_stage


def ablate(
    *,
    seeds: int = 3,
    encoder: Trained = None,
    workers: Workers = 2,
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
    """
    from cli.show import training as show
    from flows import trainings

    settings = session.settings()
    result = flow_or_stage(
        session,
        settings,
        prefect,
        "ablate",
        {"seeds": seeds, "encoder": encoder, "workers": workers},
        lambda tell: trainings.ablate(settings, seeds, encoder, workers, tell),
    )
    session.emit(result, lambda console: show.ablation(console, result))


def sweep(
    *,
    space: Path,
    trials: int = 20,
    minutes: float = 60.0,
    encoder: Trained = None,
    workers: Workers = 2,
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
    """
    from cli.show import training as show
    from flows import without_prefect

    settings = session.settings()
    result = flow_or_stage(
        session,
        settings,
        prefect,
        "sweep",
        {
            "space": str(space.absolute()),
            "trials": trials,
            "minutes": minutes,
            "encoder": encoder,
            "workers": workers,
        },
        lambda tell: without_prefect.sweep(settings, space, trials, minutes, encoder, workers, tell),
    )
    session.emit(result, lambda console: show.sweep(console, result))
