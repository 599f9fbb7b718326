"""The flow ``generate``: queries where nobody judged any, kept where search finds their passage."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, stages
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="generate")
@once
def generate(
    generators: list[str] | None = None,
    per_document: int | None = None,
    limit: int | None = None,
    seed: int | None = None,
    documents: list[str] | None = None,
    dry_run: bool = False,
    config: str | None = None,
) -> dict[str, Any]:
    """Make synthetic queries for the indexed documents.

    Args:
        generators: names of generators; those of [generate] when empty.
        per_document: how many queries each generator tries for a document; that of [generate] when empty.
        limit: end when so many queries were kept.
        seed: of what is drawn by chance; that of [generate] when empty.
        documents: names of documents, or patterns with *; all when empty.
        dry_run: store nothing.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = generate_queries(
        generators or [], per_document, seed, limit, documents or [], dry_run=dry_run, config=config
    )
    artifacts.generated_queries(report)
    return report


@task(name="generate queries", retry_condition_fn=can_succeed_later, **RETRIES)
def generate_queries(
    generators: list[str],
    per_document: int | None,
    seed: int | None,
    limit: int | None,
    documents: list[str],
    dry_run: bool,
    config: str | None,
) -> dict[str, Any]:
    """Make, search for, judge and store the queries of each document."""
    settings = stages.generating(settings_of(config), generators, per_document, seed)
    return stages.generate(settings, documents, limit, dry_run, log_progress())
