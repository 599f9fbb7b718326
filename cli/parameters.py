"""Parameters that several commands take, and the choice between a Prefect flow and the plain stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from cli.session import Session, Tell

if TYPE_CHECKING:
    from flows.settings import Settings

Given = Annotated[Session, Parameter(parse=False)]
Orchestrated = Annotated[
    bool | None,
    Parameter(
        name="--prefect",
        negative="--no-prefect",
        show_default=False,
        help="Run as a flow, or not; by default when a Prefect API is configured.",
    ),
]
Deployed = Annotated[bool, Parameter(help="Hand the work to the deployed flow and return at once.")]
Sources = Annotated[
    Path, Parameter(help="Folders and files; those of [sources] in the configuration when none is given.")
]
Prune = Annotated[bool, Parameter(help="Remove documents whose files are gone from the folders given.")]
Split = Annotated[str, Parameter(help="train, dev, test, guard or guard:NAME.")]
Trained = Annotated[
    str | None,
    Parameter(help="The encoder to train; the first of the configured ones by default."),
]
Workers = Annotated[int, Parameter(help="Trainings at a time, each in a process of its own.")]


def flow_or_stage(
    session: Session,
    settings: Settings,
    prefect: bool | None,
    flow: str,
    parameters: Mapping[str, Any],
    stage: Callable[[Tell], dict[str, Any]],
) -> dict[str, Any]:
    """Run the flow of this name with these parameters and the configuration, or the stage here, and return the result.

    ``prefect`` chooses; where it is None, a configured Prefect API means the flow. Raises SpecmineError when a
    configured API is wanted and does not answer.
    """
    from flows.prefect_api import check_answers, configured_api

    url = configured_api()
    if prefect or (prefect is None and url):
        if url:
            check_answers(url)
        run = getattr(import_module(f"flows.{flow}"), flow)  # a flow is named as its module
        result: dict[str, Any] = run(**parameters, config=str(settings.file) if settings.file else None)
        return result
    with session.progress() as tell:
        return stage(tell)


def absolute(paths: tuple[Any, ...]) -> list[str]:
    """Return paths as flows take them, which may run in another working directory."""
    return [str(path.absolute()) for path in paths]
