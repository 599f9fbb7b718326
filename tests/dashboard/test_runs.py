"""Runs over HTTP, against a server that answers as Prefect's REST API does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dashboard.runs import RunService, run_routes
from tests.answering import Quiet, answering

TOKEN = "a token of some length"
RUN = "0b7e1a52-6f0c-4f8e-9a3e-2f1f2d3c4b5a"
ENTER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def api(asked: list[dict[str, Any]]) -> Iterator[str]:
    class Prefect(Quiet):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            asked.append({"path": self.path, "body": body, "authorization": self.headers.get("authorization")})
            known = {
                "/api/deployments/name/ingest/specmine": {"id": "d1"},
                "/api/deployments/name/evaluate/specmine": {"id": "d2"},
                "/api/deployments/d1/create_flow_run": {"id": RUN, "name": "new", "state": {"name": "Scheduled"}},
                "/api/deployments/d2/create_flow_run": {"id": RUN, "name": "new", "state": {"name": "Scheduled"}},
                f"/api/flow_runs/{RUN}": {"id": RUN, "name": "new", "state": {"name": "Failed", "message": "no"}},
            }
            found = known.get(self.path)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        do_GET = do_POST = answer

    with answering(Prefect) as url:
        yield f"{url}/api"


def client(service: RunService) -> TestClient:
    app = FastAPI()
    app.include_router(run_routes(service))
    return TestClient(app)


def test_a_batch_is_started_and_looked_at(
    api: str, asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:pass")
    runs = client(RunService(api, TOKEN, [tmp_path]))
    batch = str(tmp_path / "batch 7")
    answer = runs.post(
        "/api/runs", json={"flow": "ingest", "paths": [batch]}, headers={**ENTER, "Idempotency-Key": "batch 7"}
    )
    assert answer.status_code == 202
    assert answer.json() == {"flow_run": RUN, "name": "new", "state": "Scheduled", "message": None}
    assert asked[1]["body"] == {
        "parameters": {"paths": [batch], "prune": False},
        "idempotency_key": "http ingest batch 7",
    }
    assert asked[1]["authorization"] == "Basic YWRtaW46cGFzcw=="  # admin:pass
    assert runs.get(f"/api/runs/{RUN}", headers=ENTER).json()["message"] == "no"
    assert runs.post("/api/runs", json={"flow": "evaluate"}, headers=ENTER).status_code == 202
    assert asked[-1]["body"] == {"parameters": {}}
    assert runs.post("/api/runs", json={"flow": "mine"}, headers=ENTER).status_code == 404  # not deployed


@pytest.mark.parametrize("header", [{}, {"Authorization": TOKEN}, {"Authorization": "Bearer wrong"}])
def test_nobody_enters_without_the_token(
    api: str, asked: list[dict[str, Any]], header: dict[str, str], tmp_path: Path
) -> None:
    runs = client(RunService(api, TOKEN, [tmp_path]))
    assert runs.post("/api/runs", json={"flow": "ingest"}, headers=header).status_code == 401
    assert runs.get(f"/api/runs/{RUN}", headers=header).status_code == 401
    closed = client(RunService(api, None, [tmp_path]))
    assert closed.post("/api/runs", json={"flow": "ingest"}, headers={"Authorization": "Bearer "}).status_code == 403
    assert asked == []


@pytest.mark.parametrize(
    "body",
    [
        {"flow": "sweep"},
        {"flow": "ingest", "paths": ["/etc"]},
        {"flow": "ingest", "paths": ["batch"]},
        {"flow": "ingest", "paths": ["{folder}/../other"]},
        {"flow": "ingest", "paths": ["{folder}/link"]},
        {"flow": "ingest", "config": "/etc/passwd"},
        {"flow": "mine", "prune": True},
    ],
)
def test_only_what_is_offered_can_be_asked_for(
    api: str, asked: list[dict[str, Any]], tmp_path: Path, body: dict[str, Any]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("/etc")
    body = json.loads(json.dumps(body).replace("{folder}", str(tmp_path / "folder")))
    runs = client(RunService(api, TOKEN, [tmp_path / "folder"]))
    assert runs.post("/api/runs", json=body, headers=ENTER).status_code == 422
    assert asked == []


def test_a_server_that_is_not_there_is_said() -> None:
    assert client(RunService(None, TOKEN)).get(f"/api/runs/{RUN}", headers=ENTER).status_code == 409
    assert client(RunService("http://127.0.0.1:9/api", TOKEN)).get(f"/api/runs/{RUN}", headers=ENTER).status_code == 502
