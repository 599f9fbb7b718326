"""The ledger's commands on a ledger that was really mined."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.models

Run = Callable[..., tuple[int, str, str]]
MINING = "[mine]\nfilters = []\nrandom_share = 0.5\n"


@pytest.fixture
def specmine(run_specmine: Run, judged: Path, write_config: Callable[[str], Path]) -> Run:
    """Run a command on the workplace; a home with two documents and a train split."""
    config = write_config(MINING)

    def run(*arguments: str) -> tuple[int, str, str]:
        return run_specmine(*arguments, "--config", str(config))

    files = ("--queries", str(judged / "train.queries.jsonl"), "--judgements", str(judged / "train.judgements.jsonl"))
    assert run("ingest", "--no-prefect")[0] == 0
    assert run("judgements", "import", *files, "--split", "train")[0] == 0
    return run


def result(done: tuple[int, str, str]) -> dict[str, Any]:
    value = json.loads(done[1])
    assert isinstance(value, dict)
    return value


def test_ledgers_are_listed_shown_compared_and_exported(specmine: Run, judged: Path) -> None:
    assert result(specmine("ledger", "--json")) == {"ledgers": []}
    assert "no ledger yet" in specmine("ledger")[1]
    assert "there is no ledger" in result(specmine("ledger", "show", "--json"))["error"]

    first = result(specmine("mine", "--no-prefect", "--json"))
    assert Path(first["report"]).read_text(encoding="utf-8").count(first["ledger"]) > 0
    (listed,) = result(specmine("ledger", "--json"))["ledgers"]
    assert (listed["ledger"], listed["rows"], listed["verdicts"]) == (
        first["ledger"], first["candidates"], first["verdicts"],
    )  # fmt: skip

    shown = result(specmine("ledger", "show", "--json"))
    assert shown["matching"] == len(shown["shown"]) == first["candidates"]
    row = next(row for row in shown["shown"] if row["verdict"] == "duplicate")
    assert row["reason"]
    assert row["section"]
    assert row["text"]
    of_one = result(specmine("ledger", "show", "--query", "serial NUMBER", "--json"))
    assert {row["query"] for row in of_one["shown"]} == {"train2"}
    kept = result(specmine("ledger", "show", first["ledger"], "--verdict", "kept", "--limit", "1", "--json"))
    assert (kept["matching"], len(kept["shown"])) == (first["verdicts"]["kept"], 1)
    for_people = specmine("ledger", "show", "--query", "train2")[1]
    assert "a hard negative, for training" in for_people
    assert "where is the serial number" in for_people
    assert first["ledger"] in specmine("ledger")[1]

    (judged / "specmine.toml").write_text(
        (judged / "specmine.toml").read_text(encoding="utf-8") + "per_query = 1\n", encoding="utf-8"
    )
    second = result(specmine("mine", "--no-prefect", "--json"))
    compared = result(specmine("ledger", "diff", first["ledger"], "latest", "--json"))
    assert compared["took_part"] == {"[mine] per_query": {"before": 7, "after": 1}}
    fewer = first["verdicts"]["kept"] - second["verdicts"]["kept"]
    assert compared["matrix"]["kept"]["unselected"] == fewer > 0
    assert (compared["appeared"], compared["gone"]) == ([], [])
    assert {row["before"] for row in compared["changed"] if row["verdict"] == "unselected"} >= {"kept"}
    assert "[mine] per_query" in specmine("ledger", "diff", first["ledger"], second["ledger"])[1]

    again = result(specmine("mine", "--like", first["ledger"], "--no-prefect", "--json"))
    assert again["like"] == {"ledger": first["ledger"], "same": True, "differs": {}}
    assert again["verdicts"] == first["verdicts"]
    row = next(row for row in shown["shown"] if row["verdict"] == "kept")
    specmine("review", "decide", row["query"], row["chunk"], "unsure")
    other = specmine("mine", "--like", first["ledger"], "--no-prefect")[1]
    assert f"other rows as ledger {first['ledger']}; what differs: decisions_fingerprint" in other

    out = str(judged / "triplets.parquet")
    exported = result(specmine("ledger", "export", first["ledger"], "--format", "triplets", "--out", out, "--json"))
    assert exported["negatives"] == first["verdicts"]["kept"] + first["verdicts"].get("random", 0)
    status, output, _ = specmine("ledger", "export", "--format", "triplets", "--out", out, "--json")
    assert (status, json.loads(output)["error"]) == (1, f"{out} exists: give another name, or remove it")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("show", "--verdict", "maybe"), "there is no verdict 'maybe': choose kept, "),
        (("show", "--query", "nosuch"), "has no query with the id 'nosuch' or these words"),
        (("show", "--limit", "-1"), "the limit must be 0 or more, not -1"),
        (("show", "../releases"), "there is no ledger '../releases'; the newest is"),
        (("diff", "latest", "nosuch"), "there is no ledger 'nosuch'; the newest is"),
        (("export", "--format", "triples", "--out", "x.jsonl"), "there is no format 'triples': choose triplets"),
    ],
)
def test_refusals_are_one_line(specmine: Run, arguments: tuple[str, ...], reason: str) -> None:
    specmine("mine", "--no-prefect")
    status, output, _ = specmine("ledger", *arguments, "--json")
    assert status == 1
    assert reason in json.loads(output)["error"]


def test_a_ledger_is_shown_when_the_texts_are_gone(specmine: Run, judged: Path) -> None:
    mined = result(specmine("mine", "--no-prefect", "--json"))
    for listing in (judged / "home" / "generations").glob("*/documents-*.json"):
        listing.unlink()
    shown = result(specmine("ledger", "show", "--json"))
    assert len(shown["shown"]) == mined["candidates"]
    assert {row["pages"] for row in shown["shown"]} == {None}
    assert ", characters " in specmine("ledger", "show")[1]


def test_a_ledger_that_cannot_be_read_is_listed_with_the_reason(specmine: Run, judged: Path) -> None:
    mined = result(specmine("mine", "--no-prefect", "--json"))
    (judged / "home" / "ledgers" / mined["ledger"] / "manifest.json").write_text("{}", encoding="utf-8")
    (listed,) = result(specmine("ledger", "--json"))["ledgers"]
    assert "damaged manifest.json" in listed["problem"]
    assert "damaged" in specmine("ledger")[1]


def test_a_report_is_written_with_and_without_what_it_was_mined_on(specmine: Run, judged: Path) -> None:
    mined = result(specmine("mine", "--no-prefect", "--json"))
    written = result(specmine("ledger", "report", "--json"))
    assert written["report"] == str(judged / "home" / "reports" / f"ledger-{mined['ledger']}.html")
    assert [note for note in written["notes"] if "hyperbolic" not in note] == []
    page = Path(written["report"]).read_text(encoding="utf-8")
    assert "Cosines of wordllama, medians: judged passages" in page
    assert "Cover screws" in page
    assert written["report"] in specmine("ledger", "report", mined["ledger"])[1]
    for listing in (judged / "home" / "generations").glob("*/documents-*.json"):
        listing.unlink()
    written = result(specmine("ledger", "report", "--json"))
    assert "the release that it was mined on cannot be opened" in written["notes"][0]
    assert "The texts of the passages are no longer in the home." in written["notes"]
    assert "Its text is no longer in the home." in Path(written["report"]).read_text(encoding="utf-8")
