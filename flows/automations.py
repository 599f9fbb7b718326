"""The automations on the Prefect server: what is called for is started, dead runs are ended, somebody is told.

Each has a name that begins with ``specmine: ``; those that are no longer wanted go. What somebody disabled on the pages
stays disabled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, RunDeployment, SendNotification
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from flows.chain import ALERT
from flows.deployed import FLOWS
from flows.deployments import DEPLOYMENT
from flows.events import INSTALLATION, WANTED
from flows.settings import Settings
from indexing.home import SpecmineError

PREFIX = "specmine: "
STARTED = ("evaluate", "mine", "retrain", "monitor", "reindex")
"""The flows that others call for."""

# A run says every three minutes that it is alive (PREFECT_FLOWS_HEARTBEAT_FREQUENCY); twice not is dead.
_SILENCE = timedelta(minutes=7)


def put_automations(client: SyncPrefectClient, settings: Settings) -> list[dict[str, str]]:
    """Make the server's automations what the configuration says; return each with what was done and whether it is on.

    The deployments must be there. Raises SpecmineError when the block of ``[chain] alert`` is not.
    """
    wanted = {automation.name: automation for automation in _wanted(client, settings)}
    there = {entry.name: entry for entry in client.read_automations() if entry.name.startswith(PREFIX)}
    done = []
    for name in {**wanted, **there}:
        outcome, on = _put(client, wanted.get(name), there.get(name))
        done.append({"automation": name, "outcome": outcome, "enabled": on})
    return done


def _put(client: SyncPrefectClient, wanted: AutomationCore | None, there: Automation | None) -> tuple[str, str]:
    if wanted is None:
        if there is not None:
            client.delete_automation(there.id)
        return "removed", ""
    if there is None:
        client.create_automation(wanted)
        return "added", "yes"
    wanted = wanted.model_copy(update={"enabled": there.enabled})
    on = "yes" if there.enabled else "no"
    if _content(wanted) == _content(there):
        return "unchanged", on
    client.update_automation(there.id, wanted)
    return "changed", on


def _wanted(client: SyncPrefectClient, settings: Settings) -> list[AutomationCore]:
    deployments = {flow: client.read_deployment_by_name(f"{flow}/{DEPLOYMENT}").id for flow in FLOWS}
    automations = [_end_silent_runs(deployments.values())]
    if not settings.chain.enabled:
        return automations
    for flow in STARTED:
        run = RunDeployment(source="selected", deployment_id=deployments[flow], parameters=None, job_variables=None)
        automations.append(_on_wanted(f"{flow} when it is called for", flow, run))
    if settings.chain.alert:
        tell = SendNotification(
            block_document_id=_block(client, settings.chain.alert),
            subject="specmine: the served release fell",
            body="{{ event.payload.reason }}",
        )
        automations.append(_on_wanted("tell when a release fell", ALERT, tell))
    return automations


def _on_wanted(name: str, wanted: str, action: ActionTypes) -> AutomationCore:
    trigger = EventTrigger(
        expect={f"{WANTED}{wanted}"},
        match={"prefect.resource.id": INSTALLATION},
        posture=Posture.Reactive,
        threshold=1,
        within=timedelta(0),
    )
    return AutomationCore(name=PREFIX + name, description="", enabled=True, trigger=trigger, actions=[action])


def _end_silent_runs(deployments: Iterable[UUID]) -> AutomationCore:
    """Return the automation that ends runs of which nothing was heard, as after the power failed."""
    trigger = EventTrigger(
        after={"prefect.flow-run.heartbeat"},
        expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{state}" for state in _LAST_STATES)},
        match={"prefect.resource.id": ["prefect.flow-run.*"]},
        match_related={
            "prefect.resource.role": "deployment",
            # Not by their name: what says that a run is alive names its deployment by its id alone.
            "prefect.resource.id": sorted(f"prefect.deployment.{deployment}" for deployment in deployments),
        },
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=_SILENCE,
    )
    message = "nothing was heard of it: its process or machine died"
    crash = ChangeFlowRunState(state=StateType.CRASHED, name=None, message=message, force=False)
    name = f"{PREFIX}end runs of which nothing is heard"
    return AutomationCore(name=name, description="", enabled=True, trigger=trigger, actions=[crash])


_LAST_STATES = ("Completed", "Failed", "Cancelled", "Crashed")


def _block(client: SyncPrefectClient, name: str) -> Any:
    kind, _, block = name.partition("/")
    try:
        return client.read_block_document_by_name(block, kind).id
    except ObjectNotFound:
        raise SpecmineError(f"[chain] alert: the Prefect server has no block {name!r}; `prefect block ls`") from None


def _content(automation: AutomationCore) -> dict[str, Any]:
    # Not as JSON: the events that a trigger names are a set, and equal sets may be written in different orders.
    return automation.model_dump(mode="python", include={"name", "description", "enabled", "trigger", "actions"})
