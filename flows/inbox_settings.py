"""A folder that is watched for new documents: the table ``[inbox]``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class InboxSettings:
    """``folder`` is where people and programs put files; without it there is no inbox.

    A file is taken when its size and time have not changed for ``settle_seconds`` (0 to 3600).
    """

    folder: Path | None = None
    settle_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.settle_seconds <= 3600:
            raise ValueError(f"settle_seconds must be 0 to 3600, not {self.settle_seconds:g}")
