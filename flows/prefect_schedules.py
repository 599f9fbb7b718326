"""The schedules of specmine.toml on a Prefect server: each is put in its place, and no other run is lost by it.

A schedule has its flow's name as slug. Prefect 3.8 keeps due runs when a schedule is changed, and deletes those of all
schedules of its deployment when one is deleted. So a schedule is changed where it stands, and where one goes, the due
runs of the others are put back.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import DeploymentSchedule, FlowRun, StateType
from prefect.client.schemas.schedules import SCHEDULE_TYPES, CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.states import Scheduled

from flows.schedules import Schedule
from indexing.home import SpecmineError

_BEGINNING = "DTSTART:20200101T000000\n"
Outcome = Literal["added", "changed", "unchanged", "removed"]


def put_schedule(client: SyncPrefectClient, deployment: UUID, flow: str, schedule: Schedule | None) -> Outcome | None:
    """Make the deployment's schedule of this flow what the configuration says; None where there is and was none.

    Schedules of other slugs stay. A schedule that somebody paused stays paused.
    """
    old = next((entry for entry in client.read_deployment_schedules(deployment) if entry.slug == flow), None)
    if schedule is None:
        if old is None:
            return None
        _remove(client, deployment, old)
        return "removed"
    wanted = as_prefect(flow, schedule)
    if old is None:
        active = not schedule.paused
        new = DeploymentScheduleCreate(schedule=wanted, active=active, parameters=schedule.parameters, slug=flow)
        client.create_deployment_schedules(deployment, [new])
        return "added"
    active = old.active and not schedule.paused
    if _same(old.schedule, wanted) and (old.parameters, old.active) == (schedule.parameters, active):
        return "unchanged"  # an interval keeps its beat
    client.update_deployment_schedule(deployment, old.id, active, wanted, parameters=schedule.parameters)
    return "changed"


def as_prefect(flow: str, schedule: Schedule) -> SCHEDULE_TYPES:
    """Return a schedule as Prefect knows it. Raises SpecmineError in one line when Prefect refuses it."""
    try:
        if schedule.cron is not None:
            return CronSchedule(cron=schedule.cron, timezone=schedule.timezone)
        if schedule.interval is not None:
            return IntervalSchedule(interval=timedelta(seconds=schedule.interval), timezone=schedule.timezone)
        return RRuleSchedule(rrule=schedule.rrule or "", timezone=schedule.timezone)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise SpecmineError(f"the schedule of {flow!r} cannot be used: {reason}") from None


def told(schedule: Schedule | None) -> str:
    """Say in words when a flow runs."""
    if schedule is None:
        return "when asked for"
    when = schedule.cron or schedule.rrule or f"every {schedule.interval:g} s"
    zone = f" {schedule.timezone}" if schedule.timezone else ""
    return f"{when}{zone} (paused)" if schedule.paused else f"{when}{zone}"


def _same(old: SCHEDULE_TYPES, new: SCHEDULE_TYPES) -> bool:
    """Tell whether two schedules say the same; the moment that they are counted from does not matter."""
    return type(old) is type(new) and _said(old) == _said(new)


def _said(schedule: SCHEDULE_TYPES) -> dict[str, Any]:
    said = schedule.model_dump(exclude={"anchor_date"})
    if "rrule" in said:  # the server writes a beginning into rules that have none
        said["rrule"] = said["rrule"].removeprefix(_BEGINNING)
    return said


def _remove(client: SyncPrefectClient, deployment: UUID, schedule: DeploymentSchedule) -> None:
    due = [run for run in _due_runs(client, deployment) if run.created_by and run.created_by.id != schedule.id]
    client.delete_deployment_schedule(deployment, schedule.id)
    there = {run.id for run in _due_runs(client, deployment)}
    for run in due:
        if run.id not in there:
            client.create_flow_run_from_deployment(
                deployment,
                parameters=run.parameters,
                state=Scheduled(scheduled_time=run.expected_start_time),
                tags=run.tags,
                idempotency_key=run.idempotency_key,
            )


def _due_runs(client: SyncPrefectClient, deployment: UUID) -> list[FlowRun]:
    """Return the runs that are due or late and have not begun."""
    now: Any = datetime.now(UTC)
    return client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
            expected_start_time=FlowRunFilterExpectedStartTime(before_=now),
        ),
    )
