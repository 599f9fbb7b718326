"""A home with a fast encoder, and a folder of two short specifications."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexing.home import Home
from indexing.models.fetching import fetch
from indexing.specs import WORDLLAMA
from tests.indexing.small import PUMP, VALVE


@pytest.fixture
def prepared(home: Home, models_home: Home) -> Home:
    """A fresh home that shares the fetched model files."""
    fetch(WORDLLAMA.source, models_home)
    home.root.mkdir(parents=True, exist_ok=True)
    (home.root / "models").symlink_to(models_home.models.resolve())
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "specs"
    (folder / "sub").mkdir(parents=True)
    (folder / "pump.md").write_text(PUMP.format(pressure=16), encoding="utf-8")
    (folder / "sub" / "valve.md").write_text(VALVE, encoding="utf-8")
    return folder
