"""What the end of a flow calls for, told to Prefect as events: ``specmine.wanted.FLOW``, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import get_client, get_run_logger
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.events import emit_event

from flows.chain import ALERT, UNTIL_DONE, Reasons, after_refused_ingest, following
from flows.settings import Settings
from indexing.home import OtherIndexError

WANTED = "specmine.wanted."
INSTALLATION = "specmine.installation"
"""The resource of every event: what it is about."""


def call_for_what_follows(flow: str, report: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Emit an event for each flow that the end of this one calls for; return them with the reasons.

    A run that is a part of another emits none: that one says what comes next. What goes wrong here is a warning, for
    the work itself is done.
    """
    return _call_for(flow, lambda: following(flow, report, settings), settings)


@contextmanager
def refusal_calls_for_reindex(flow: str, settings: Settings) -> Iterator[None]:
    """Where the block is refused because another index is configured, call for the re-index that makes it."""
    try:
        yield
    except OtherIndexError:
        _call_for(flow, lambda: after_refused_ingest(settings), settings)
        raise


def _call_for(flow: str, follow: Callable[[], Reasons], settings: Settings) -> Reasons:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.parent_task_run_id is not None:
        return {}
    log = get_run_logger()
    try:
        wanted = follow()
        for name, reason in wanted.items():
            if name != ALERT and _is_coming(name):
                log.info("%s is called for and coming already: %s", name, reason)
                continue
            related = [{"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run"}]
            emit_event(
                f"{WANTED}{name}",
                {"prefect.resource.id": INSTALLATION, "prefect.resource.name": str(settings.file or "specmine")},
                related=related,
                payload={"after": flow, "reason": reason},
            )
            log.info("calling for %s: %s", name, reason)
    except Exception as error:
        log.warning("what follows %s was not called for: %s", flow, error)
        return {}
    return wanted


def _is_coming(flow: str) -> bool:
    """Tell whether a run of a flow is due or about to begin; for some one that has begun will do as well."""
    now: Any = datetime.now(UTC)
    types = [StateType.SCHEDULED, StateType.PENDING, *([StateType.RUNNING] if flow in UNTIL_DONE else [])]
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=types)),
                expected_start_time=FlowRunFilterExpectedStartTime(before_=now),
            ),
            limit=1,
        )
    return bool(found)
