"""A review from its queue to the next ledger: by command, on a real terminal, and over another chunking."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.main import main
from cli.show import review as show
from cli.show.review import marked
from mining.review import ANSWERS

Run = Callable[..., dict[str, Any]]

# The second clause answers too, in other words and at greater length than one small passage holds.
PUMPS = """# Pumps

## 1 Flange bolts

The flange bolts of the pump shall be tightened to 25 Nm.

## 2 Assembly

{steps}

## 3 Marking

Every pump carries its serial number on a riveted plate of brass.
"""
STEPS = "\n\n".join(
    f"Step {number}: the flange bolts of the pump shall be tightened to 25 Nm and the flange bolts are checked again."
    for number in range(1, 7)
)
MINING = '[mine]\nfilters = ["encoder_agreement"]\nrandom_share = 0.0\nsources = ["bm25", "encoder", "ensemble"]\n'
QUERY = '{"id": "q1", "text": "to how many Nm shall the flange bolts of the pump be tightened step by step"}'
JUDGEMENT = '{"query": "q1", "document": "pumps.md", "section": "1", "grade": 1}'


@pytest.fixture
def config(workplace: Path, write_config: Callable[[str], Path]) -> Path:
    (workplace / "specs" / "pumps.md").write_text(PUMPS.format(steps=STEPS), encoding="utf-8")
    (workplace / "q.jsonl").write_text(QUERY, encoding="utf-8")
    (workplace / "j.jsonl").write_text(JUDGEMENT, encoding="utf-8")
    return write_config(MINING)


@pytest.fixture
def specmine(run_specmine: Callable[..., tuple[int, str, str]], config: Path) -> Run:
    """Run a command with --json on an index of three documents with one judged query."""

    def run(*arguments: str) -> dict[str, Any]:
        value = json.loads(run_specmine(*arguments, "--config", str(config), "--json")[1])
        assert isinstance(value, dict)
        return value

    run("ingest", "--no-prefect")
    files = ("--queries", str(config.parent / "q.jsonl"), "--judgements", str(config.parent / "j.jsonl"))
    run("judgements", "import", *files, "--split", "train")
    return run


@pytest.mark.models
def test_a_decision_outlives_rechunking(
    specmine: Run, config: Path, write_config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert "there is no ledger" in specmine("review")["error"]
    assert specmine("mine", "--no-prefect")["verdicts"]["borderline"] == 1
    (entry,) = specmine("review")["queue"]
    assert (entry["query"], entry["verdict"]) == ("q1", "borderline")
    assert entry["candidate"]["section"].endswith("2 Assembly")
    assert entry["judged"]["section"].endswith("1 Flange bolts")

    made = specmine("review", "decide", "q1", entry["chunk"], "negative", "--reviewer", "ann")
    assert made["before"] == []
    made = specmine("review", "decide", "q1", entry["chunk"], "relevant", "--reviewer", "bob")
    assert [(decision["verdict"], decision["reviewer"]) for decision in made["before"]] == [("kept", "ann")]
    assert specmine("review")["queue"] == []

    write_config(MINING + '[chunking]\nsplitter = "section"\nmax_tokens = 120\n')
    specmine("reindex", "--no-prefect")
    specmine("mine", "--no-prefect")
    rows = specmine("ledger", "show")["shown"]
    start, end = entry["span"]
    of_clause = [row for row in rows if row["document"] == "pumps.md" and start <= row["span"][0] < end]
    assert len(of_clause) >= 2  # the clause is several passages now
    assert entry["chunk"] not in {row["chunk"] for row in of_clause}
    assert {(row["verdict"], row["reviewer"]) for row in of_clause} == {("relevant", "bob")}
    assert all(row["reason"].startswith("decided by bob on 2") for row in of_clause)
    assert specmine("review") == {"ledger": specmine("ledger")["ledgers"][0]["ledger"], "waiting": 0, "queue": []}
    exported = specmine("ledger", "export", "--format", "jsonl", "--out", str(config.parent / "out.jsonl"))
    assert exported["queries"] == 1
    (record,) = map(json.loads, (config.parent / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert {row["chunk"] for row in of_clause} < {passage["chunk"] for passage in record["positives"]}


@pytest.mark.models
def test_without_a_terminal_it_says_what_to_do(specmine: Run, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specmine("mine", "--no-prefect")
    with pytest.raises(SystemExit):
        main(["review", "--config", str(config)])
    assert "a review needs a terminal; without one, `specmine review --json`" in capsys.readouterr().err
    assert "choose negative" in specmine("review", "decide", "q1", "x", "maybe")["error"]
    assert specmine("review", "--limit", "-1")["error"] == "the limit must be 0 or more, not -1"


def on_a_terminal(arguments: list[str], keys: bytes) -> tuple[str, int]:
    """Run a command on a terminal of its own, press ``keys`` once it asks, and return what it showed."""
    ours, its = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments], stdin=its, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    shown, pressed, deadline = b"", False, time.monotonic() + 90
    while time.monotonic() < deadline:
        if not select.select([ours], [], [], 0.2)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            got = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        shown += got
        if not pressed and b"q quit" in shown:
            os.write(ours, keys)
            pressed = True
    os.close(ours)
    return shown.decode(), process.wait(60)


@pytest.mark.models
def test_one_key_decides(specmine: Run, config: Path) -> None:
    from flows.opened import catalogue
    from flows.settings import load_settings

    specmine("mine", "--no-prefect")
    # Keys that mean nothing, an arrow among them, are passed over.
    for keys, verdicts in ((b"s", []), (b"\x04", []), (b"x\x1b[Dr", ["relevant"])):
        shown, status = on_a_terminal(["review", "--reviewer", "ann", "--config", str(config)], keys)
        assert status == 0, shown
        assert "to how many Nm" in shown
        assert "2 Assembly" in shown
        assert "1 Flange bolts" in shown
        assert f"{len(verdicts)} decided, {1 - len(verdicts)} still wait" in shown
        with catalogue(load_settings(config)) as book:
            made = [(decision.verdict, decision.reviewer) for decision in book.decisions()]
        assert made == [(verdict, "ann") for verdict in verdicts]


def test_every_key_that_is_shown_does_what_it_says() -> None:
    from cli.review import KEYS
    from cli.show.review import HELP

    assert [(word[0], word[2:]) for word in HELP.split(" · ")] == [
        ("n", "negative"), ("r", "also right"), ("d", "duplicate"), ("u", "cannot tell"), ("s", "skip"), ("q", "quit"),
    ]  # fmt: skip
    assert KEYS == {"n": "negative", "r": "relevant", "d": "duplicate", "u": "unsure"}
    assert set(KEYS.values()) == set(ANSWERS)


def styled(text: Any) -> list[str]:
    return [text.plain[span.start : span.end] for span in text.spans if span.style]


def test_what_differs_is_marked() -> None:
    judged, candidate = marked("Bolts M8 shall be tightened to 25 Nm.", "Bolts M8 shall be tightened to 30 Nm.")
    assert (styled(judged), styled(candidate)) == (["25"], ["30"])
    judged, candidate = marked("M8ボルトを25Nmで締める", "M8ボルトを30Nmで締める")
    assert (styled(judged), styled(candidate)) == (["25Nm"], ["30Nm"])


def test_a_part_of_a_table_is_shown_under_its_header() -> None:
    console = Console(width=100, record=True)
    row = {"document": "d", "section": "2", "pages": [1, 1], "lead": "Bolt  Torque", "text": "M8  25 Nm"}
    entry = {"query": "q1", "query_text": "torque?", "verdict": "borderline", "reason": "why [x]"}
    show.pair(console, {**entry, "judged": None, "candidate": row}, 2, 3)
    shown = console.export_text()
    assert [word in shown for word in ("2 of 3", "Bolt  Torque", "M8  25 Nm", "why [x]", "(not in the index)")] == [
        True
    ] * 5


def test_texts_that_are_not_alike_are_left_plain() -> None:
    judged, candidate = marked("Every pump carries a plate.", "深さは3mmとする。")
    assert (styled(judged), styled(candidate)) == ([], [])


def test_a_document_cannot_command_the_terminal() -> None:
    judged, _ = marked("red \x1b[31m and \x07 bell\tand tab", "")
    assert judged.plain == "red \ufffd[31m and \ufffd bell\tand tab"
