"""Folders of the index that others use: copied, measured, looked through, without stumbling over what comes and goes.

Whoever opens a shard makes the engine write its configuration again, into a file that is renamed at once; so a folder
that nobody changes has files that are there when it is listed and gone when they are read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from indexing.sparse import copy_sparse

_PASSING = ".atomicwrite"  # how the engine's names of such files and folders begin


def is_passing(name: str) -> bool:
    """Tell whether a file or folder of this name is one that the engine renames at once."""
    return name.startswith(_PASSING)


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder to a new place, holes of files and all."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(f"{_PASSING}*"), copy_function=copy_sparse)


def paths_below(folder: Path, suffix: str) -> Iterator[Path]:
    """Yield the files and folders below a folder whose names end so, but nothing within such a folder.

    What goes while it is looked at is passed over, which ``Path.rglob`` does not do before Python 3.13.
    """
    for base, folders, files in os.walk(folder, onerror=_unless_gone):
        yield from (Path(base) / name for name in (*folders, *files) if name.endswith(suffix))
        folders[:] = [name for name in folders if not (name.endswith(suffix) or is_passing(name))]


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def bytes_in(folder: Path) -> int:
    """Return what the files below a folder take on disk; 0 where it is missing."""
    total = 0
    for base, _, files in os.walk(folder):
        for name in files:
            with suppress(FileNotFoundError):
                total += bytes_of((Path(base) / name).stat())
    return total


def bytes_of(found: os.stat_result) -> int:
    """Return what a file takes on disk."""
    return found.st_blocks * 512  # in which the file system counts (stat(2)), whatever the size of its own blocks
