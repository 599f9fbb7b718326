"""The deployed flows: their names, their schedules out of specmine.toml, and how a run of one is started."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import SCHEDULE_TYPES, CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.utilities.urls import url_for

from flows.prefect_api import check_answers, configured_api
from flows.schedules import Schedule
from flows.settings import DEFAULT_FILE, load_settings
from indexing.home import SpecmineError

DEPLOYMENT = "specmine"
"""The name of every flow's deployment: ``ingest/specmine`` and so on."""


def start(flow: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Start a run of a deployed flow and return at once, with the run's id and page."""
    url = required_api()
    try:
        run = asyncio.run(arun_deployment(f"{flow}/{DEPLOYMENT}", parameters=parameters, timeout=0))
    except ObjectNotFound:
        raise SpecmineError(
            f"flow {flow!r} is not deployed at {url}: run `specmine serve`, or `prefect deploy --all` and a worker"
        ) from None
    except httpx.HTTPError as error:
        raise SpecmineError(f"the Prefect server at {url} did not take the run: {error}; look into its log") from None
    return {"flow_run": str(run.id), "name": run.name, "deployment": f"{flow}/{DEPLOYMENT}", "url": url_for(run)}


def required_api() -> str:
    """Return the URL of the configured Prefect API. Raises SpecmineError when there is none or it does not answer."""
    url = configured_api()
    if url is None:
        raise SpecmineError(
            "no Prefect API is configured: start `prefect server start` and set PREFECT_API_URL=http://HOST:4200/api"
        )
    check_answers(url)
    return url


def put_schedule(client: SyncPrefectClient, deployment: Any, flow: str, schedule: Schedule | None) -> None:
    """Make the deployment's schedule of this flow what the configuration says; schedules of other slugs stay.

    A schedule that somebody paused stays paused.
    """
    old = next((entry for entry in client.read_deployment_schedules(deployment) if entry.slug == flow), None)
    if schedule is None:
        if old is not None:
            client.delete_deployment_schedule(deployment, old.id)
        return
    wanted = as_prefect(flow, schedule)
    active = not schedule.paused and (old is None or old.active)
    if (
        old is not None
        and _same(old.schedule, wanted)
        and (old.parameters, old.active) == (schedule.parameters, active)
    ):
        return  # an interval keeps its beat
    if old is not None:
        client.delete_deployment_schedule(deployment, old.id)
    new = DeploymentScheduleCreate(schedule=wanted, active=active, parameters=schedule.parameters, slug=flow)
    client.create_deployment_schedules(deployment, [new])


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


def _same(old: SCHEDULE_TYPES, new: SCHEDULE_TYPES) -> bool:
    """Tell whether two schedules say the same; the moment an interval is counted from does not matter."""
    return type(old) is type(new) and old.model_dump(exclude={"anchor_date"}) == new.model_dump(exclude={"anchor_date"})


def prepare(flow: str, config: str = DEFAULT_FILE) -> dict[str, str]:
    """The step of ``prefect.yaml`` before a deployment is registered: put its schedule, return where things lie.

    ``prefect deploy`` can only take schedules from its own file, and leaves those of a deployment alone when that file
    has none. So this step makes sure that the deployment exists, and gives it the schedule of ``specmine.toml``.
    """
    file = Path(config).absolute()
    if not file.is_file():
        raise SpecmineError(f"there is no {file}: flows are deployed with the schedules and paths of that file")
    settings = load_settings(file)
    with get_client(sync_client=True) as client:
        try:
            deployment = client.read_deployment_by_name(f"{flow}/{DEPLOYMENT}").id
        except ObjectNotFound:
            # Paused, so that no run is scheduled before the deployment knows its work pool.
            deployment = client.create_deployment(client.create_flow_from_name(flow), DEPLOYMENT, paused=True)
        put_schedule(client, deployment, flow, settings.schedules.by_flow().get(flow))
    return {"config": str(file), "folder": str(file.parent)}
