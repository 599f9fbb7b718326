"""Checks of the Prefect server, asked over HTTP (importing Prefect takes seconds), and of who does the runs' work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from urllib.parse import urlsplit

from flows.checks.check import Check
from flows.prefect_api import ask, check_answers, configured_api
from flows.settings import Settings

_PATIENCE = 5.0  # seconds
_DEPLOYMENT = "specmine"  # the name that all deployments have; flows.deployments would import Prefect


def prefect(settings: Settings) -> Iterator[Check]:
    """Look whether the server answers, is of this version, knows what is scheduled, and has somebody who runs it."""
    url = configured_api()
    scheduled = settings.schedules.by_flow()
    if url is None:
        if scheduled:
            message = f"no Prefect API is configured: {', '.join(scheduled)} of [schedules] never run"
            yield Check("prefect", "warning", message, "prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api")
        else:
            yield Check("prefect", "ok", "no API is configured: stages run without Prefect")
        return
    check_answers(url)
    theirs, ours = str(ask(url, "/admin/version")), version("prefect")
    if theirs.split(".")[:2] != ours.split(".")[:2]:
        message = f"{url} runs Prefect {theirs}, here is {ours}: run the same on both"
        yield Check("prefect", "warning", message, f"python -m pip install prefect=={theirs}")
    else:
        yield Check("prefect", "ok", f"{url} answers, Prefect {theirs}")
    ours_alone = {"deployments": {"name": {"any_": [_DEPLOYMENT]}}}
    deployed = {flow["name"] for flow in ask(url, "/flows/filter", ours_alone)}
    missing = [name for name in scheduled if name not in deployed]
    if missing:
        message = f"[schedules] names {', '.join(missing)}, which the server does not know"
        yield Check("deployments", "warning", message, "specmine deploy")
    else:
        yield Check("deployments", "ok", f"{len(deployed)} flows are deployed, {len(scheduled)} have a schedule")
    late = ask(url, "/flow_runs/count", {**ours_alone, "flow_runs": {"state": {"name": {"any_": ["Late"]}}}})
    if late:
        yield Check("schedule", "warning", f"{late} runs are late: nobody takes them up", "specmine serve")


def workers(settings: Settings) -> Iterator[Check]:
    """Look whether the task runner of ``[runs]`` is installed, and whether its cluster can be reached."""
    runs = settings.runs
    if runs.task_runner in ("dask", "ray") and find_spec(f"prefect_{runs.task_runner}") is None:
        message = f'[runs] task_runner = "{runs.task_runner}" is not installed'
        yield Check("workers", "failed", message, f"python -m pip install 'specmine[{runs.task_runner}]'")
        return
    if runs.address is None:
        where = "this process" if runs.task_runner == "threads" else f"{runs.workers} processes of this machine"
        yield Check("workers", "ok", f"{runs.task_runner}: {where}")
        return
    place = urlsplit(runs.address if "//" in runs.address else f"//{runs.address}")
    try:
        with socket.create_connection((place.hostname or "", place.port or 0), _PATIENCE):
            yield Check("workers", "ok", f"{runs.task_runner}: {runs.address} answers")
    except (OSError, ValueError) as error:
        message = f"[runs] address {runs.address} does not answer ({error}): start the cluster, or correct the address"
        yield Check("workers", "failed", message)
