"""The flow ``retrain_reranker``: the newest ledger in, a better re-ranker out, or none."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.events import call_for_what_follows
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="retrain_reranker")
@once
def retrain_reranker(config: str | None = None) -> dict[str, Any]:
    """Retrain the re-ranker on the newest ledger; publish it where it is proven better.

    Args:
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = train_and_judge(config)
    draw_verdict(report)
    call_for_what_follows("retrain_reranker", report, settings_of(config))
    return report


@task(name="retrain re-ranker", retry_condition_fn=can_succeed_later, **RETRIES)
def train_and_judge(config: str | None) -> dict[str, Any]:
    """Train, compare on held-out queries, publish or keep what was there.

    As with the encoders it holds no writer's slot: it takes the home's lock for the moment in which it publishes.
    """
    return stages.retrain_reranker(settings_of(config), log_progress())


@task(name="draw re-ranker verdict")
def draw_verdict(report: dict[str, Any]) -> None:
    """Write the verdict on the re-ranker in each language, and what it was chosen from."""
    artifacts.reranker_verdict(report)
