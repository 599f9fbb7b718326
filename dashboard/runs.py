"""Runs started and looked at over HTTP, by Prefect's REST API, for programs that have the token.

A program gives the flow, for an ingest the folders or files below those that are configured, and, if it likes, an
``Idempotency-Key``: the same key never starts a second run.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
from fastapi import APIRouter, Depends, Header, HTTPException
from pydantic import BaseModel, ConfigDict

_DEPLOYMENT = "specmine"
_PATIENCE = 20.0  # seconds for an answer of the Prefect server


@dataclass(frozen=True)
class RunService:
    """Where runs are started: ``api`` is the Prefect API, None where none is configured.

    Nobody enters without ``token``, and where there is none nobody does. An ingest takes files below ``folders``.
    """

    api: str | None = None
    token: str | None = None
    folders: Sequence[Path] = ()


class Wanted(BaseModel):
    """A run that is asked for. ``paths`` and ``prune`` are those of an ingest."""

    model_config = ConfigDict(extra="forbid")

    flow: Literal["ingest", "inbox", "evaluate", "mine", "retrain", "reindex", "monitor"]
    paths: list[str] = []
    prune: bool = False


def run_routes(service: RunService) -> APIRouter:
    """Return ``POST /api/runs`` and ``GET /api/runs/{id}``."""

    def enter(authorization: Annotated[str, Header()] = "") -> None:
        if not service.token:
            raise HTTPException(403, "runs are not started over HTTP here: set token in [dashboard] of specmine.toml")
        given = authorization.removeprefix("Bearer ").encode()
        if not authorization.startswith("Bearer ") or not hmac.compare_digest(given, service.token.encode()):
            raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})

    router = APIRouter(prefix="/api/runs", dependencies=[Depends(enter)])

    @router.post("", status_code=202)
    def start(
        wanted: Wanted, idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None
    ) -> dict[str, Any]:
        """Start a run of a deployed flow and return at once, with its id and state."""
        body: dict[str, Any] = {"parameters": _parameters(wanted, service.folders)}
        if idempotency_key is not None:
            body["idempotency_key"] = f"http {wanted.flow} {idempotency_key}"
        deployment = _ask(service, "GET", f"/deployments/name/{wanted.flow}/{_DEPLOYMENT}")
        return _told(_ask(service, "POST", f"/deployments/{deployment['id']}/create_flow_run", body))

    @router.get("/{run}")
    def look(run: UUID) -> dict[str, Any]:
        """Return the state of a run."""
        return _told(_ask(service, "GET", f"/flow_runs/{run}"))

    return router


def _parameters(wanted: Wanted, folders: Sequence[Path]) -> dict[str, Any]:
    if wanted.flow != "ingest":
        if wanted.paths or wanted.prune:
            raise HTTPException(422, f"paths and prune are those of an ingest, not of {wanted.flow}")
        return {}
    allowed = [folder.resolve() for folder in folders]
    paths = [Path(path) for path in wanted.paths]
    for path in paths:
        if not path.is_absolute() or not any(path.resolve().is_relative_to(folder) for folder in allowed):
            raise HTTPException(422, "paths must be absolute, and below those of [sources] or the inbox")
    return {"paths": [str(path) for path in paths], "prune": wanted.prune}


def _ask(service: RunService, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    if service.api is None:
        raise HTTPException(409, "no Prefect API is configured: set PREFECT_API_URL where the dashboard runs")
    user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    key = os.environ.get("PREFECT_API_KEY")
    try:
        answer = httpx.request(
            method,
            service.api.rstrip("/") + path,
            json=body,
            timeout=_PATIENCE,
            auth=(user, password) if user else None,
            headers={"Authorization": f"Bearer {key}"} if key else None,
        )
    except httpx.HTTPError as error:
        raise HTTPException(502, f"the Prefect server does not answer: {type(error).__name__}") from None
    if answer.status_code == 404:
        raise HTTPException(404, "there is no such run, or the flow is not deployed: `specmine deploy`")
    if answer.is_error:
        raise HTTPException(502, f"the Prefect server refused: status {answer.status_code}")
    found: dict[str, Any] = answer.json()
    return found


def _told(run: dict[str, Any]) -> dict[str, Any]:
    state = run.get("state") or {}
    return {"flow_run": run["id"], "name": run["name"], "state": state.get("name"), "message": state.get("message")}
