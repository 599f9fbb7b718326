"""The commands ``specmine geometry`` and ``specmine compare geometry``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.opened import catalogue
from flows.settings import load_settings
from flows.stages import ingest

pytestmark = pytest.mark.models
Run = Callable[..., tuple[int, str, str]]


def test_a_geometry_is_compared_served_and_taken_back(
    run_specmine: Run, write_config: Callable[[str], Path], judged: Path
) -> None:
    config = write_config("")
    settings = load_settings(config)
    ingest(settings, [], False, lambda *_: None)
    with catalogue(settings) as book:
        book.import_files("dev", judged / "dev.queries.jsonl", judged / "dev.judgements.jsonl")

    def specmine(*arguments: str) -> dict[str, Any]:
        status, out, err = run_specmine(*arguments, "--config", str(config), "--json")
        assert status == 0, err
        return dict(json.loads(out))

    compared = specmine("compare", "geometry", "--split", "dev")
    assert [row["geometry"] for row in compared["rows"]] == ["cosine", "hyperbolic", "hybrid"]
    assert (compared["release"], compared["queries"], compared["left_out"]) == ("r0001", 4, {})

    served = specmine("geometry", "wordllama", "hyperbolic")
    assert (served["release"], served["geometry"]["kind"]) == ("r0002", "hyperbolic")
    found = specmine("search", "how tight are the flange bolts")["results"]
    assert found[0]["document"] == "torque.md"
    assert found[0]["sources"]["wordllama"]["score"] < 0
    [entry] = [entry for entry in specmine("releases")["releases"] if entry["id"] == "r0002"]
    assert entry["geometry"]["wordllama"]["kind"] == "hyperbolic"
    assert "by hyperbolic" in run_specmine("releases", "--config", str(config))[1]
    evaluated = specmine("evaluate", "--split", "dev")["runs"]["wordllama"]
    [row] = [row for row in compared["rows"] if row["geometry"] == "hyperbolic"]
    assert evaluated["nDCG@10"] == pytest.approx(row["nDCG@10"])
    assert specmine("rollback")["release"] == "r0001"

    status, out, _ = run_specmine("compare", "geometry", "--config", str(config))
    assert status == 0
    assert "of 10 shared" in out
    status, _, err = run_specmine("geometry", "wordllama", "flat", "--config", str(config))
    assert (status, "unknown geometry 'flat'; known are: cosine, hyperbolic, hybrid" in err) == (1, True)
