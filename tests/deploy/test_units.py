"""The systemd units: by systemd's own check where it is, and their commands by the parsers that will read them."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.commands import check_command

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))


def read(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(unit, encoding="utf-8")
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_runs_a_command_that_is_understood_and_not_as_root(unit: Path) -> None:
    service = read(unit)["Service"]
    words = shlex.split(service["ExecStart"])
    assert Path(words[0]).parent == Path("/opt/specmine/.venv/bin")
    check_command([Path(words[0]).name, *words[1:]])
    assert service["User"] == "specmine"
    assert service["NoNewPrivileges"] == "true"
    assert service["EnvironmentFile"] == "-/etc/specmine/environment"
    assert not any(word in service["Environment"] for word in ("KEY", "PASSWORD", "AUTH"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_wrong(unit: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed: systemd's own check of the units is left out")
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    for each in UNITS:  # with programs that are there; all of them, for they name one another
        command = shlex.split(read(each)["Service"]["ExecStart"])[0]
        text = each.read_text(encoding="utf-8").replace(command, str(program))
        (tmp_path / each.name).write_text(text, encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True
    )
    assert (checked.returncode, checked.stderr) == (0, "")
