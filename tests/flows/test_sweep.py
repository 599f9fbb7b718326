"""``specmine sweep`` as a person, a worker process and Prefect run it, and what it leaves to read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import artifacts
from flows.reports import sweep_report, sweep_tables
from indexing.home import Home
from tests.training.conftest import _template, world  # noqa: F401  fixtures

SPACE = 'learning_rate = { low = 4e-2, high = 1e-1, log = true }\nsynthesis = ["none", "mix"]\n'
RESULT: dict[str, Any] = {
    "sweep": "0123456789abcdef",
    "encoder": "minilm",
    "measure": "nDCG@10",
    "development": {"split": "train", "queries": 40, "train": 160},
    "space": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True, "whole": False}, "loss": ["a", {"b": 1.0}]},
    "untrained": 0.4,
    "configured": {"score": 0.5, "settings": {}},
    "trials": [
        {"number": 0, "state": "complete", "changes": {"learning_rate": 1e-4, "loss": {"full_softmax": 1.0}},
         "drawn": {"learning_rate": 1e-4, "loss": '{"full_softmax": 1.0}'}, "score": 0.55, "reached": 0.55,
         "seconds": 61.2, "reason": ""},
        {"number": 1, "state": "pruned", "changes": {"learning_rate": 1e-3}, "drawn": {"learning_rate": 1e-3},
         "score": None, "reached": 0.1, "seconds": 20.0, "reason": "below the median of the trials before it"},
        {"number": 2, "state": "failed", "changes": {}, "drawn": {}, "score": None, "reached": None, "seconds": 0.1,
         "reason": "<b>the loss is nan</b>"},
    ],
    "winner": {"trial": 0, "score": 0.55, "settings": {},
               "changes": {"learning_rate": 1e-4, "loss": {"full_softmax": 1.0}, "average": [0.5, 0.8]}},
    "fresh": {"seeds": [18, 19, 20], "configured": [0.5, 0.51, 0.49], "winner": [0.53, 0.54, 0.55],
              "difference": 0.04, "interval": [0.01, 0.07], "p_value": 0.002, "queries": 40, "groups": 30},
    "retrain": None,
    "reason": "because",
}  # fmt: skip


def test_the_tables_name_the_best_first_and_the_reason_of_every_failure() -> None:
    title, columns, rows = sweep_tables.trials_table(RESULT)
    assert (title, columns[1]) == ("Trials", "nDCG@10")
    assert [row[0] for row in rows] == ["0", "configured", "1", "2"]
    assert rows[0][4] == "learning_rate 0.0001, loss 1 full_softmax"
    assert rows[2][1:3] == ["0.1000", "pruned"]
    fresh = sweep_tables.fresh_table(RESULT)
    assert fresh is not None
    assert fresh[2][1] == ["19", "0.5100", "0.5400", "+0.0300"]
    assert "+0.0400 (+0.0100 to +0.0700), p 0.002" in sweep_tables.facts(RESULT)


def test_the_winner_is_written_as_toml_that_reads_back() -> None:
    import tomllib

    assert tomllib.loads(sweep_tables.winner_toml(RESULT))["train"] == RESULT["winner"]["changes"]


def test_the_page_needs_no_network_and_escapes_what_it_is_given(tmp_path: Path) -> None:
    result = dict(RESULT)
    path = sweep_report.write_report(Home(tmp_path), result)
    page = path.read_text(encoding="utf-8")
    assert result["report"] == str(path)
    assert "<b>the loss" not in page
    assert "&lt;b&gt;the loss is nan" in page
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http://www.w3.org/", "")


def test_the_artifact_stays_below_what_prefect_takes() -> None:
    markdown = artifacts.sweep_markdown({**RESULT, "report": "x.html"}, sweep_report.artifact_pictures(RESULT))
    assert len(markdown) < 200_000
    assert markdown.count("data:image/png") == 2
    assert "learning_rate = 0.0001" in markdown


@pytest.fixture
def config(world: Any, tmp_path: Path) -> Path:  # noqa: F811
    """The world of the training tests as a configured installation, with a space beside it."""
    (tmp_path / "space.toml").write_text(SPACE, encoding="utf-8")
    specs = [
        f'[[encoders]]\nname = "{spec.name}"\nmax_tokens = 64\nsource = {{ directory = "{spec.source.directory}" }}\n'
        for spec in world.settings.encoders
    ]
    train = "[train]\nlearning_rate = 1e-6\ntemperature = 0.1\nepochs = 6\nprecision = 'float32'\nwarmup = 0.0\n"
    file = tmp_path / "specmine.toml"
    head = f'home = "{world.home.root}"\ncross_encoder = false\n'
    file.write_text("\n".join([head, *specs, train, "[composition]\nmethods = []\n"]), encoding="utf-8")
    return file


def test_the_command_sweeps_judges_and_goes_on(config: Path, run_specmine: Callable[..., tuple[int, str, str]]) -> None:
    space = str(config.parent / "space.toml")
    told = ["--config", str(config), "--json", "sweep", "--no-prefect", "--space", space, "--workers", "1"]
    status, out, err = run_specmine(*told, "--trials", "2")
    assert status == 0, out + err
    result = json.loads(out)
    assert [trial["state"] for trial in result["trials"]] == ["complete", "complete"]
    assert result["winner"]["score"] > result["configured"]["score"] + 0.2
    assert result["fresh"]["interval"][0] > 0
    verdict = result["retrain"]["versions"]
    assert [entry["encoder"] for entry in verdict] == ["one"]  # the other encoder was not asked for
    assert verdict[0]["verdict"] == "promoted"
    assert result["reason"] == verdict[0]["reason"]
    assert Path(result["report"]).is_file()
    assert "trials: 2 of 2" in err

    status, out, err = run_specmine(*told, "--trials", "3")
    again = json.loads(out)
    assert again["trials"][:2] == result["trials"]
    assert len(again["trials"]) == 3


def test_mistakes_are_refused_before_anything_is_trained(
    config: Path, run_specmine: Callable[..., tuple[int, str, str]]
) -> None:
    space = config.parent / "space.toml"

    def refused(*arguments: str) -> str:
        status, out, _ = run_specmine("--config", str(config), "--json", "sweep", "--no-prefect", *arguments)
        assert status == 1
        return str(json.loads(out)["error"])

    assert "the number of trials must be 1 to 10000, not 0" in refused("--space", str(space), "--trials", "0")
    assert "the minutes must be above 0, not 0" in refused("--space", str(space), "--minutes", "0")
    assert "there is no encoder 'x'; configured are: one, two" in refused("--space", str(space), "--encoder", "x")
    assert "cannot be read" in refused("--space", str(config.parent / "none.toml"))
    space.write_text("learning_rates = [1e-5]", encoding="utf-8")
    assert "unknown key 'learning_rates'; did you mean 'learning_rate'?" in refused("--space", str(space))


@pytest.mark.campaign
def test_the_flow_trains_in_processes_of_its_task_runner(prefect: None, config: Path) -> None:
    from prefect.client.orchestration import get_client

    from flows.sweep import sweep

    report = sweep(str(config.parent / "space.toml"), trials=2, encoder="two", workers=2, config=str(config))
    assert len(report["trials"]) == 2
    assert len({trial["drawn"]["learning_rate"] for trial in report["trials"]}) == 2
    assert report["fresh"] is not None
    assert Path(report["report"]).is_file()
    with get_client(sync_client=True) as client:
        runs = client.read_task_runs()
        assert any(artifact.key == "sweep-summary" for artifact in client.read_artifacts())
    names = [run.name for run in runs]
    # One training of the configured settings, two trials, and three fresh seeds of both.
    assert (names.count("settings as configured"), names.count("trials"), names.count("fresh seeds")) == (1, 2, 6)
    assert len({run.flow_run_id for run in runs}) == 1
