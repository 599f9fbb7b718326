"""Where the log goes, and in which form: the table ``[logs]``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogSettings:
    """``file`` is where lines are appended, "-" for standard error, "" for nowhere; ``format`` "json" or "text"."""

    file: str = ""
    format: str = "json"

    def __post_init__(self) -> None:
        if self.format not in ("json", "text"):
            raise ValueError(f"format must be json or text, not {self.format!r}")
