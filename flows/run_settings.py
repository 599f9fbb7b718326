"""How runs share an installation: the table ``[runs]``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunSettings:
    """``lease_seconds``: a run that gave no sign of life for so long is taken for dead (15 to 3600).

    ``cancel`` names the flows of which a second run is cancelled while one is under way; of others it waits its turn.
    """

    lease_seconds: float = 60.0
    cancel: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 15 <= self.lease_seconds <= 3600:
            raise ValueError(f"lease_seconds must be 15 to 3600, not {self.lease_seconds:g}")
