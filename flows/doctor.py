"""Whether everything is there that specmine needs, and what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from evaluation.database import CatalogueError
from flows.checks import index, machine, orchestration, readers
from flows.checks.check import Check
from flows.settings import Settings
from indexing.home import SpecmineError

CHECKS: tuple[Callable[[Settings], Iterator[Check]], ...] = (
    machine.configuration,
    machine.packages,
    machine.processors,
    machine.permissions,
    machine.disk,
    machine.writer,
    machine.clock,
    index.models,
    readers.recognition,
    readers.docling,
    index.store,
    index.catalogue,
    index.release,
    orchestration.prefect,
    orchestration.workers,
)


def check_all(settings: Settings) -> dict[str, Any]:
    """Return the outcome of every check, and whether none failed."""
    checks: list[Check] = []
    for look in CHECKS:
        try:
            checks += look(settings)
        except (SpecmineError, CatalogueError, OSError) as error:
            checks.append(Check(look.__name__, "failed", str(error)))
    failed = any(check.outcome == "failed" for check in checks)
    return {"ok": not failed, "checks": [asdict(check) for check in checks]}
