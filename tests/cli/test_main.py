"""The command line as another program sees it: exit status, one JSON object, nothing heavy before it is needed."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import releases
from indexing.generations import Generation, save_generation
from indexing.home import MANIFEST, Home, write_json
from indexing.releases import Fusion, Release, publish

Run = Callable[..., tuple[int, str, str]]
GENERATION = Generation("c0", {}, ())


@pytest.fixture(autouse=True)
def somewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in os.environ:
        if name.startswith("SPECMINE_") or name in ("PREFECT_API_URL", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def specmine(run_specmine: Run) -> Run:
    return run_specmine


def one_object(text: str) -> dict[str, Any]:
    """Return the one JSON object that ``text`` is, to the last character."""
    value, end = json.JSONDecoder().raw_decode(text)
    assert text[end:].strip() == ""
    assert isinstance(value, dict)
    return value


def release(home: Home, note: str, content: int = 1) -> Release:
    """Publish a release of a content that is there as far as its manifest tells."""
    save_generation(home, GENERATION)
    folder = home.generations / GENERATION.id / "contents" / str(content)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MANIFEST, {})
    return publish(home, Release(GENERATION.id, content, {"minilm": "base"}, Fusion("soft", {"bm25": 1.0}), note=note))


def test_releases_and_rollback(specmine: Run, somewhere: Path) -> None:
    assert specmine("releases", "--json")[:2] == (0, '{"served": null, "releases": []}\n')
    home = Home(somewhere / "var")
    release(home, "first")
    release(home, "second")
    listed = one_object(specmine("releases", "--json")[1])
    assert listed["served"] == "r0002"
    assert [entry["note"] for entry in listed["releases"]] == ["first", "second"]
    assert one_object(specmine("rollback", "--json")[1]) == {"release": "r0001", "before": "r0002", "note": "first"}
    status, output, _ = specmine("rollback", "--json")
    assert status == 1
    assert "nothing to roll back to" in one_object(output)["error"]
    assert "second" in specmine("releases")[1]


def test_what_was_removed_is_not_served_again(specmine: Run, somewhere: Path) -> None:
    home = Home(somewhere / "var")
    release(home, "first", content=1)
    release(home, "second", content=2)
    shutil.rmtree(home.generations / GENERATION.id / "contents" / "1")
    error = one_object(specmine("rollback", "--json")[1])["error"]
    assert error.startswith("content 1 of release r0001 was removed")
    shutil.rmtree(home.generations / GENERATION.id)
    assert f"generation {GENERATION.id} is gone" in one_object(specmine("rollback", "--json")[1])["error"]
    assert one_object(specmine("releases", "--json")[1])["served"] == "r0002"


def test_global_options_stand_anywhere(specmine: Run, somewhere: Path) -> None:
    (somewhere / "other.toml").write_text('home = "elsewhere"\n', encoding="utf-8")
    release(Home(somewhere / "elsewhere"), "there")
    for arguments in (
        ("--json", "releases", "--config", "other.toml"),
        ("releases", "--config", "other.toml", "--json"),
    ):
        assert one_object(specmine(*arguments)[1])["served"] == "r0001"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("search", "what"), "nothing is indexed"),
        (("evaluate",), "nothing is indexed"),
        (("evaluate", "--split", "none"), "train, dev, test, guard"),
        (("mine",), "nothing is indexed"),
        (("mine", "--like", "x"), "there is no ledger in"),
        (("review",), "there is no ledger in"),
        (("ledger", "show"), "there is no ledger in"),
        (("retrain",), "nothing is indexed"),
        (("reindex", "--plan"), "nothing is indexed"),
        (("promote", "../../etc"), "nothing is indexed"),
        (("versions", "show", "../../etc"), "there is no query-encoder version"),
        (("rollback",), "nothing is indexed"),
        (("documents",), "nothing is indexed"),
        (("inspect", "gone.pdf"), "gone.pdf: cannot be opened: No such file or directory"),
        (("inspect", "specmine.exe"), "no reader for .exe"),
        (("ingest",), "there is nothing to ingest"),
        (("ingest", "--deployment", "x"), "no Prefect API is configured"),
        (("judgements", "import", "--queries", "q", "--judgements", "j", "--split", "dev"), "q: cannot be read"),
        (("serve",), "no Prefect API is configured"),
        (("demo", "--profile", "huge"), "there is no profile 'huge'"),
        (("releases", "--config", "gone.toml"), "no configuration file gone.toml"),
    ],
)
def test_a_refusal_is_one_line_and_status_1(specmine: Run, arguments: tuple[str, ...], reason: str) -> None:
    status, output, _ = specmine(*arguments, "--json")
    refused = one_object(output)
    assert status == 1
    assert reason in refused["error"]
    assert "\n" not in refused["error"]
    status, output, errors = specmine(*arguments)
    assert (status, output) == (1, "")
    assert reason in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    "arguments",
    [
        ("nosuch",),
        ("search",),
        ("search", "x", "--limit", "many"),
        ("search", "x", "--nosuch"),
        ("judgements", "import"),
        ("promote",),
        ("models", "nosuch"),
        ("releases", "surplus"),
    ],
)
def test_wrong_usage_is_status_2(specmine: Run, arguments: tuple[str, ...]) -> None:
    status, output, errors = specmine(*arguments)
    assert (status, output) == (2, "")
    assert "error: " in errors
    status, output, errors = specmine(*arguments, "--json")
    assert status == 2
    assert set(one_object(output)) == {"error", "hint"}


def test_a_mistake_in_the_configuration_is_one_line(specmine: Run, somewhere: Path) -> None:
    (somewhere / "specmine.toml").write_text("[chunking]\nmax_token = 3\n", encoding="utf-8")
    status, output, _ = specmine("releases", "--json")
    assert status == 1
    assert one_object(output)["error"].startswith("specmine.toml: unknown key 'chunking.max_token'; did you mean")


def test_an_unexpected_error_hints_at_the_traceback(specmine: Run, somewhere: Path) -> None:
    home = Home(somewhere / "var")
    release(home, "damaged")
    (home.releases / "r0001.json").write_text('{"surplus": 1}', encoding="utf-8")
    status, output, errors = specmine("releases", "--json")
    assert status == 1
    assert one_object(output)["error"].startswith("unexpected ")
    assert one_object(output)["hint"] == "--debug shows the traceback"
    assert "Traceback" not in errors
    assert "Traceback" in specmine("releases", "--json", "--debug")[2]


def test_a_full_disk_is_one_line(specmine: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/somewhere/vectors")

    monkeypatch.setattr(releases, "list_all", full)
    status, output, _ = specmine("releases", "--json")
    assert status == 1
    assert one_object(output) == {
        "error": "the disk is full for /somewhere/vectors: make room and run the same command again; "
        "what was done is kept",
        "hint": None,
    }


def test_an_interruption_is_reported(specmine: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(releases, "list_all", interrupted)
    status, output, _ = specmine("releases", "--json")
    assert status == 130
    assert one_object(output)["error"] == "interrupted"


def test_judgements_are_imported(specmine: Run, somewhere: Path) -> None:
    (somewhere / "q.jsonl").write_text('{"id": "q1", "text": "which torque"}\n', encoding="utf-8")
    (somewhere / "j.jsonl").write_text(
        '{"query": "q1", "document": "a.txt", "section": "2", "grade": 1}\n', encoding="utf-8"
    )
    arguments = ("judgements", "import", "--queries", "q.jsonl", "--judgements", "j.jsonl", "--split", "dev", "--json")
    assert one_object(specmine(*arguments)[1]) == {"split": "dev", "queries": 1, "judgements": 1, "new_queries": 1}
    assert one_object(specmine(*arguments)[1])["new_queries"] == 0
    (somewhere / "j.jsonl").write_text('{"query": "q9"}\n', encoding="utf-8")
    assert "j.jsonl:1" in one_object(specmine(*arguments)[1])["error"]


def test_inspect_shows_what_was_read_without_a_home(specmine: Run, somewhere: Path) -> None:
    (somewhere / "pump.md").write_text(
        "# Pumps\n\nThey [bold]pump[/bold].\n\n## Marking\n\nA plate.\n", encoding="utf-8"
    )
    status, output, _ = specmine("inspect", "pump.md", "--page", "1", "--html", "pump.html", "--json")
    shown = one_object(output)
    assert status == 0
    assert [(block["kind"], block["text"].strip("# ")) for block in shown["blocks"]] == [
        ("heading", "Pumps"),
        ("paragraph", "They [bold]pump[/bold]."),
        ("heading", "Marking"),
        ("paragraph", "A plate."),
    ]
    assert shown["blocks"][3]["section"].endswith("Marking")
    assert shown["totals"]["pages"] == 1
    assert shown["warnings"][0].startswith("passages and tokens are estimated")  # no model is fetched for a look
    assert (shown["totals"]["chunks"], shown["blocks"][1]["chunks"], shown["blocks"][3]["chunks"]) == (2, [0], [1])
    assert "A plate." in (somewhere / "pump.html").read_text(encoding="utf-8")
    assert not (somewhere / "var").exists()
    assert "[bold]pump[/bold]" in specmine("inspect", "pump.md", "--page", "1")[1]
    assert "2 h 2 p" in specmine("inspect", "pump.md")[1]


def test_the_doctor_reports_every_check(specmine: Run) -> None:
    status, output, _ = specmine("doctor", "--json")
    report = one_object(output)
    outcomes = {check["name"]: check["outcome"] for check in report["checks"]}
    assert {"configuration", "versions", "home", "disk", "store", "catalogue", "release", "prefect"} <= set(outcomes)
    assert (status, report["ok"]) == ((1, False) if "failed" in outcomes.values() else (0, True))
    assert outcomes["release"] == outcomes["model minilm"] == "warning"  # an empty home


def test_the_doctor_fails_where_the_store_is_gone(specmine: Run, somewhere: Path) -> None:
    release(Home(somewhere / "var"), "of a generation that is not there")
    (somewhere / "specmine.toml").write_text(
        '[qdrant]\nurl = "http://127.0.0.1:9"\napi_key = "hunter2"\n', encoding="utf-8"
    )
    status, output, errors = specmine("doctor", "--json")
    failed = {check["name"]: check["message"] for check in one_object(output)["checks"] if check["outcome"] == "failed"}
    assert status == 1
    assert {"store", "release"} <= set(failed)
    assert "hunter2" not in output + errors


def test_the_model_list_needs_no_network(specmine: Run) -> None:
    listed = one_object(specmine("models", "list", "--json")[1])["models"]
    assert [(entry["name"], entry["fetched"]) for entry in listed][:2] == [("minilm", False), ("bge-small", False)]
    assert specmine("models", "verify", "--json")[0] == 1


def modules_after(*arguments: str) -> set[str]:
    """Return the top-level modules that a command leaves imported, in a process of its own."""
    code = (
        "import sys, cli.main\n"
        "try: cli.main.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('imported:', *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("imported:")[2].split())


@pytest.mark.parametrize("arguments", [("--help",), ("search", "x"), ("evaluate",), ("doctor",), ("ingest", ".")])
def test_prefect_is_not_imported_without_need(arguments: tuple[str, ...], somewhere: Path) -> None:
    # A model that is not there, so that nothing is fetched.
    model = '[[encoders]]\nname = "gone"\nsource = { directory = "gone" }\n'
    (somewhere / "specmine.toml").write_text(model, encoding="utf-8")
    assert "prefect" not in modules_after(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("releases",), ("doctor",), ("models", "list"), ("ledger",), ("review",), ("versions",)],
)
def test_torch_is_not_imported_without_need(arguments: tuple[str, ...]) -> None:
    assert not {"torch", "matplotlib", "prefect"} & modules_after(*arguments)


def test_help_takes_less_than_a_second_of_computing() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "cli", "--help"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "ingest" in done.stdout
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 1.0
