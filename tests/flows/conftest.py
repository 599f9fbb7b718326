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
