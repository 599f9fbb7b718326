"""The list of documents, and one in detail, against the files that were ingested."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.main import main

pytestmark = pytest.mark.models


@pytest.fixture
def ingested(workplace: Path, write_config: Callable[[str], Path]) -> Path:
    """A configuration with two indexed documents and a third that cannot be read."""
    config = write_config()  # type: ignore[call-arg]
    (workplace / "specs" / "broken.txt").write_bytes(b"Torque\0")
    run("ingest", "--no-prefect", config=config)
    return config


def run(*command: str, config: Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([*command, "--config", str(config), "--json"])
    return int(left.value.code or 0)


def answer(*command: str, config: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    run(*command, config=config)
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_every_document_is_listed_with_its_state(ingested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = answer("documents", config=ingested, capsys=capsys)
    assert [(entry["document"], entry["state"]) for entry in listed["documents"]] == [
        ("marking.md", "indexed"),
        ("torque.md", "indexed"),
    ]
    torque = listed["documents"][1]
    assert torque["chunks_shortened"] == 0
    assert (torque["title"], torque["pages"], torque["pages_without_text"]) == ("Torque specification", 1, 0)
    assert (torque["chunks"], torque["warnings"]) == (3, [])
    assert torque["source"].endswith("specs/torque.md") and torque["when"].endswith("+00:00")
    (broken,) = listed["quarantine"]
    assert (broken["document"], broken["state"]) == ("broken.txt", "quarantined")
    assert "NUL byte at byte 6" in broken["reason"] and broken["when"].endswith("+00:00")
    run("ingest", "--no-prefect", config=ingested)
    assert answer("documents", config=ingested, capsys=capsys)["quarantine"] == [broken]


def test_one_document_is_shown_with_its_pages_and_sections(ingested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = answer("documents", "show", "torque.md", config=ingested, capsys=capsys)
    assert [(entry["section"], entry["chunks"]) for entry in shown["sections"]] == [
        ("Torque specification > 1 Scope", 1),
        ("Torque specification > 2 Torque > 2.1 Flange bolts", 1),
        ("Torque specification > 2 Torque > 2.2 Cover screws", 1),
    ]
    assert sum(entry["chunks"] for entry in shown["page_accounts"]) == shown["chunks"] == shown["totals"]["chunks"] == 3
    assert shown["totals"]["blocks_heading"] == 5
    broken = answer("documents", "show", "broken.txt", config=ingested, capsys=capsys)
    assert broken["state"] == "quarantined"
    unknown = answer("documents", "show", "torqe.md", config=ingested, capsys=capsys)
    assert unknown["error"] == "there is no document 'torqe.md': did you mean 'torque.md'?"


def test_a_document_whose_new_state_cannot_be_read_says_so(
    ingested: Path, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workplace / "specs" / "torque.md").write_bytes(b"\xff\xfe\x00")
    run("ingest", "--no-prefect", config=ingested)
    shown = answer("documents", "show", "torque.md", config=ingested, capsys=capsys)
    assert (shown["state"], shown["chunks"], shown["refused"]["state"]) == ("indexed", 3, "quarantined")


def test_people_see_tables(ingested: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command, words in ((["documents"], "broken.txt"), (["documents", "show", "torque.md"], "Cover screws")):
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main([*command, "--config", str(ingested)])
        assert words in capsys.readouterr().out
