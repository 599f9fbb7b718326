"""What is monitored, and what happens when it falls. No torch here: the configuration is read without it."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.judgements import check_split

SEARCHES = "searches"
"""What people opened or confirmed in the log of searches, rather than a judged split."""


@dataclass(frozen=True)
class MonitorSettings:
    """What is monitored: ``on`` is a judged split (test, dev, a guard) or "searches"; empty is test, else dev.

    With ``rollback`` a release that has fallen below the one before it is replaced by that one at once; without, it
    is only reported.
    """

    on: str = ""
    rollback: bool = True

    def __post_init__(self) -> None:
        if self.on not in ("", SEARCHES):
            check_split(self.on)
        if self.on == "train":
            raise ValueError(f"on must be test, dev, a guard or {SEARCHES}: what was trained on says nothing")
