from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluation.database import CatalogueError
from indexing.home import LockedHomeError, SpecmineError


class State:
    """As much of a Prefect state as the condition looks at."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def result(self, raise_on_failure: bool) -> Any:
        assert raise_on_failure is False
        return self.error


@pytest.mark.parametrize(
    ("error", "later"),
    [
        (LockedHomeError("held"), True),
        (CatalogueError("another program has held it for 10 seconds; try again when it is done"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (CatalogueError("catalogue has schema version 7"), False),
        (SpecmineError("nothing is indexed"), False),
        (ValueError("a bug"), False),
        (MemoryError(), False),
    ],
)
def test_only_what_can_succeed_later_is_tried_again(prefect_home: Path, error: Exception, later: bool) -> None:
    from flows.runs import can_succeed_later

    assert can_succeed_later(None, None, State(error)) is later
