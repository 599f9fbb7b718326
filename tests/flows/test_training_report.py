"""The page on a retrained encoder, from a real training with hostile texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.reports.training_pictures import loss_curve
from flows.reports.training_report import TrainingFacts, draw_html, figures
from tests.flows.test_sweep import config  # noqa: F401  fixture
from tests.training.conftest import _template, world  # noqa: F401  fixtures
from training.versions import read_version


def test_a_retraining_leaves_a_page_for_each_version(
    world: Any,  # noqa: F811
    config: Path,  # noqa: F811
    run_specmine: Callable[..., tuple[int, str, str]],
) -> None:
    text = config.read_text(encoding="utf-8").replace("learning_rate = 1e-6", "learning_rate = 5e-2")
    config.write_text(text, encoding="utf-8")
    status, out, err = run_specmine("--config", str(config), "--json", "retrain", "--no-prefect")
    assert status == 0, out + err
    versions = json.loads(out)["versions"]
    assert [entry["encoder"] for entry in versions] == ["one", "two"]
    for entry in versions:
        assert entry["warnings"] == []
        assert entry["peak_mb"] > 50
        page = Path(entry["report"]).read_text(encoding="utf-8")
        assert page.count("<svg") == 2
        assert "The most improved queries" in page
        assert "a judged answer" in page
        assert "http" not in page.replace("http://www.w3.org/", "")

    version = read_version(world.home, versions[0]["version"])
    moved = version.training["movers"]
    assert moved["improved"][0]["after"] > moved["improved"][0]["before"]
    hostile = TrainingFacts(version, {moved["improved"][0]["query"]: "<script>alert(1)</script>"}, {})
    page = draw_html(hostile)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "no longer in the index" in page
    version.training["history"] = [{**entry, "look": {"similarities": {}}} for entry in version.training["history"]]
    assert figures(version) == {}
    assert "trained before curves" in draw_html(hostile)


def test_the_loss_stands_in_the_middle_of_the_steps_it_is_of() -> None:
    history = [{"step": 0, "losses": []}, {"step": 4, "losses": [2.0, 1.0]}, {"step": 6, "losses": [0.5, 0.25]}]
    assert loss_curve(history) == ([1.0, 3.0, 4.5, 5.5], [2.0, 1.0, 0.5, 0.25])
