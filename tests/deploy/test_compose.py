"""compose.yaml as an engine would read it, checked without one: structure, commands, ports, secrets, settings."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.settings import load_settings
from tests.deploy.commands import check_command

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRETS = {"POSTGRES_PASSWORD", "QDRANT_API_KEY", "PREFECT_AUTH"}
KEYS = {
    "image", "build", "restart", "init", "cap_drop", "security_opt", "environment", "volumes", "command",
    "entrypoint", "ports", "depends_on", "healthcheck",
}  # fmt: skip
_VARIABLE = re.compile(r"\$\{(\w+)(:\?[^}]*)?\}")

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PARAMETERS = [pytest.param(name, service, id=name) for name, service in SERVICES.items()]


def test_all_that_is_needed_is_there() -> None:
    assert set(SERVICES) == {"postgres", "qdrant", "prefect", "deployments", "worker", "api"}


@pytest.mark.parametrize(("name", "service"), PARAMETERS)
def test_a_service_is_one_that_compose_knows(name: str, service: dict[str, Any]) -> None:
    assert set(service) <= KEYS
    assert service["image"] == "specmine" or re.search(r":v?\d+(\.\d+)*$", service["image"]), (
        "an image without a version"
    )
    for other, wanted in service.get("depends_on", {}).items():
        condition = wanted["condition"]
        assert condition in ("service_healthy", "service_completed_successfully")
        assert condition != "service_healthy" or "healthcheck" in SERVICES[other]
    if "healthcheck" in service:
        assert service["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize(("name", "service"), PARAMETERS)
def test_ports_are_those_of_this_machine_alone(name: str, service: dict[str, Any]) -> None:
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", []))


def test_secrets_come_from_the_environment_and_their_lack_is_told() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    used = {(found[1], bool(found[2])) for found in _VARIABLE.finditer(text)}
    assert used == {(name, True) for name in SECRETS | {"DOCUMENTS"}}
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if re.search("PASSWORD|KEY|AUTH", name):
                assert _VARIABLE.fullmatch(value), f"{name} is written out"
            assert not re.search(r"://[^/]*:(?!\$\{)[^/@]*@", str(value)), f"{name} has a password written out"
    example = (DEPLOY / "env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == SECRETS


def test_qdrant_is_of_the_version_that_its_client_was_made_for() -> None:
    server = SERVICES["qdrant"]["image"].partition(":v")[2]
    assert server.split(".")[:2] == version("qdrant-client").split(".")[:2]


def test_volumes_and_files_are_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = _VARIABLE.sub("/documents", volume).partition(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).is_file()
            elif not source.startswith("/"):
                assert source in COMPOSE["volumes"]


def test_commands_are_understood() -> None:
    checked = 0
    for service in SERVICES.values():
        entrypoint = service.get("entrypoint", ["specmine"] if service["image"] == "specmine" else None)
        if entrypoint is None:
            continue
        words = [*entrypoint, *service.get("command", [])]
        check_command(words)
        checked += 1
    assert checked == 4
    with pytest.raises(Exception, match="--no-such"):
        check_command(["prefect", "worker", "start", "--no-such"])


def test_the_environment_is_what_settings_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["api"]["environment"].items():
        if name.startswith("SPECMINE_"):
            monkeypatch.setenv(name, _VARIABLE.sub(lambda found: found[1].lower(), value))
    settings = load_settings(DEPLOY / "specmine.toml")
    assert settings.home == Path("/srv/specmine")
    assert settings.index().qdrant.api_key == "qdrant_api_key"
    assert settings.catalogue_url() == "postgresql://specmine:postgres_password@postgres:5432/catalogue"
    assert settings.sources.paths == (Path("/srv/documents"),)
    assert set(settings.schedules.by_flow()) == {"ingest", "monitor"}


def test_compose_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed: its own check of compose.yaml is left out")
    file = tmp_path / "env"
    file.write_text("".join(f"{name}=x\n" for name in SECRETS) + "DOCUMENTS=/tmp\n", encoding="utf-8")
    checked = subprocess.run(
        ["docker", "compose", "--env-file", str(file), "--file", str(DEPLOY / "compose.yaml"), "config", "--quiet"],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
