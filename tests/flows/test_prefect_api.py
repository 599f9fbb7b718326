from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.prefect_api import check_answers, configured_api
from indexing.home import SpecmineError
from tests.answering import Quiet, answering


@pytest.fixture(autouse=True)
def prefect_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return tmp_path


PROFILES = """
active = "local"
[profiles.ephemeral]
PREFECT_SERVER_ALLOW_EPHEMERAL_MODE = "true"
[profiles.local]
PREFECT_API_URL = "http://127.0.0.1:4200/api"
"""


def test_nothing_is_configured() -> None:
    assert configured_api() is None


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch, prefect_home: Path) -> None:
    (prefect_home / "profiles.toml").write_text(PROFILES, encoding="utf-8")
    monkeypatch.setenv("PREFECT_API_URL", "http://server/api")
    assert configured_api() == "http://server/api"


def test_the_active_profile_counts(monkeypatch: pytest.MonkeyPatch, prefect_home: Path) -> None:
    (prefect_home / "profiles.toml").write_text(PROFILES, encoding="utf-8")
    assert configured_api() == "http://127.0.0.1:4200/api"
    monkeypatch.setenv("PREFECT_PROFILE", "ephemeral")
    assert configured_api() is None


@pytest.mark.parametrize("content", ["not toml [", "active = 'gone'", "active = 'x'\nprofiles = 3\n", ""])
def test_a_damaged_profile_is_no_server(prefect_home: Path, content: str) -> None:
    (prefect_home / "profiles.toml").write_text(content, encoding="utf-8")
    assert configured_api() is None


@pytest.fixture
def server() -> Iterator[str]:
    class Healthy(Quiet):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/health" else 404)
            self.end_headers()

    with answering(Healthy) as url:
        yield url


def test_a_server_that_answers(server: str) -> None:
    check_answers(f"{server}/api")
    with pytest.raises(SpecmineError, match="does not answer"):
        check_answers(f"{server}/elsewhere")


def test_a_server_that_does_not() -> None:
    with pytest.raises(SpecmineError, match=r"prefect server start.*--no-prefect"):
        check_answers("http://127.0.0.1:9/api")
    with pytest.raises(SpecmineError, match="no http address"):
        check_answers("file:///etc/passwd")
