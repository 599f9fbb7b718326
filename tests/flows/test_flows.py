"""The flows in a real Prefect, on a server of the test's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.settings import load_settings
from indexing.home import Home, LockedHomeError, SpecmineError
from indexing.releases import current

pytestmark = [pytest.mark.models, pytest.mark.slow, pytest.mark.usefixtures("prefect")]


def artifact(key: str) -> Any:
    """The newest artifact under this key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    with get_client(sync_client=True) as client:
        # Unless told otherwise the server sorts by identifier, which is random.
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])), sort=ArtifactSort.CREATED_DESC
        )
    return found[0]


def test_ingest_evaluate_and_reindex_leave_reports_and_artifacts(
    write_config: Callable[[str], Path], judged: Path
) -> None:
    from flows.evaluate import evaluate
    from flows.ingest import ingest
    from flows.monitor import monitor
    from flows.opened import catalogue
    from flows.reindex import reindex

    config = str(write_config(""))
    report = ingest(config=config)
    assert report["documents"] == {"indexed": 2, "renamed": 0, "unchanged": 0, "removed": 0, "quarantined": 0}
    assert report["release"] == "r0001"
    assert "marking" not in artifact("ingest-summary").data  # only what needs attention is listed
    assert "r0001" in artifact("ingest-summary").data

    (judged / "specs" / "empty.pdf").write_bytes(b"")
    (judged / "specs" / "marking.md").unlink()
    report = ingest(paths=[str(judged / "specs")], prune=True, config=config)
    assert report["documents"] == {"indexed": 0, "renamed": 0, "unchanged": 1, "removed": 1, "quarantined": 1}
    assert "empty.pdf" in artifact("ingest-summary").data

    settings = load_settings(Path(config))
    with catalogue(settings) as book:
        book.import_files("test", judged / "test.queries.jsonl", judged / "test.judgements.jsonl")
    measured = evaluate(config=config)
    assert (measured["queries"], measured["unmapped_judgements"]) == (2, 2)
    assert measured["runs"]["fusion"]["R@10"] == 1.0
    assert "document not indexed" in artifact("evaluation-test").data
    with catalogue(settings) as book:
        assert {(record.release, record.split) for record in book.measures()} == {("r0002", "test")}
        assert [run.stage for run in book.last_runs()] == ["evaluate", "ingest", "ingest"]

    write_config("[chunking]\nmax_tokens = 40\n")
    again = reindex(config=config)
    assert again["release"] == "r0003"
    assert "max\\_tokens 240 → 40" in artifact("reindex-summary").data

    watched = monitor(config=config)
    assert (watched["served"], watched["fell"], watched["test"]) == ("r0003", False, None)  # cut anew: incomparable
    assert "The served release stands" in artifact("monitoring").data


def test_chunkings_are_compared_with_their_tables_as_an_artifact(
    write_config: Callable[[str], Path], judged: Path
) -> None:
    from flows.compare_chunking import compare_chunking
    from flows.ingest import ingest
    from flows.opened import catalogue

    config = str(write_config(""))
    ingest(config=config)
    with catalogue(load_settings(Path(config))) as book:
        book.import_files("dev", judged / "dev.queries.jsonl", judged / "dev.judgements.jsonl")
    report = compare_chunking("section:60,fixed:60", config=config)
    assert (report["queries"], report["against"]) == (4, "section:60")
    shown = artifact("chunking-dev").data
    assert "nDCG@10 against section:60" in shown
    assert shown.count("| wordllama | fixed:60 |") == 2  # measured, and tested against the first
    assert Path(report["report"]).is_file()
    with pytest.raises(SpecmineError, match="two splitters"):
        compare_chunking("section:60", config=config)


def test_mining_leaves_its_pictures_as_an_artifact_and_a_page(
    write_config: Callable[[str], Path], judged: Path
) -> None:
    from flows.ingest import ingest
    from flows.mine import mine
    from flows.opened import catalogue

    config = str(write_config("[mine]\nfilters = []\n"))
    ingest(config=config)
    with catalogue(load_settings(Path(config))) as book:
        book.import_files("train", judged / "train.queries.jsonl", judged / "train.judgements.jsonl")
    report = mine(config=config)
    page = judged / "home" / "reports" / f"ledger-{report['ledger']}.html"
    assert page.is_file()
    shown = artifact("mining-summary").data
    assert f"# Ledger `{report['ledger']}`" in shown
    assert shown.count("![](data:image/png;base64,") == 3  # the funnel, the sources, one encoder
    assert str(page) in shown


def test_a_flow_fails_with_the_line_a_user_would_see(workplace: Path) -> None:
    from flows.ingest import ingest

    empty = workplace / "empty.toml"
    empty.write_text('home = "empty"\n', encoding="utf-8")
    with pytest.raises(SpecmineError, match="there is nothing to ingest"):
        ingest(config=str(empty))
    with pytest.raises(SpecmineError, match="no configuration file"):
        ingest(config=str(workplace / "gone.toml"))


def test_a_locked_home_is_waited_for(
    write_config: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, workplace: Path
) -> None:
    """The first try meets another writer; the task's second try succeeds."""
    from flows import ingest as module
    from flows import stages

    config = str(write_config(""))
    home = load_settings(Path(config)).open_home()
    held = home.exclusive()
    held.__enter__()
    tries: list[str] = []
    plain = stages.ingest

    def ingest_and_release(*arguments: Any) -> dict[str, Any]:
        tries.append("try")
        try:
            return plain(*arguments)
        except LockedHomeError:
            held.__exit__(None, None, None)  # the other writer ends
            raise

    monkeypatch.setattr(stages, "ingest", ingest_and_release)
    quick = module.ingest_documents.with_options(retry_delay_seconds=0)
    monkeypatch.setattr(module, "ingest_documents", quick)
    report = module.ingest(config=config)
    assert tries == ["try", "try"]
    assert report["documents"]["indexed"] == 2
    assert current(Home(workplace / "home")) is not None


def test_the_slot_of_the_index_writer_is_given_back(monkeypatch: pytest.MonkeyPatch, workplace: Path) -> None:
    from prefect.client.orchestration import get_client
    from prefect.settings import get_current_settings

    from flows.runs import INDEX_WRITER, index_writer

    url = get_current_settings().api.url
    if url is None:
        pytest.skip("the test server has no address")
    monkeypatch.setenv("PREFECT_API_URL", str(url))
    with get_client(sync_client=True) as client:
        with index_writer():
            assert client.read_global_concurrency_limit_by_name(INDEX_WRITER).active_slots == 1
        assert client.read_global_concurrency_limit_by_name(INDEX_WRITER).active_slots == 0


def test_progress_is_an_artifact_for_each_stage() -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterType

    from flows.runs import log_progress

    @flow
    def stages() -> None:
        tell = log_progress()
        for stage, done, total in (("searching", 0, 8), ("searching", 8, 8), ("cross-encoder", 2, 8)):
            tell(stage, done, total)

    stages()
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(type=ArtifactFilterType(any_=["progress"])))
    shown = {str(one.description): float(str(one.data)) for one in found}
    assert shown["cross-encoder: 2 of 8"] == 25
    assert any(line.startswith("searching: 8 of 8, ") and share == 100 for line, share in shown.items())
    assert "searching: 0 of 8" not in shown  # brought up to date, not written beside


def test_a_run_whose_process_is_gone_is_ended_in_prefect_with_those_it_is_a_part_of() -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.runtime import flow_run
    from prefect.states import Running

    from evaluation.leases import Lease
    from flows.crashed_runs import mark_crashed
    from flows.stage_runs import flow_run as present

    ids: list[str] = []

    @flow
    def part() -> None:
        assert present() == flow_run.id
        ids.append(str(flow_run.id))

    @flow
    def whole() -> None:
        part()
        ids.append(str(flow_run.id))

    assert present() is None
    whole()
    now = time.time()
    lease = Lease("run a", 1, "host", "1:1", "mine", ids[0], now - 60, now + 60, 60.0)
    with get_client(sync_client=True) as client:
        assert mark_crashed([lease]) == []  # both have ended
        for run in ids:
            client.set_flow_run_state(run, Running(), force=True)
        assert mark_crashed([lease]) == []  # started again since its last sign of life
        lease = replace(lease, expires=time.time() + 61)
        assert mark_crashed([lease]) == ids
        states = [client.read_flow_run(run).state for run in ids]
    assert [state.type.value for state in states if state] == ["CRASHED", "CRASHED"]
    assert states[0] and "ended without a word: mine, process 1 on host" in str(states[0].message)


def test_what_is_coming_already_is_not_called_for_again() -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Completed, Pending, Running, Scheduled

    from flows.evaluate import evaluate
    from flows.events import _is_coming
    from flows.mine import mine

    with get_client(sync_client=True) as client:
        for flow, begun_will_do in ((mine, True), (evaluate, False)):
            name = flow.name
            assert not _is_coming(name)
            later = client.create_flow_run(flow, state=Scheduled(scheduled_time=datetime.now(UTC) + timedelta(hours=1)))
            assert not _is_coming(name)  # tonight's scheduled run is no answer to what is called for now
            run = client.create_flow_run(flow, state=Scheduled(scheduled_time=datetime.now(UTC)))
            assert _is_coming(name)
            client.set_flow_run_state(run.id, Pending(), force=True)
            assert _is_coming(name)
            client.set_flow_run_state(run.id, Running(), force=True)
            assert _is_coming(name) is begun_will_do
            client.set_flow_run_state(run.id, Completed(), force=True)
            assert not _is_coming(name)
            client.delete_flow_run(later.id)
