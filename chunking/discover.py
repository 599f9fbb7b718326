"""Which documents stand in the folders given."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chunking.readers import READERS


@dataclass(frozen=True)
class Found:
    """A document's file, which truly lies in ``root``.

    ``document_id`` is its POSIX path below ``root``, or its name if the file itself was given.
    """

    path: Path
    document_id: str
    root: Path


@dataclass(frozen=True)
class Refused:
    """A file or folder that is left out, with the reason."""

    path: Path
    document_id: str
    reason: str


def discover(paths: Sequence[Path]) -> tuple[list[Found], list[Refused]]:
    """Find all files with a known suffix in the folders and files given, ordered by document id.

    Hidden files and folders are skipped. Links that lead out of the folder given, unreadable folders, special files,
    names that are not UTF-8 and a second document of the same id are refused, never silently skipped.
    """
    found: dict[str, Found] = {}
    refused: list[Refused] = []
    for path in paths:
        for item in _look(path):
            if isinstance(item, Found) and item.document_id in found:
                if found[item.document_id].path.resolve() == item.path.resolve():
                    continue
                other = found[item.document_id].path
                item = Refused(item.path, item.document_id, f"another document has this id: {other}")
            if isinstance(item, Found):
                found[item.document_id] = item
            else:
                refused.append(item)
    return [found[key] for key in sorted(found)], sorted(refused, key=lambda item: str(item.path))


def _look(path: Path) -> Iterator[Found | Refused]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        reason = (
            "no such file or folder" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
        yield Refused(path, path.name, reason)
        return
    if not stat.S_ISDIR(mode):
        known = path.suffix.lower() in READERS
        reason = f"no reader for {path.suffix or 'a file without a suffix'}; known: {', '.join(READERS)}"
        yield _checked(path, path.name, path.resolve().parent) if known else Refused(path, path.name, reason)
    else:
        yield from _walk(path)


def _walk(root: Path) -> Iterator[Found | Refused]:
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Refused(folder, folder.relative_to(root).as_posix(), f"folder cannot be read: {error.strerror}")
            continue
        for entry in entries:
            path = Path(entry.path)
            document_id = path.relative_to(root).as_posix()
            if entry.name.startswith("."):
                continue
            if entry.is_symlink() and not _inside(path, root):
                yield Refused(path, document_id, "a link that leads out of the folder given, or nowhere")
            elif _is_folder(entry):
                if not entry.is_symlink():  # a linked folder inside the root is found where it really is
                    folders.append(path)
            elif path.suffix.lower() in READERS:
                yield _checked(path, document_id, root)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # what the folder's rights hide is refused as a file, if its name is one of a document
        return False


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a broken link or a loop of links
        return False


def _checked(path: Path, document_id: str, root: Path) -> Found | Refused:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return Refused(path, document_id, "not a regular file")
    except OSError as error:  # gone since, or in a folder that may be listed but not entered
        return Refused(path, document_id, f"the file cannot be opened: {error.strerror}")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in document_id):
        shown = ascii(document_id)[1:-1]
        return Refused(path, shown, "the name has control characters or is not UTF-8; rename the file")
    return Found(path, document_id, root)
