"""A schedule that is there twice runs once: what a flow has done for one scheduled time is not done again for it."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any, ParamSpec, TypeVar, cast

from prefect import get_run_logger
from prefect.context import FlowRunContext
from prefect.states import Completed

from evaluation.catalogue import Catalogue
from flows.runs import settings_of

P = ParamSpec("P")
R = TypeVar("R")


def once(function: Callable[P, R]) -> Callable[P, R]:
    """Return a flow's function that does nothing where another run has done the same for the same scheduled time.

    It stands between ``@flow`` and the function. Runs that were started by hand are always done. A run that failed or
    crashed has done nothing: the next one of its time does it, and goes on from what there is.
    """

    @functools.wraps(function)
    def unless_done(*arguments: P.args, **named: P.kwargs) -> R:
        context = FlowRunContext.get()
        run = context.flow_run if context else None
        if run is None or not run.auto_scheduled or run.expected_start_time is None:
            return function(*arguments, **named)
        parameters = json.dumps(run.parameters, sort_keys=True, default=str)
        key = f"{function.__name__} {run.expected_start_time.isoformat(timespec='seconds')} {_short(parameters)}"
        config = run.parameters.get("config")
        with closing(Catalogue(settings_of(config).catalogue_url())) as book:
            done_by = book.done_by(key)
            if done_by is not None and done_by != str(run.id):
                get_run_logger().warning("flow run %s has done this for the same scheduled time", done_by)
                return cast(R, Completed(name="Skipped", message=f"done by flow run {done_by}"))
            done: Any = function(*arguments, **named)
            book.record_done(key, str(run.id))
        return cast(R, done)

    return unless_done


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
