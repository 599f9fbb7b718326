"""What a filter says of a candidate, and what every filter looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from mining.candidates import Case

if TYPE_CHECKING:
    from mining.settings import MineSettings


class Finding(NamedTuple):
    """A filter's verdict on one candidate, and why."""

    verdict: str
    reason: str


Filter = Callable[[Case, "MineSettings"], dict[str, Finding]]
"""From a query's case to the findings on those of its open candidates that are rejected, by chunk id."""
