"""The Dockerfile, checked without an engine: what it copies, whom it runs as, and that no secret is in it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from cli.main import app

ROOT = Path(__file__).parents[2]
TEXT = re.sub(r"\\\n\s*", "", (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8"))
LINES = [line.partition(" ")[::2] for line in TEXT.splitlines() if line and not line.startswith("#")]


def test_instructions_are_known_and_stages_begin_with_a_version() -> None:
    assert {name for name, _ in LINES} <= {"FROM", "ARG", "WORKDIR", "RUN", "COPY", "ENV", "USER", "ENTRYPOINT", "CMD"}
    assert all(re.match(r"python:3\.\d+-\S+", rest) for name, rest in LINES if name == "FROM")


def test_what_is_copied_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        word for name, rest in LINES if name == "COPY" and not rest.startswith("--from") for word in rest.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_every_package_is_in_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}
    copied = {rest.split()[0] for name, rest in LINES if name == "COPY"}
    assert packages <= copied


def test_nobody_is_root_and_nothing_is_secret() -> None:
    user = [rest for name, rest in LINES if name == "USER"]
    assert user and user[-1] == "10001"
    assert not re.search("PASSWORD|SECRET|TOKEN|API_KEY", TEXT)
    assert "ADD" not in {name for name, _ in LINES}


def test_the_entry_point_is_the_command() -> None:
    words = {name: json.loads(rest) for name, rest in LINES if name in ("ENTRYPOINT", "CMD")}
    assert words["ENTRYPOINT"] == [app.name[0]]
