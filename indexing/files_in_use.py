"""Folders of the index that others use meanwhile: copied and measured without stumbling over what comes and goes.

Whoever opens a shard makes the engine write its configuration again, into a file that is renamed at once; so a folder
that nobody changes has files that are there when it is listed and gone when they are read.
"""

from __future__ import annotations

import os
import shutil
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
