"""All flows from one process, on the schedules of specmine.toml."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType

from flows.automations import put_automations
from flows.deployed import FLOWS, one_at_a_time
from flows.deployments import DEPLOYMENT, required_api
from flows.prefect_schedules import as_prefect, put_schedule, told
from flows.settings import Settings
from flows.stage_runs import end_crashed_now


def serve(settings: Settings, announce: Callable[[str, list[list[str]]], None]) -> None:
    """Register every flow with its schedule and run what is due, until interrupted.

    ``announce`` is called once all is registered, with the API's URL and what runs when: rows of deployment and times.
    """
    url = required_api()
    schedules = settings.schedules.by_flow()
    for name, schedule in schedules.items():
        as_prefect(name, schedule)  # refused before anything is registered
    end_crashed_now(settings)
    rows = [[f"{name}/{DEPLOYMENT}", told(schedules.get(name))] for name in FLOWS]
    asyncio.run(_serve(settings, lambda: announce(url, rows)))


async def _serve(settings: Settings, announce: Callable[[], None]) -> None:
    # Schedules go on counting while nobody serves; what is overdue runs when somebody serves again.
    runner = Runner(name=DEPLOYMENT, pause_on_shutdown=False)
    await _register(runner, settings)
    announce()
    await runner.start()


async def _register(runner: Runner, settings: Settings) -> None:
    config = str(settings.file) if settings.file else None
    for name, flow in FLOWS.items():
        with get_client(sync_client=True) as client:
            paused = _is_paused(client, name)  # else Prefect would let it run again
            deployment = await flow.ato_deployment(
                DEPLOYMENT,
                parameters={"config": config},
                paused=paused,
                concurrency_limit=one_at_a_time(name, settings),
                entrypoint_type=EntrypointType.MODULE_PATH,
            )
            deployment_id = await runner.aadd_deployment(deployment)
            put_schedule(client, deployment_id, name, settings.schedules.by_flow().get(name))
    with get_client(sync_client=True) as client:
        put_automations(client, settings)


def _is_paused(client: SyncPrefectClient, flow: str) -> bool:
    try:
        return bool(client.read_deployment_by_name(f"{flow}/{DEPLOYMENT}").paused)
    except ObjectNotFound:
        return False
