"""Which process is meant, so that another one can tell that it is gone. Elsewhere than on Linux none is told gone."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")
_START_TIME = 19  # field 22 of /proc/PID/stat, counted after the name, which may hold spaces (proc(5))


@dataclass(frozen=True, slots=True)
class Process:
    """``host`` names a machine since its last start and the space its process numbers count in (a container has its
    own); ``process`` is a number there with the time of the process's start, for numbers are given again.
    """

    host: str
    process: str


def this_process() -> Process:
    """Return the process that asks."""
    return Process(_host(), f"{os.getpid()}:{_start_time(os.getpid())}")


def is_gone(process: Process) -> bool:
    """Tell whether a process has certainly ended: it ran here, since the last start, and runs no more."""
    if process.host != _host() or not _PROC.joinpath("self/stat").exists():
        return False
    number, _, started = process.process.partition(":")
    return number.isdecimal() and _start_time(int(number)) != started


@lru_cache(maxsize=1)
def _host() -> str:
    boot, space = _read(_PROC / "sys/kernel/random/boot_id").strip(), ""
    with suppress(OSError):
        space = str((_PROC / "self/ns/pid").readlink())
    return " ".join(filter(None, (socket.gethostname(), boot, space)))


def _start_time(number: int) -> str:
    """Return when a process started, in the kernel's ticks; "gone" where it ended, though nobody waited for it."""
    fields = _read(_PROC / str(number) / "stat").rpartition(")")[2].split()
    if not fields or fields[0] in ("Z", "X"):
        return "gone"
    return fields[_START_TIME]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
