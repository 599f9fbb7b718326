"""``specmine deploy``: every flow on a process work pool, with the schedules of specmine.toml.

What is on the server already as it should be is not touched: Prefect deletes the coming runs of a deployment whenever
it is written to. What somebody paused on the pages stays paused.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound, PrefectException

from flows.automations import put_automations
from flows.deployed import FLOWS, one_at_a_time
from flows.deployments import DEPLOYMENT, required_api
from flows.prefect_schedules import as_prefect, put_schedule, told
from flows.settings import DEFAULT_FILE, Settings
from flows.stage_runs import end_crashed_now
from indexing.home import SpecmineError

POOL = "specmine"
"""The work pool of ``prefect.yaml``, and that of ``specmine deploy`` where no other is named."""

Outcome = Literal["added", "changed", "unchanged"]


def deploy(settings: Settings, pool: str = POOL) -> dict[str, Any]:
    """Register every flow, schedule and automation, and say what changed; the pool is made where it is missing.

    Runs whose process is gone are ended, so that the next one need not wait for them.
    Raises SpecmineError when there is no server, no configuration file, or a schedule that Prefect refuses: then
    nothing was changed.
    """
    url = required_api()
    if settings.file is None:
        raise SpecmineError(f"there is no {DEFAULT_FILE} here: flows are deployed with the path of that file")
    schedules = settings.schedules.by_flow()
    for name, scheduled in schedules.items():
        as_prefect(name, scheduled)
    crashed = [str(lease) for lease in end_crashed_now(settings)]
    deployments = []
    try:
        with get_client(sync_client=True) as client:
            pool_outcome = _put_pool(client, pool)
            for name in FLOWS:
                deployment, outcome = _put_deployment(client, name, settings, pool)
                schedule = schedules.get(name)
                put = put_schedule(client, deployment.id, name, schedule)
                active = any(entry.active for entry in client.read_deployment_schedules(deployment.id))
                told_as = told(schedule)
                if schedule is not None and not schedule.paused and (deployment.paused or not active):
                    told_as += " (paused on the pages)"
                deployments.append(
                    {
                        "deployment": f"{name}/{DEPLOYMENT}",
                        "outcome": outcome,
                        "runs": told_as,
                        "schedule": put,
                        "second_run": str(one_at_a_time(name, settings).collision_strategy.value),
                    }
                )
            automations = put_automations(client, settings)
    except (PrefectException, httpx.HTTPError) as error:
        reason = " ".join(str(error).split())
        raise SpecmineError(f"the Prefect server at {url} refused: {reason}; deploy again, it goes on") from None
    return {
        "api": url,
        "pool": {"name": pool, "outcome": pool_outcome},
        "deployments": deployments,
        "automations": automations,
        "crashed": crashed,
    }


def _put_pool(client: SyncPrefectClient, name: str) -> Outcome:
    try:
        pool = client.read_work_pool(name)
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        return "added"
    if pool.type != "process":
        raise SpecmineError(f"work pool {name!r} is of type {pool.type}, not process: name another with --pool")
    return "unchanged"


def _put_deployment(
    client: SyncPrefectClient, flow: str, settings: Settings, pool: str
) -> tuple[DeploymentResponse, Outcome]:
    wanted = _wanted(flow, settings, pool)
    try:
        there = client.read_deployment_by_name(f"{flow}/{DEPLOYMENT}")
    except ObjectNotFound:
        number = client.create_deployment(client.create_flow_from_name(flow), DEPLOYMENT, paused=False, **wanted)
        return client.read_deployment(number), "added"
    if all(_present(there, name) == value for name, value in wanted.items()):
        return there, "unchanged"
    client.update_deployment(there.id, DeploymentUpdate(**wanted))
    return client.read_deployment(there.id), "changed"


def _wanted(flow: str, settings: Settings, pool: str) -> dict[str, Any]:
    file = Path(str(settings.file))
    limit = one_at_a_time(flow, settings)
    directory = {"prefect.deployments.steps.set_working_directory": {"directory": str(file.parent)}}
    return {
        "version": version("specmine"),
        "description": FLOWS[flow].description,
        "entrypoint": f"flows.{flow}.{flow}",
        "parameters": {"config": str(file)},
        "parameter_openapi_schema": FLOWS[flow].parameters.model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
        "pull_steps": [directory],
        "path": None,
        "work_pool_name": pool,
        "concurrency_limit": limit.limit,
        "concurrency_options": {"collision_strategy": limit.collision_strategy.value},
    }


def _present(deployment: DeploymentResponse, name: str) -> Any:
    """Return a field of a deployment as ``_wanted`` writes it."""
    if name == "concurrency_limit":
        limit = deployment.global_concurrency_limit
        return limit.limit if limit else None
    if name == "concurrency_options":
        options = deployment.concurrency_options
        return {"collision_strategy": options.collision_strategy.value} if options else None
    return getattr(deployment, name)
