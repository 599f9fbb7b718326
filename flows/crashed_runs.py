"""Crashed runs, told to Prefect: a run whose process is gone would be Running on its pages for ever."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.exceptions import PrefectException
from prefect.states import Crashed

from evaluation.leases import Lease

_UNDER_WAY = {StateType.RUNNING, StateType.PENDING, StateType.CANCELLING}
_LOG = logging.getLogger(__name__)


def mark_crashed(leases: Sequence[Lease]) -> list[str]:
    """Set the flow runs of leases that nobody keeps alive, and the runs these are parts of, to Crashed.

    Runs that have ended, or were started again since, are left alone. Returns the ids of those that were set. A server
    that does not answer is no reason to stop: the next stage does not find these leases again, but the runs are in the
    catalogue's log as crashed, and the log says so.
    """
    marked = []
    try:
        with get_client(sync_client=True) as client:
            for lease in leases:
                last_seen = datetime.fromtimestamp(lease.expires - lease.seconds, UTC)
                for run in _with_parents(client, UUID(lease.flow_run)):
                    state = run.state
                    if state is not None and state.type in _UNDER_WAY and state.timestamp <= last_seen:
                        message = f"its process ended without a word: {lease}"
                        client.set_flow_run_state(run.id, Crashed(message=message), force=True)
                        marked.append(str(run.id))
    except (PrefectException, httpx.HTTPError) as error:
        _LOG.warning("crashed runs could not be marked in Prefect: %s", error)
    return marked


def _with_parents(client: SyncPrefectClient, flow_run: UUID) -> Iterator[FlowRun]:
    """Yield a flow run and those whose subflow it is. Yields none that the server does not know."""
    wanted: UUID | None = flow_run
    while wanted is not None:
        run = client.read_flow_run(wanted)
        yield run
        wanted = client.read_task_run(run.parent_task_run_id).flow_run_id if run.parent_task_run_id else None
