"""What is monitored, and what happens when it falls. No torch here: the configuration is read without it."""

from __future__ import annotations

from dataclasses import dataclass

SEARCHES = "searches"
"""What people opened or confirmed in the log of searches, rather than a judged split."""

_SPLITS = ("test", "dev", "guard")


@dataclass(frozen=True)
class MonitorSettings:
    """What is monitored: ``on`` is a judged split (test, dev or guard) or "searches"; empty is test, else dev.

    With ``rollback`` a release that has fallen below the one before it is replaced by that one at once; without, it
    is only reported.
    """

    on: str = ""
    rollback: bool = True

    def __post_init__(self) -> None:
        if self.on not in ("", *_SPLITS, SEARCHES):
            raise ValueError(f"on must be {', '.join(_SPLITS)} or {SEARCHES}, not {self.on!r}")
