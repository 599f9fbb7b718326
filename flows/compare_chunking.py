"""The flow ``compare_chunking``: the indexed documents cut in several ways, each measured; nothing is published."""

from __future__ import annotations

from typing import Any

from prefect import flow, task

from flows import artifacts, comparisons
from flows.once import once
from flows.runs import RETRIES, can_succeed_later, log_progress, settings_of


@flow(name="compare_chunking")
@once
def compare_chunking(
    splitters: str,
    split: str = "dev",
    encoders: list[str] | None = None,
    keep: bool = False,
    config: str | None = None,
) -> dict[str, Any]:
    """Cut the indexed documents in several ways and measure each on the same judged queries.

    Args:
        splitters: splitters with the size of their passages in tokens, such as section:256,fixed:256; each is tested
            against the first.
        split: train, dev, test or guard.
        encoders: names of configured encoders; all when empty.
        keep: keep the indexes that were built, so that the next comparison finds them.
        config: the configuration file; specmine.toml in the working directory when empty.
    """
    report = measure_chunkings(splitters, split, encoders or [], keep, config)
    artifacts.chunking_comparison(report)
    return report


@task(name="measure chunkings", retry_condition_fn=can_succeed_later, **RETRIES)
def measure_chunkings(
    splitters: str, split: str, encoders: list[str], keep: bool, config: str | None
) -> dict[str, Any]:
    """Cut, embed, index, search and measure each chunking, beside the served release."""
    return comparisons.compare_chunking(settings_of(config), splitters, split, encoders, keep, log_progress())
