"""What a reader has open is not removed: it holds a shared lock of the kernel on the manifest, until it ends or dies.

Whoever removes an artifact directory asks first whether it is held; what is held stays until the next time.
"""

from __future__ import annotations

import fcntl
import shutil
import uuid
from pathlib import Path
from typing import BinaryIO

from indexing.home import MANIFEST, PARTIAL_SUFFIX, SpecmineError


def hold(directory: Path) -> BinaryIO:
    """Hold a whole artifact directory until the returned file is closed. Raises SpecmineError when it is gone."""
    path = directory / MANIFEST
    try:
        handle = path.open("rb")
        fcntl.flock(handle, fcntl.LOCK_SH)
    except OSError as error:
        raise SpecmineError(f"{directory} cannot be opened: {error.strerror}; was it removed just now?") from None
    if not path.exists():  # it was removed while the lock was waited for
        handle.close()
        raise SpecmineError(f"{directory} was removed just now: try again")
    return handle


def remove_unless_held(directory: Path) -> bool:
    """Remove an artifact directory unless some reader, in this process or another, holds it; tell whether it is gone.

    It vanishes whole: it is renamed first, and what an interruption leaves then is a partial one.
    """
    try:
        with (directory / MANIFEST).open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            leaving = directory.with_name(f"{directory.name}.{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}")
            directory.rename(leaving)
    except BlockingIOError:
        return False
    except FileNotFoundError:  # it was never whole, or another removed it
        leaving = directory
    shutil.rmtree(leaving, ignore_errors=True)
    return True
