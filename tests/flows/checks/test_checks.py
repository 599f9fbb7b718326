"""What the doctor finds where something is wrong, and the command that it names."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evaluation.leases import Leases
from flows.checks import index, machine, orchestration
from flows.checks.check import Check
from flows.settings import Settings, load_settings
from indexing.home import MANIFEST, Home, write_json
from indexing.releases import Fusion, Release, publish
from tests.answering import Quiet, answering
from training.versions import WEIGHTS, EncoderVersion

SECRET = "sesame:open"


@pytest.fixture(autouse=True)
def no_prefect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[str], Settings]:
    def configure(text: str = "") -> Settings:
        file = tmp_path / "specmine.toml"
        file.write_text(f'home = "{tmp_path / "home"}"\n{text}', encoding="utf-8")
        file.chmod(0o644)
        return load_settings(file)

    return configure


def only(found: Iterator[Check], name: str) -> Check:
    (check,) = [check for check in found if check.name == name]
    return check


def test_the_packages_are_those_that_are_pinned(
    configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert only(machine.packages(configured()), "versions").outcome == "ok"
    needed = ["prefect<0.1", "there-is-no-such-package", 'also-not-there; extra == "docling"', "rich"]
    monkeypatch.setattr(machine, "requires", lambda _: needed)
    check = only(machine.packages(configured()), "versions")
    assert (check.outcome, check.mend) == ("failed", "python -m pip install -r requirements.lock")
    assert "<0.1 is needed; there-is-no-such-package is not installed" in check.message
    assert "also-not-there" not in check.message


def test_a_secret_that_others_can_read(configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configured('[qdrant]\nurl = "http://127.0.0.1:9"\napi_key = "hunter2"\n')
    assert settings.file is not None
    check = only(machine.permissions(settings), "secrets")
    assert (check.outcome, check.mend) == ("warning", f"chmod 600 {settings.file}")
    assert "hunter2" not in check.message
    settings.file.chmod(0o600)
    assert [check.name for check in machine.permissions(settings)] == ["home"]
    database = configured('[catalogue]\nurl = "postgresql://ann:hunter3@host/specmine"\n')
    assert only(machine.permissions(database), "secrets").outcome == "warning"
    monkeypatch.setenv("SPECMINE_QDRANT__API_KEY", "hunter4")
    assert [check.name for check in machine.permissions(configured())] == ["home"]


def test_a_home_that_everybody_can_write(configured: Callable[..., Settings]) -> None:
    settings = configured()
    root = settings.open_home().reports.parent
    root.chmod(0o777)
    check = only(machine.permissions(settings), "home")
    assert (check.outcome, check.mend) == ("warning", f"chmod o-w {root}")


def test_a_disk_without_room_for_another_index(
    configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configured()
    usage = shutil.disk_usage(settings.open_home().reports)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(free=4_900_000_000))
    assert only(machine.disk(settings), "disk").outcome == "warning"
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage._replace(free=5_100_000_000))
    assert only(machine.disk(settings), "disk").outcome == "ok"
    monkeypatch.setattr(machine, "bytes_in", lambda _: 3_000_000_000)
    publish(Home(settings.open_home().root), Release("g1", 1, {}, Fusion("soft", {})))
    assert "have 6 GB free" in only(machine.disk(settings), "disk").message


def test_clocks_that_differ(configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = configured()
    assert only(machine.clock(settings), "clock").outcome == "ok"
    monkeypatch.setattr(Leases, "now", lambda _: time.time() + 100)
    check = only(machine.clock(settings), "clock")
    assert (check.outcome, check.mend) == ("failed", "sudo timedatectl set-ntp true")
    assert "the catalogue by +100 s" in check.message


def test_a_clock_that_was_set_back(configured: Callable[..., Settings]) -> None:
    settings = configured()
    home = settings.open_home()
    served = publish(Home(home.root), Release("g1", 1, {}, Fusion("soft", {})))
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    write_json(home.releases / f"{served.id}.json", asdict(served) | {"created": later})
    assert "the served release by +3600 s" in only(machine.clock(settings), "clock").message


def version_in(home: Home, weights: bytes, sha256: str) -> str:
    folder = home.encoders / "tiny" / "20260101T000000-abcd"
    folder.mkdir(parents=True)
    version = EncoderVersion("tiny", "f", "lce", "j", {}, {}, {}, {}, id=folder.name, sha256=sha256)
    (folder / WEIGHTS).write_bytes(weights)
    write_json(folder / MANIFEST, asdict(version))
    return folder.name


EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing


@pytest.mark.parametrize(
    ("weights", "told"), [(b"", []), (b"x", ["the weights of tiny 20260101T000000-abcd are damaged"])]
)
def test_the_weights_of_a_served_version(home: Home, weights: bytes, told: list[str]) -> None:
    number = version_in(home, weights, EMPTY)
    served = Release("g1", 1, {"tiny": number, "other": "base"}, Fusion("soft", {}))
    assert index._damaged_versions(home, served) == told
    (home.encoders / "tiny" / number / WEIGHTS).unlink()
    assert index._damaged_versions(home, served) == [f"the weights of tiny {number} are gone"]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A server that answers as Prefect's does, by path; and only who knows the secret."""
    answers: dict[str, Any] = {"/health": True, "/admin/version": "3.8.8", "/flows/filter": [], "/flow_runs/count": 0}

    class Server(Quiet):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/api")
            allowed = path == "/health" or self.headers["Authorization"] == "Basic c2VzYW1lOm9wZW4="
            self.send_response(200 if allowed else 401)
            self.end_headers()
            self.wfile.write(json.dumps(answers[path]).encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

    with answering(Server) as url:
        monkeypatch.setenv("PREFECT_API_URL", f"{url}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", SECRET)
        yield answers


SCHEDULED = '[schedules]\ningest = "0 1 * * *"\nmine = "0 2 * * *"\n'


def test_schedules_without_a_server(configured: Callable[..., Settings]) -> None:
    assert only(orchestration.prefect(configured()), "prefect").outcome == "ok"
    check = only(orchestration.prefect(configured(SCHEDULED)), "prefect")
    assert (check.outcome, check.message) == (
        "warning",
        "no Prefect API is configured: ingest, mine of [schedules] never run",
    )


def test_what_the_server_does_not_know(configured: Callable[..., Settings], server: dict[str, Any]) -> None:
    settings = configured(SCHEDULED)
    server["/flows/filter"] = [{"name": "ingest"}, {"name": "evaluate"}]
    found = {check.name: check for check in orchestration.prefect(settings)}
    assert set(found) == {"prefect", "deployments"}
    assert found["prefect"].outcome == "ok"
    assert found["deployments"].message == "[schedules] names mine, which the server does not know"
    server["/flows/filter"].append({"name": "mine"})
    server["/flow_runs/count"] = 3
    server["/admin/version"] = "2.20.1"
    found = {check.name: check for check in orchestration.prefect(settings)}
    assert found["deployments"].outcome == "ok"
    assert found["schedule"].message.startswith("3 runs are late")
    assert found["prefect"].mend == "python -m pip install prefect==2.20.1"


def test_the_servers_clock(configured: Callable[..., Settings], server: dict[str, Any]) -> None:
    check = only(machine.clock(configured()), "clock")
    assert check.message.endswith("the Prefect server")


def test_a_server_that_wants_a_secret(
    configured: Callable[..., Settings], server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.doctor import check_all

    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "wrong:one")
    failed = {entry["name"]: entry["message"] for entry in check_all(configured())["checks"]}
    assert failed["prefect"].endswith("(401 Unauthorized); set PREFECT_API_AUTH_STRING")
    assert "wrong:one" not in failed["prefect"]


def test_the_workers_of_the_task_runner_are_looked_for(
    configured: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(table: str) -> Check:
        return only(orchestration.workers(configured(f"[runs]\n{table}\n")), "workers")

    assert (found("").outcome, found("").message) == ("ok", "threads: this process")
    assert found('task_runner = "processes"\nworkers = 3').message == "processes: 3 processes of this machine"
    monkeypatch.setattr(orchestration, "find_spec", lambda name: None)
    missing = found('task_runner = "ray"')
    assert (missing.outcome, missing.mend) == ("failed", "python -m pip install 'specmine[ray]'")
    monkeypatch.setattr(orchestration, "find_spec", lambda name: name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert found(f'task_runner = "dask"\naddress = "tcp://{address}"').outcome == "ok"
        assert found(f'task_runner = "dask"\naddress = "{address}"').outcome == "ok"
    gone = found(f'task_runner = "dask"\naddress = "tcp://{address}"')
    assert gone.outcome == "failed"
    assert "refused" in gone.message
