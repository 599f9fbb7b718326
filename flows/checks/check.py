"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Check:
    """One thing looked at: ``warning`` is worth knowing, ``failed`` keeps something from working.

    ``mend`` is the command that puts it right, as it is typed in a shell; "" where there is none.
    """

    name: str
    outcome: Outcome
    message: str
    mend: str = ""
