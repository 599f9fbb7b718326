"""All flows from one process, on the schedules of specmine.toml."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from prefect import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.flows import Flow
from prefect.runner import Runner
from prefect.types.entrypoint import EntrypointType

from flows.ablate import ablate
from flows.compare_chunking import compare_chunking
from flows.deployments import DEPLOYMENT, as_prefect, put_schedule, required_api
from flows.evaluate import evaluate
from flows.generate import generate
from flows.ingest import ingest
from flows.lifecycle import lifecycle
from flows.mine import mine
from flows.monitor import monitor
from flows.reindex import reindex
from flows.retrain import retrain
from flows.retrain_reranker import retrain_reranker
from flows.schedules import Schedule
from flows.settings import Settings
from flows.sweep import sweep

FLOWS: dict[str, Flow[Any, Any]] = {
    "ingest": ingest,
    "evaluate": evaluate,
    "mine": mine,
    "retrain": retrain,
    "retrain_reranker": retrain_reranker,
    "reindex": reindex,
    "lifecycle": lifecycle,
    "compare_chunking": compare_chunking,
    "generate": generate,
    "monitor": monitor,
    "sweep": sweep,
    "ablate": ablate,
}


def one_at_a_time(flow: str, settings: Settings) -> ConcurrencyLimitConfig:
    """Return the limit of a flow's deployment: a second run waits for the first, or is cancelled if that is wanted."""
    strategy = ConcurrencyLimitStrategy.CANCEL_NEW if flow in settings.runs.cancel else ConcurrencyLimitStrategy.ENQUEUE
    return ConcurrencyLimitConfig(limit=1, collision_strategy=strategy)


def serve(settings: Settings, announce: Callable[[str, list[list[str]]], None]) -> None:
    """Register every flow with its schedule and run what is due, until interrupted.

    ``announce`` is called once all is registered, with the API's URL and what runs when: rows of deployment and times.
    """
    url = required_api()
    schedules = settings.schedules.by_flow()
    for name, schedule in schedules.items():
        as_prefect(name, schedule)  # refused before anything is registered
    rows = [[f"{name}/{DEPLOYMENT}", _when(schedules.get(name))] for name in FLOWS]
    asyncio.run(_serve(settings, lambda: announce(url, rows)))


def _when(schedule: Schedule | None) -> str:
    if schedule is None:
        return "when asked for"
    when = schedule.cron or schedule.rrule or f"every {schedule.interval:g} s"
    return f"{when} (paused)" if schedule.paused else when


async def _serve(settings: Settings, announce: Callable[[], None]) -> None:
    # Schedules go on counting while nobody serves; what is overdue runs when somebody serves again.
    runner = Runner(name=DEPLOYMENT, pause_on_shutdown=False)
    await _register(runner, settings)
    announce()
    await runner.start()


async def _register(runner: Runner, settings: Settings) -> None:
    config = str(settings.file) if settings.file else None
    for name, flow in FLOWS.items():
        deployment = await flow.ato_deployment(
            DEPLOYMENT,
            parameters={"config": config},
            concurrency_limit=one_at_a_time(name, settings),
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        deployment_id = await runner.aadd_deployment(deployment)
        with get_client(sync_client=True) as client:
            put_schedule(client, deployment_id, name, settings.schedules.by_flow().get(name))
