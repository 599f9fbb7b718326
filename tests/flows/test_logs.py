"""The structured log: every line an object with its run, in the place that was configured."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.log_settings import LogSettings
from flows.logs import run_logged
from flows.settings import load_settings
from flows.stage_runs import logged
from flows.stages import ingest
from indexing.home import SpecmineError
from indexing.log import log_event

SECRET = "hunter2"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_lines_carry_the_run_and_the_outermost_place_has_each_once(tmp_path: Path) -> None:
    settings = LogSettings(str(tmp_path / "logs" / "specmine.log"))
    log_event("before", document="x")
    with run_logged(settings, run="1", stage="sweep", flow_run=None):
        with run_logged(settings, run="2", stage="retrain"):
            log_event("batch embedded", passages=3, name="ü\n")
        logging.getLogger("mining.decisions").warning("lost %s", "a passage")
    log_event("after")
    first, second = lines(tmp_path / "logs" / "specmine.log")
    assert first | {"time": ""} == {
        "time": "", "level": "info", "event": "batch embedded", "run": "2", "stage": "retrain", "passages": 3,
        "name": "ü\n",
    }  # fmt: skip
    assert (second["run"], second["level"], second["event"]) == ("1", "warning", "lost a passage")


def test_text_is_one_line_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # Another program in this process, as Prefect, writes whatever reaches the root logger.
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(sys.stderr)])
    with run_logged(LogSettings("-", "text"), run="1"):
        log_event("document quarantined", document="a\nb.pdf")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r'info document quarantined run="1" document="a\nb.pdf"')


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = LogSettings(str(tmp_path / "file" / "log"))
    with pytest.raises(SpecmineError, match="cannot be written"), run_logged(settings, run="1"):
        raise AssertionError("never begun")
    with pytest.raises(ValueError, match="json or text"):
        LogSettings(format="xml")


def test_a_run_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPECMINE_LOGS__FILE", str(tmp_path / "log"))
    monkeypatch.setenv("SPECMINE_HOME", str(tmp_path / "home"))
    with pytest.raises(RuntimeError), logged(load_settings(None), "mine"):
        raise RuntimeError("why")
    began, failed = lines(tmp_path / "log")
    assert (began["event"], failed["event"], failed["error"]) == ("run began", "run failed", "why")
    assert began["run"] == failed["run"]


@pytest.mark.models
def test_an_ingest_has_a_line_for_each_document_and_batch(write_config: Callable[[str], Path], workplace: Path) -> None:
    (workplace / "specs" / "broken.pdf").write_bytes(b"not a pdf")
    file = workplace / "specmine.log"
    settings = load_settings(write_config(f'[logs]\nfile = "{file}"\n[qdrant]\napi_key = "{SECRET}"\n'))
    ingest(settings, [workplace / "specs"], False, lambda *_: None)
    told = lines(file)
    assert len({line["run"] for line in told}) == 1
    assert {line["stage"] for line in told} == {"ingest"}
    events = [(line["event"], line.get("document") or line.get("encoder")) for line in told]
    assert events[0] == ("run began", None)
    assert sorted(events[1:3]) == [("document read", "marking.md"), ("document read", "torque.md")]
    assert events[3:] == [
        ("document quarantined", "broken.pdf"),
        ("batch embedded", "wordllama"),
        ("run completed", None),
    ]
    assert SECRET not in file.read_text(encoding="utf-8")
