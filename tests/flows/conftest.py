from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexing.home import Home

TORQUE = """# Torque specification

## 1 Scope

This specification covers the fastening of flange couplings on pumps.

## 2 Torque

### 2.1 Flange bolts

Flange bolts M8 shall be tightened to 25 Nm with a calibrated wrench.

### 2.2 Cover screws

Cover screws M4 shall be tightened to 2.8 Nm by hand.
"""
MARKING = """# Marking specification

## 1 Plates

Every coupling carries its serial number on a riveted plate of brass.

## 2 Colours

Couplings for steam are painted red, couplings for water are painted blue.
"""


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


@pytest.fixture
def run_specmine(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command; return its exit code and what it wrote to standard output and to standard error."""
    from flows.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def workplace(tmp_path: Path, models_home: Home) -> Path:
    """A folder with two documents and a configuration; its home shares the fetched models."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "torque.md").write_text(TORQUE, encoding="utf-8")
    (tmp_path / "specs" / "marking.md").write_text(MARKING, encoding="utf-8")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(models_home.models.resolve())
    return tmp_path


@pytest.fixture
def write_config(workplace: Path) -> Callable[[str], Path]:
    """Write the workplace's specmine.toml: the static encoder, no cross-encoder, and what the test adds."""

    def write(more: str = "") -> Path:
        file = workplace / "specmine.toml"
        text = (
            'home = "home"\ncross_encoder = false\n[[encoders]]\nname = "wordllama"\nsource = '
            '{ wheel = "wordllama", version = "0.4.0.post1", path = "wordllama", format = "static-table", '
            'python_version = "3.11", sha256 = "42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97" }\n'
            '[sources]\npaths = ["specs"]\n' + more
        )
        file.write_text(text, encoding="utf-8")
        return file

    return write


@pytest.fixture
def judged(workplace: Path) -> Path:
    """Write judged queries on the workplace's documents, two files for each split."""
    asked = [
        ("how tight are the M8 flange bolts", "torque.md", "2.1"),
        ("torque of the M4 cover screws", "torque.md", "2.2"),
        ("where is the serial number", "marking.md", "1"),
        ("which colour has a coupling for steam", "marking.md", "2"),
    ]
    for split in ("train", "dev", "test", "guard"):
        queries = [f'{{"id": "{split}{i}", "text": "{split}: {text}?"}}' for i, (text, _, _) in enumerate(asked)]
        judgements = [
            f'{{"query": "{split}{i}", "document": "{document}", "section": "{section}", "grade": 1}}'
            for i, (_, document, section) in enumerate(asked)
        ]
        (workplace / f"{split}.queries.jsonl").write_text("\n".join(queries), encoding="utf-8")
        (workplace / f"{split}.judgements.jsonl").write_text("\n".join(judgements), encoding="utf-8")
    return workplace
