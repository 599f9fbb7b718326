"""The deployments: how a run of one is started, and what ``prefect deploy`` asks for before it registers one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prefect import get_client
from prefect.client.schemas.objects import StateType
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.utilities.urls import url_for

from chunking.discover import discover
from flows.prefect_api import check_answers, configured_api
from flows.prefect_schedules import put_schedule
from flows.settings import DEFAULT_FILE, Settings, load_settings
from indexing.generations import fingerprint_of
from indexing.home import SpecmineError
from indexing.reading import reader_of
from indexing.releases import current

DEPLOYMENT = "specmine"
"""The name of every flow's deployment: ``ingest/specmine`` and so on."""


def start(flow: str, parameters: dict[str, Any], key: str) -> dict[str, Any]:
    """Start a run of a deployed flow and return at once, with the run's id and page.

    A run that was started with the same ``key`` is returned instead, with ``already`` true, unless it failed, crashed
    or was cancelled: then there is a new one.
    """
    url = required_api()
    began = datetime.now(UTC)
    try:
        while True:
            run = asyncio.run(
                arun_deployment(f"{flow}/{DEPLOYMENT}", parameters=parameters, timeout=0, idempotency_key=key)
            )
            state = run.state.type if run.state else StateType.SCHEDULED
            if state not in (StateType.FAILED, StateType.CRASHED, StateType.CANCELLED):
                break
            key = f"{key} after {run.id}"
    except ObjectNotFound:
        raise SpecmineError(
            f"flow {flow!r} is not deployed at {url}: run `specmine serve`, or `specmine deploy` and a worker"
        ) from None
    except httpx.HTTPError as error:
        raise SpecmineError(f"the Prefect server at {url} did not take the run: {error}; look into its log") from None
    already = run.created is not None and run.created < began
    return {
        "flow_run": str(run.id),
        "name": run.name,
        "deployment": f"{flow}/{DEPLOYMENT}",
        "state": state.value.lower(),
        "already": already,
        "url": url_for(run),
    }


def batch_key(settings: Settings, paths: Sequence[Path], prune: bool) -> str:
    """Return what an ingest of these folders and files, as they are now, is known by.

    It is another one when a file, the configuration, the reader or what is served has changed.
    """
    home, index = settings.open_home(), settings.index()
    found, _ = discover(list(paths) or list(settings.sources.paths))
    files = [[str(file.path), *_state(file.path)] for file in found]
    served = current(home)
    config = settings.file.read_text(encoding="utf-8") if settings.file else ""
    return fingerprint_of(["ingest", prune, config, reader_of(index), served.id if served else None, files])


def _state(path: Path) -> list[int]:
    try:
        state = path.stat()
    except OSError:
        return []
    return [state.st_size, state.st_mtime_ns]


def required_api() -> str:
    """Return the URL of the configured Prefect API. Raises SpecmineError when there is none or it does not answer."""
    url = configured_api()
    if url is None:
        raise SpecmineError(
            "no Prefect API is configured: start `prefect server start` and set PREFECT_API_URL=http://HOST:4200/api"
        )
    check_answers(url)
    return url


def prepare(flow: str, config: str = DEFAULT_FILE) -> dict[str, str]:
    """The step of ``prefect.yaml`` before a deployment is registered: put its schedule, return what the file asks for.

    ``prefect deploy`` can only take schedules from its own file, and leaves those of a deployment alone when that file
    has none. So this step makes sure that the deployment exists, and gives it the schedule of ``specmine.toml``.
    It also lets every deployment run again; where somebody paused one, its schedules are paused here instead.
    """
    file = Path(config).absolute()
    if not file.is_file():
        raise SpecmineError(f"there is no {file}: flows are deployed with the schedules and paths of that file")
    settings = load_settings(file)
    paused = False
    with get_client(sync_client=True) as client:
        try:
            there = client.read_deployment_by_name(f"{flow}/{DEPLOYMENT}")
            number, paused = there.id, bool(there.paused and there.entrypoint)  # without one it was never registered
        except ObjectNotFound:
            # Paused, so that no run is scheduled before the deployment knows its work pool.
            number = client.create_deployment(client.create_flow_from_name(flow), DEPLOYMENT, paused=True)
        put_schedule(client, number, flow, settings.schedules.by_flow().get(flow))
        for schedule in client.read_deployment_schedules(number) if paused else ():
            client.update_deployment_schedule(number, schedule.id, active=False)
    second = "CANCEL_NEW" if flow in settings.runs.cancel else "ENQUEUE"
    return {"config": str(file), "folder": str(file.parent), "second_run": second}
