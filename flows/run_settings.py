"""How runs share an installation, and who does their work: the table ``[runs]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LONGEST_BATCH = 24 * 3600.0


@dataclass(frozen=True)
class RunSettings:
    """``lease_seconds``: a run that gave no sign of life for so long is taken for dead (15 to 3600).

    ``cancel`` names the flows of which a second run is cancelled while one is under way; of others it waits its turn.

    ``task_runner`` does the parts of an ingest and of a re-index under Prefect: one after another in a thread of the
    run's own process, or by ``workers`` processes of this machine. With ``address``, of a Dask scheduler or of a Ray
    cluster, its workers do them, wherever they are. A batch of passages that takes longer than ``batch_seconds`` to
    embed is given up and tried again (10 to 86400).
    """

    lease_seconds: float = 60.0
    cancel: tuple[str, ...] = ()
    task_runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    workers: int = 2
    address: str | None = None
    batch_seconds: float = 3600.0

    def __post_init__(self) -> None:
        if not 15 <= self.lease_seconds <= 3600:
            raise ValueError(f"lease_seconds must be 15 to 3600, not {self.lease_seconds:g}")
        if not 1 <= self.workers <= 1000:
            raise ValueError(f"workers must be 1 to 1000, not {self.workers}")
        if self.address and self.task_runner not in ("dask", "ray"):
            raise ValueError(f'address is that of a cluster: set task_runner = "dask" or "ray", not {self.task_runner}')
        if not 10 <= self.batch_seconds <= LONGEST_BATCH:
            raise ValueError(f"batch_seconds must be 10 to {LONGEST_BATCH:g}, not {self.batch_seconds:g}")
