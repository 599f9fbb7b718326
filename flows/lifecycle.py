"""The flow ``lifecycle``: once round, from new documents to a measured release."""

from __future__ import annotations

from typing import Any

from prefect import flow

from flows import stages
from flows.evaluate import evaluate
from flows.ingest import ingest
from flows.mine import mine
from flows.once import once
from flows.retrain import retrain
from flows.runs import settings_of


@flow(name="lifecycle")
@once
def lifecycle(paths: list[str] | None = None, prune: bool = False, config: str | None = None) -> dict[str, Any]:
    """Ingest, mine, retrain and evaluate, in this order; each is a flow run of its own below this one.

    Args:
        paths: folders and files; those of [sources] in the configuration when empty.
        prune: remove documents whose files are gone from the folders.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    return {
        "ingest": ingest(paths, prune, config),
        "mine": mine(config),
        "retrain": retrain(config),
        "evaluate": evaluate(stages.held_out_split(settings_of(config)), config),
    }
