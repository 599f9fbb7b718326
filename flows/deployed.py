"""The flows that are deployed, and how many runs of one there may be at a time."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.flows import Flow

from flows.ablate import ablate
from flows.compare_chunking import compare_chunking
from flows.evaluate import evaluate
from flows.generate import generate
from flows.inbox import inbox
from flows.ingest import ingest
from flows.lifecycle import lifecycle
from flows.mine import mine
from flows.monitor import monitor
from flows.reindex import reindex
from flows.retrain import retrain
from flows.retrain_reranker import retrain_reranker
from flows.settings import Settings
from flows.sweep import sweep
from indexing.home import SpecmineError

FLOWS: dict[str, Flow[Any, Any]] = {
    "ingest": ingest,
    "inbox": inbox,
    "evaluate": evaluate,
    "mine": mine,
    "retrain": retrain,
    "retrain_reranker": retrain_reranker,
    "reindex": reindex,
    "lifecycle": lifecycle,
    "compare_chunking": compare_chunking,
    "generate": generate,
    "monitor": monitor,
    "sweep": sweep,
    "ablate": ablate,
}


def one_at_a_time(flow: str, settings: Settings) -> ConcurrencyLimitConfig:
    """Return the limit of a flow's deployment: a second run waits for the first, or is cancelled if that is wanted.

    Raises SpecmineError where ``[runs] cancel`` names a flow that there is not.
    """
    unknown = sorted(set(settings.runs.cancel) - set(FLOWS))
    if unknown:
        raise SpecmineError(f"[runs] cancel names no flow: {', '.join(unknown)}; there are {', '.join(FLOWS)}")
    strategy = ConcurrencyLimitStrategy.CANCEL_NEW if flow in settings.runs.cancel else ConcurrencyLimitStrategy.ENQUEUE
    return ConcurrencyLimitConfig(limit=1, collision_strategy=strategy)
