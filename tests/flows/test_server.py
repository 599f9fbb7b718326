"""Against a real Prefect server on loopback: serve, schedules, prefect.yaml with a worker, runs on demand."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from indexing.home import Home
from indexing.releases import current

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.timeout(1800)]

PATIENCE = 600.0  # seconds; a busy machine starts a flow run in minutes
BIN = Path(sys.executable).parent
REPOSITORY = Path(__file__).parents[2]
UNDER_WAY = ["SCHEDULED", "PENDING", "RUNNING"]
# The interval is long enough for a run to end before the next one is due, on a busy machine too.
SCHEDULES = """
[schedules]
ingest = { interval = 60 }
evaluate = "0 3 * * *"
mine = { cron = "0 1 * * *", timezone = "Europe/Berlin", paused = true }
retrain = { rrule = "FREQ=WEEKLY;BYDAY=SU;BYHOUR=4" }
"""


class Server:
    """A Prefect server's address and environment."""

    def __init__(self, port: int, home: Path) -> None:
        self.api = f"http://127.0.0.1:{port}/api"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SPECMINE_"))}
        self.environment = {
            **kept,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_DATABASE_TIMEOUT": "60",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "DO_NOT_TRACK": "1",
        }

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, self.api + path, json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployment(self, flow: str) -> Any:
        return self.ask("GET", f"/deployments/name/{flow}/specmine")

    def run_states(self, flow: str) -> list[str]:
        runs = self.ask("POST", "/flow_runs/filter", {"flows": {"name": {"any_": [flow]}}, "sort": "START_TIME_DESC"})
        return [run["state_type"] for run in runs]

    def is_idle(self, flow: str) -> bool:
        """Tell whether no run is under way, nor about to be: one is taken up ten seconds before its time."""
        body = {"flows": {"name": {"any_": [flow]}}, "flow_runs": {"state": {"type": {"any_": UNDER_WAY}}}}
        soon = datetime.now(UTC) + timedelta(seconds=15)
        return not any(
            run["state_type"] != "SCHEDULED" or datetime.fromisoformat(run["next_scheduled_start_time"]) < soon
            for run in self.ask("POST", "/flow_runs/filter", body)
        )

    def wait_until_idle(self, flow: str) -> None:
        """A run that is killed keeps its place in the deployment's limit for minutes, and is pending for ever if it had
        not begun: wait until none is there to be killed."""
        wait_for(lambda: self.is_idle(flow), f"the end of {flow}")

    def command(self, *arguments: str, folder: Path) -> str:
        done = subprocess.run(arguments, cwd=folder, env=self.environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def process(self, *arguments: str, folder: Path) -> Iterator[Path]:
        """Run a command until the block ends; yield the file of its output."""
        log = folder / f"{arguments[0]}-{arguments[1]}-{time.monotonic_ns()}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                arguments, cwd=folder, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                yield log
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def wait_for(what: Callable[[], Any], name: str) -> Any:
    """Return the first true value of ``what``."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if found := what():
                return found
        except httpx.HTTPError:
            pass
        time.sleep(1.0)
    raise AssertionError(f"{name} did not come in {PATIENCE:.0f} s")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = Server(port, folder)
    with server.process("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), folder=folder):
        wait_for(lambda: server.ask("GET", "/health"), "the server")
        yield server


def test_serve_registers_schedules_and_runs(
    server: Server, write_config: Callable[[str], Path], workplace: Path
) -> None:
    write_config(SCHEDULES)
    with server.process("specmine", "serve", "--json", folder=workplace) as log:
        announced = wait_for(lambda: log.read_text().partition("\n")[0], "the announcement")
        assert json.loads(announced)["deployments"]["ingest/specmine"] == "every 60 s"
        wait_for(lambda: "COMPLETED" in server.run_states("ingest"), "a scheduled ingest")
        release = current(Home(workplace / "home"))
        assert release is not None

        (workplace / "specs" / "new.md").write_text("# New\n\nThe new document is about hinges.\n", encoding="utf-8")
        started = json.loads(server.command("specmine", "ingest", "specs", "--deployment", "--json", folder=workplace))
        run = f"/flow_runs/{started['flow_run']}"
        wait_for(lambda: server.ask("GET", run)["state_type"] == "COMPLETED", "the batch")
        assert server.ask("GET", run)["parameters"]["paths"] == [str(workplace / "specs")]
        here = json.loads(server.command("specmine", "ingest", "specs", "--json", folder=workplace))  # as a flow, here
        assert here["documents"] == {"indexed": 0, "renamed": 0, "unchanged": 3, "removed": 0, "quarantined": 0}
        found = json.loads(server.command("specmine", "search", "hinges", "--json", folder=workplace))
        assert found["results"][0]["document"] == "new.md"
        server.wait_until_idle("ingest")

    schedules = {
        flow: server.deployment(flow)["schedules"] for flow in ("ingest", "evaluate", "mine", "retrain", "reindex")
    }
    assert schedules["ingest"][0]["schedule"]["interval"] == 60
    assert schedules["evaluate"][0]["schedule"]["cron"] == "0 3 * * *"
    assert schedules["mine"][0]["schedule"]["timezone"] == "Europe/Berlin"
    assert schedules["retrain"][0]["schedule"]["rrule"].endswith("BYHOUR=4")
    assert schedules["reindex"] == []
    # Stopping does not pause; what the configuration or a person paused stays paused.
    assert [schedules[flow][0]["active"] for flow in ("ingest", "evaluate", "mine")] == [True, True, False]


def test_a_paused_schedule_stays_paused_and_a_removed_one_goes(
    server: Server, write_config: Callable[[str], Path], workplace: Path
) -> None:
    write_config('[schedules]\ningest = { interval = 86400 }\nevaluate = "0 3 * * *"\n')
    with server.process("specmine", "serve", "--json", folder=workplace) as log:
        wait_for(log.read_text, "the announcement")
        server.wait_until_idle("ingest")
    deployment = server.deployment("evaluate")
    schedule = deployment["schedules"][0]
    server.ask("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False})
    write_config('[schedules]\nevaluate = "30 4 * * *"\n')
    with server.process("specmine", "serve", "--json", folder=workplace) as log:
        wait_for(log.read_text, "the announcement")
        server.wait_until_idle("ingest")
    evaluated = server.deployment("evaluate")["schedules"]
    assert [(entry["schedule"]["cron"], entry["active"]) for entry in evaluated] == [("30 4 * * *", False)]
    assert server.deployment("ingest")["schedules"] == []


@pytest.mark.campaign
def test_prefect_yaml_takes_its_schedules_from_the_configuration(
    server: Server, write_config: Callable[[str], Path], workplace: Path
) -> None:
    shutil.copy(REPOSITORY / "prefect.yaml", workplace / "prefect.yaml")
    config = write_config('[schedules]\ningest = { interval = 60 }\nlifecycle = "0 2 * * 6"\n')
    server.command("prefect", "work-pool", "create", "specmine", "--type", "process", folder=workplace)
    server.command("prefect", "--no-prompt", "deploy", "--all", folder=workplace)
    deployment = server.deployment("ingest")
    assert (deployment["paused"], deployment["work_pool_name"]) == (False, "specmine")
    assert deployment["parameters"] == {"config": str(config)}
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert [entry["schedule"]["interval"] for entry in deployment["schedules"]] == [60]
    assert server.deployment("lifecycle")["schedules"][0]["schedule"]["cron"] == "0 2 * * 6"

    with server.process("prefect", "worker", "start", "--pool", "specmine", folder=workplace):
        output = server.command(
            "prefect", "deployment", "run", "ingest/specmine", "--param", "prune=true", folder=workplace
        )
        assert "ingest/specmine" in output
        wait_for(lambda: current(Home(workplace / "home")) is not None, "a run by the worker")
        wait_for(lambda: "COMPLETED" in server.run_states("ingest"), "its end")

    # Deployed again, a schedule that somebody paused is paused, and the others are what the file says now.
    schedule = server.deployment("ingest")["schedules"][0]
    server.ask("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False})
    write_config("[schedules]\ningest = { interval = 90 }\n")
    server.command("prefect", "--no-prompt", "deploy", "--all", folder=workplace)
    schedules = server.deployment("ingest")["schedules"]
    assert [(entry["schedule"]["interval"], entry["active"]) for entry in schedules] == [(90, False)]
    assert server.deployment("lifecycle")["schedules"] == []
