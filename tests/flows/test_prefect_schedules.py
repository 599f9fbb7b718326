"""Schedules and automations on a real Prefect server: nothing due is lost, what was paused stays paused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from flows.schedules import Schedule
from flows.settings import Settings, load_settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def client(prefect: None) -> Iterator[SyncPrefectClient]:
    from prefect import get_client

    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "specmine.toml"
    file.write_text('home = "home"\n', encoding="utf-8")
    return load_settings(file)


def deployed(client: SyncPrefectClient, flow: str) -> UUID:
    return client.create_deployment(client.create_flow_from_name(flow), "specmine")


def test_a_schedule_is_added_left_alone_changed_and_removed(client: SyncPrefectClient) -> None:
    from flows.prefect_schedules import put_schedule

    deployment = deployed(client, "ingest")
    daily, weekly = Schedule(cron="0 3 * * *"), Schedule(rrule="FREQ=WEEKLY;BYDAY=SU", timezone="Asia/Tokyo")
    assert put_schedule(client, deployment, "ingest", None) is None
    for schedule in (daily, weekly, Schedule(interval=60.0, parameters={"prune": True})):
        assert put_schedule(client, deployment, "ingest", schedule) in ("added", "changed")
        assert put_schedule(client, deployment, "ingest", schedule) == "unchanged"
    (there,) = client.read_deployment_schedules(deployment)
    assert (there.slug, there.parameters, there.active) == ("ingest", {"prune": True}, True)

    client.update_deployment_schedule(deployment, there.id, active=False)  # somebody paused it on the pages
    assert put_schedule(client, deployment, "ingest", daily) == "changed"
    (now,) = client.read_deployment_schedules(deployment)
    assert (now.id, now.active) == (there.id, False)
    assert put_schedule(client, deployment, "ingest", None) == "removed"
    assert client.read_deployment_schedules(deployment) == []


def test_due_runs_of_other_schedules_outlive_a_change_and_a_removal(client: SyncPrefectClient) -> None:
    from prefect.client.schemas.actions import DeploymentScheduleCreate

    from flows.prefect_schedules import _due_runs, as_prefect, put_schedule

    deployment = deployed(client, "evaluate")
    put_schedule(client, deployment, "evaluate", Schedule(cron="0 3 * * *"))
    minutely = as_prefect("evaluate", Schedule(interval=60.0))
    others = DeploymentScheduleCreate(schedule=minutely, slug="by hand", parameters={"split": "guard"})
    client.create_deployment_schedules(deployment, [others])
    since = datetime.now(UTC) - timedelta(hours=26)
    client.request("POST", f"/deployments/{deployment}/schedule", json={"start_time": since.isoformat(), "max_runs": 3})
    due = [run for run in _due_runs(client, deployment) if run.parameters == {"split": "guard"}]
    assert len(due) == 3

    def times() -> set[Any]:
        return {
            run.expected_start_time for run in _due_runs(client, deployment) if run.parameters == {"split": "guard"}
        }

    wanted = times()
    assert put_schedule(client, deployment, "evaluate", Schedule(cron="0 4 * * *")) == "changed"
    assert times() == wanted
    assert put_schedule(client, deployment, "evaluate", None) == "removed"
    assert times() == wanted
    assert not [run for run in _due_runs(client, deployment) if run.parameters != {"split": "guard"}]


def test_automations_are_put_once_and_stay_disabled(client: SyncPrefectClient, settings: Settings) -> None:
    from flows.automations import PREFIX, STARTED, put_automations
    from flows.deployed import FLOWS

    for flow in FLOWS:
        deployed(client, flow)
    first = put_automations(client, settings)
    assert len(first) == 1 + len(STARTED)
    assert {entry["outcome"] for entry in first} == {"added"}
    mine = next(entry for entry in client.read_automations() if entry.name == f"{PREFIX}mine when it is called for")
    client.pause_automation(mine.id)
    again = {entry["automation"]: entry for entry in put_automations(client, settings)}
    assert {entry["outcome"] for entry in again.values()} == {"unchanged"}
    assert [name for name, entry in again.items() if entry["enabled"] == "no"] == [mine.name]
    settings = settings.model_copy(update={"chain": settings.chain.__class__(enabled=False)})
    assert sorted(entry["outcome"] for entry in put_automations(client, settings)) == ["removed"] * 5 + ["unchanged"]


def test_the_order_in_which_events_are_named_is_no_change() -> None:
    """A set of names is written in an order that depends on how it was filled."""
    from prefect.events.schemas.automations import EventTrigger

    from flows.automations import _content, _end_silent_runs

    automation = _end_silent_runs([])
    assert isinstance(automation.trigger, EventTrigger)
    contents = []
    for names in permutations(automation.trigger.expect):
        filled: set[str] = set()
        for name in names:
            filled.add(name)
        trigger = automation.trigger.model_copy(update={"expect": filled})
        contents.append(_content(automation.model_copy(update={"trigger": trigger})))
    assert all(content == contents[0] for content in contents)


def test_a_sign_of_life_of_a_deployed_run_is_heard(client: SyncPrefectClient, settings: Settings) -> None:
    """The event as Prefect 3.8.8 sends it, against the trigger as the server keeps it: no name of the deployment."""
    from prefect.server.events.schemas.automations import EventTrigger
    from prefect.server.events.schemas.events import ReceivedEvent

    from flows.automations import PREFIX, put_automations
    from flows.deployed import FLOWS

    deployments = {flow: deployed(client, flow) for flow in FLOWS}
    put_automations(client, settings)
    (silent,) = [entry for entry in client.read_automations() if entry.name.startswith(f"{PREFIX}end runs")]
    trigger = EventTrigger.model_validate(silent.trigger.model_dump(mode="json"))

    def heard(deployment: object) -> bool:
        run = {"prefect.resource.id": f"prefect.flow-run.{uuid4()}", "prefect.resource.name": "some-run"}
        flow = {"prefect.resource.id": f"prefect.flow.{uuid4()}", "prefect.resource.role": "flow"}
        of = {"prefect.resource.id": f"prefect.deployment.{deployment}", "prefect.resource.role": "deployment"}
        event = {"id": uuid4(), "event": "prefect.flow-run.heartbeat", "resource": run, "related": [flow, of]}
        return trigger.covers(ReceivedEvent.model_validate({**event, "occurred": datetime.now(UTC)}))

    assert all(heard(deployment) for deployment in deployments.values())
    assert not heard(uuid4())


def test_what_is_scheduled_twice_is_done_once(client: SyncPrefectClient, settings: Settings) -> None:
    """The same schedule under two slugs, as when somebody adds on the pages what the configuration has already."""
    from prefect import flow
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.flow_engine import run_flow

    from flows.once import once
    from flows.prefect_schedules import _due_runs, as_prefect

    done: list[str] = []

    @flow(name="twice")
    @once
    def twice(config: str) -> None:
        done.append(config)
        if len(done) == 1:
            raise ValueError("failed")

    deployment = client.create_deployment(
        client.create_flow_from_name("twice"), "specmine", parameters={"config": str(settings.file)}
    )
    hourly = as_prefect("twice", Schedule(cron="0 * * * *"))
    client.create_deployment_schedules(
        deployment, [DeploymentScheduleCreate(schedule=hourly, slug=slug) for slug in ("a", "b", "c")]
    )
    since = datetime.now(UTC) - timedelta(hours=3)
    client.request("POST", f"/deployments/{deployment}/schedule", json={"start_time": since.isoformat(), "max_runs": 2})
    runs = sorted(_due_runs(client, deployment), key=lambda run: str(run.expected_start_time))
    assert len(runs) == 6
    first, last = runs[0].expected_start_time, runs[5].expected_start_time
    assert [run.expected_start_time for run in runs] == [first] * 3 + [last] * 3
    states = [run_flow(twice, run, parameters=run.parameters, return_type="state") for run in runs]
    names = [str(getattr(state, "name", None)) for state in states]
    assert names == ["Failed", "Completed", "Skipped", "Completed", "Skipped", "Skipped"]
    assert len(done) == 3
    twice(config=str(settings.file))  # by hand, it is always done
    assert len(done) == 4
