from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home for Prefect that is not the user's, set before Prefect is imported for the first time."""
    folder = tmp_path_factory.mktemp("prefect")
    before = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    for name in before:
        del os.environ[name]
    os.environ["PREFECT_HOME"] = str(folder)
    from flows import prefect_env

    os.environ.update(prefect_env.DEFAULTS)
    yield folder
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(scope="module")
def prefect(prefect_home: Path) -> Iterator[None]:
    """A Prefect server of the module's own."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),
    ):
        yield
