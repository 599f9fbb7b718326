"""Copies of files that keep their holes: the embedded store sets pages aside that it has not filled yet."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_BLOCK = 1 << 24  # bytes that the kernel is asked to copy at a time


def copy_sparse(source: str | Path, target: str | Path) -> str:
    """Copy a file's bytes and permissions, and leave out what was never written; return the target's path.

    A whole file is copied where the file system does not tell its holes.
    """
    with Path(source).open("rb") as reading, Path(target).open("wb") as writing:
        size = os.fstat(reading.fileno()).st_size
        start = _next(reading.fileno(), 0, os.SEEK_DATA)
        while start is not None and start < size:
            end = _next(reading.fileno(), start, os.SEEK_HOLE)
            _copy(reading.fileno(), writing.fileno(), start, size if end is None else end)
            start = size if end is None else _next(reading.fileno(), end, os.SEEK_DATA)
        writing.truncate(size)
        os.fchmod(writing.fileno(), os.fstat(reading.fileno()).st_mode & 0o7777)
    return str(target)


def _next(descriptor: int, offset: int, what: int) -> int | None:
    """Return where data or a hole begins from ``offset`` on; None where there is none."""
    try:
        return os.lseek(descriptor, offset, what)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def _copy(source: int, target: int, start: int, end: int) -> None:
    while start < end:
        data = os.pread(source, min(_BLOCK, end - start), start)
        if not data:  # it was cut short meanwhile
            return
        written = 0
        while written < len(data):
            written += os.pwrite(target, data[written:], start + written)
        start += len(data)
