"""What follows what without a schedule: the table ``[chain]``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChainSettings:
    """With ``enabled``, ``specmine deploy`` and ``specmine serve`` have Prefect start what follows from a run's end.

    ``judgements`` and ``decisions``: so many new ones since the last mining call for the next (1 or more). ``drop``: a
    fall of the served release's measure that calls for ``monitor`` (0 to 1, of the measure of ``[promotion]``).
    ``stale``: the share of documents that a re-index would make anew that calls for one (0 to 1), where it takes at
    most ``reindex_minutes``. ``alert`` is a notification block of the Prefect server, as ``type/name``: it is told when
    a release falls.
    """

    enabled: bool = True
    judgements: int = 50
    decisions: int = 20
    drop: float = 0.02
    stale: float = 0.1
    reindex_minutes: float = 60.0
    alert: str = ""

    def __post_init__(self) -> None:
        for name in ("judgements", "decisions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        for name in ("drop", "stale"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, not {getattr(self, name):g}")
        if self.reindex_minutes < 0:
            raise ValueError(f"reindex_minutes must be 0 or more, not {self.reindex_minutes:g}")
        if self.alert and self.alert.count("/") != 1:
            raise ValueError(f"alert is a block's type and name, such as 'slack-webhook/ops', not {self.alert!r}")
