"""``specmine queries`` by command and as a flow, on an index with a real encoder and not one judged query."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.show import queries as show
from flows.reports.tables import generator_rows

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def specmine(run_specmine: Callable[..., tuple[int, str, str]], write_config: Callable[[str], Path]) -> Run:
    config = write_config('[generate]\ngenerators = ["headings", "inverse_cloze"]\n')

    def run(*arguments: str) -> dict[str, Any]:
        value = json.loads(run_specmine(*arguments, "--config", str(config), "--json")[1])
        assert isinstance(value, dict)
        return value

    run("ingest", "--no-prefect")
    return run


def generate(specmine: Run, *more: str) -> dict[str, Any]:
    return specmine("queries", "generate", "--no-prefect", *more)


@pytest.mark.models
def test_queries_are_made_listed_used_and_removed(specmine: Run, write_config: Callable[[str], Path]) -> None:
    tried = generate(specmine, "--dry-run")
    assert tried["kept"] > 0
    assert specmine("queries", "list")["splits"]["synthetic"] == 0
    report = generate(specmine)
    assert {name: done["kept"] for name, done in report["generators"].items()} == {
        name: done["kept"] for name, done in tried["generators"].items()
    }
    assert generate(specmine)["unchanged"] == 4  # two documents by two generators
    listed = specmine("queries", "list", "--split", "synthetic")
    assert listed["total"] == report["kept"] == sum(listed["generators"].values())
    bolts = next(entry for entry in listed["queries"] if "Flange bolts" in entry["text"])
    assert (bolts["generator"], bolts["document"], bolts["rank"]) == ("headings", "torque.md", 1)
    assert bolts["made_by"]["seed"] == 13

    assert "no judged queries of split 'train'" in specmine("mine", "--no-prefect")["error"]
    write_config('[mine]\nsynthetic = true\nfilters = ["encoder_agreement"]\nrandom_share = 0.0\nsources = ["bm25"]\n')
    assert specmine("mine", "--no-prefect")["queries"] == report["kept"]
    for split in ("dev", "test"):
        assert f"no judged queries of split {split!r}" in specmine("evaluate", "--split", split)["error"]
    assert "split must be one of train, dev, test, guard" in specmine("evaluate", "--split", "synthetic")["error"]

    removed = specmine("queries", "remove", "--generator", "headings")
    assert removed["removed"] == report["generators"]["headings"]["kept"]
    assert "made nothing that is stored" in specmine("queries", "remove", "--generator", "headings")["error"]
    assert specmine("queries", "list")["splits"]["synthetic"] == report["generators"]["inverse_cloze"]["kept"]


@pytest.mark.models
def test_one_run_may_ask_for_other_generators_and_documents(specmine: Run) -> None:
    report = generate(specmine, "--generator", "headings", "--documents", "tor*", "--per-document", "1", "--seed", "5")
    assert list(report["generators"]) == ["headings"]
    assert report["documents"] == report["generators"]["headings"]["made"] == 1
    assert "unknown generator 'poems'" in generate(specmine, "--generator", "poems")["error"]
    assert "needs the table [generate.endpoint]" in generate(specmine, "--generator", "endpoint")["error"]
    assert "no indexed document is called 'z.md'" in generate(specmine, "--documents", "z.md")["error"]
    assert "the limit must be 1 or more" in generate(specmine, "--limit", "0")["error"]


REPORT: dict[str, Any] = {
    "documents": 1, "unchanged": 0, "removed": 0, "kept": 1, "dry_run": False, "seconds": 1.0,
    "generators": {
        "headings": {
            "documents": 1, "made": 3, "kept": 1, "dropped": {"its passage is not found": 2}, "ranks": {"1": 1},
            "seconds": 0.5, "examples": ["torque [red]of\x1b bolts"],
        }
    },
    "trust": {"en": {"auc": 0.5, "queries": 9, "distrust": "its agreement is 0.50", "measured_on": "synthetic"}},
}  # fmt: skip


def test_a_report_is_told_without_commanding_the_terminal() -> None:
    console = Console(record=True, width=120)
    show.generated(console, REPORT, trains=False)
    told = console.export_text()
    assert "2 its passage is not found" in told
    assert "torque [red]of� bolts" in told
    assert "synthetic = true" in told
    assert generator_rows(REPORT) == [["headings", "1", "3", "1", "1", "0.5"]]
