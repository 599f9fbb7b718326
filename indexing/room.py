"""Room on the disk, looked for before it is written to: some of what writes ends the process where there is none.

The embedded engine and SQLite write through memory maps, and a page that finds no room is a signal (SIGBUS), no error.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from indexing.home import SpecmineError

RESERVE = 32 << 20  # bytes that are left for what cannot be told in advance


def require_room(folder: Path, needed: int = 0) -> None:
    """Raise SpecmineError where there is no room for ``needed`` more bytes below ``folder``, which exists."""
    free = shutil.disk_usage(folder).free
    if free < needed + RESERVE:
        raise SpecmineError(
            f"the disk is full: {(needed + RESERVE) / 1e6:.0f} MB are needed below {folder}, {free / 1e6:.0f} MB free; "
            "make room and run the same command again: what was done is kept"
        )
