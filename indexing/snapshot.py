"""A whole installation in a folder or an object store, and back: every file with its SHA-256, the manifest last.

A snapshot holds what the home's releases need (generations with their contents, documents, vectors, query encoders,
re-rankers, models), the ledgers, what could not be read, the measurements, and the catalogue as one SQLite file. It is
made while others write: artifacts never change once they are there, and what it copies is held, so that nobody removes
it. Where the store is a Qdrant server, no contents are copied: a restore writes them again from documents and vectors.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec

from indexing.embedding import Progress
from indexing.home import MANIFEST, PARTIAL_SUFFIX, Home, SpecmineError
from indexing.snapshot_files import files_of, held_generations

FORMAT = 1
_BEGUN = "snapshot.begun"
_BLOCK = 1 << 20
_LONGEST_MANIFEST = 1 << 28
CATALOGUE = "catalogue.sqlite"


@dataclass(frozen=True)
class Kept:
    """One file of a snapshot."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Snapshot:
    """What a snapshot's manifest says. ``contents`` are the contents of each generation that a restore brings back.

    ``outside`` are folders that encoders are read from and that are not below the home: they are not in the snapshot.
    """

    release: str
    created: str
    contents: dict[str, list[int]]
    outside: list[str] = field(default_factory=list)
    files: dict[str, Kept] = field(default_factory=dict)
    format: int = FORMAT

    def as_json(self) -> dict[str, Any]:
        """Return what people are told of it."""
        return {
            "release": self.release,
            "created": self.created,
            "generations": sorted(self.contents),
            "files": len(self.files),
            "bytes": sum(kept.bytes for kept in self.files.values()),
            "outside": self.outside,
        }


def save_snapshot(
    home: Home, target: str, is_written: Callable[[str, int], bool], catalogue: Path, progress: Progress
) -> Snapshot:
    """Copy a home, and the catalogue's file ``catalogue``, to a folder or any URL that fsspec knows.

    ``is_written`` tells whether the store has a content of a generation. Raises SpecmineError when nothing is indexed,
    the target holds something else, or cannot be written; what was begun there goes on the next time.
    """
    with ExitStack() as held, _answering(target):
        release, contents = held_generations(home, is_written, held)
        sources, written, outside = files_of(home, contents)
        sources[CATALOGUE] = catalogue
        written["releases/CURRENT"] = json.dumps({"release": release.id}).encode()
        system, root = fsspec.core.url_to_fs(target)
        _begin(system, root, target)
        files: dict[str, Kept] = {}
        total = len(sources) + len(written)
        for name, text in written.items():
            with _writing(system, root, name) as out:
                out.write(text)
            files[name] = Kept(hashlib.sha256(text).hexdigest(), len(text))
        for name, path in sources.items():
            with path.open("rb") as source, _writing(system, root, name) as out:
                files[name] = _copy(source, out)
            progress("saving", len(files), total)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        snapshot = Snapshot(release.id, created, contents, outside, dict(sorted(files.items())))
        with _writing(system, root, MANIFEST) as out:
            out.write(json.dumps(asdict(snapshot), ensure_ascii=False, indent=1).encode())
        system.rm_file(f"{root}/{_BEGUN}")
    return snapshot


def restore_snapshot(source: str, home: Home, finish: Callable[[Home, Snapshot], None], progress: Progress) -> Snapshot:
    """Bring a snapshot into an empty home, each file compared with its SHA-256.

    ``finish`` does what is left (the catalogue, the store) in a folder beside; only then it takes the home's place.
    Raises SpecmineError, and leaves nothing, when the home is not empty, or a file is missing, damaged or would lie
    elsewhere.
    """
    if home.root.exists() and (not home.root.is_dir() or any(home.root.iterdir())):
        raise SpecmineError(f"{home.root} is not empty: a snapshot is restored into a new home; set SPECMINE_HOME")
    partial = home.root.with_name(f"{home.root.name}{PARTIAL_SUFFIX}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _answering(source):
            system, root = fsspec.core.url_to_fs(source)
            snapshot = read_snapshot(source)
            partial.mkdir(parents=True)
            for number, (name, kept) in enumerate(snapshot.files.items(), start=1):
                target = partial / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with _reading(system, root, name, source) as file, target.open("xb") as out:
                    found = _copy(file, out, kept.bytes, holes=True)
                if found != kept:
                    raise SpecmineError(f"{name} of snapshot {source} is damaged: it is not what was saved")
                progress("restoring", number, len(snapshot.files))
        finish(Home(partial), snapshot)
        if home.root.exists():
            home.root.rmdir()
        partial.rename(home.root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return snapshot


def read_snapshot(source: str) -> Snapshot:
    """Return what the manifest of a snapshot says. Raises SpecmineError when there is none, or it is not sound."""
    with _answering(source):
        system, root = fsspec.core.url_to_fs(source)
        if not system.exists(f"{root}/{MANIFEST}"):
            unfinished = "; it was not written to its end" if system.exists(f"{root}/{_BEGUN}") else ""
            raise SpecmineError(f"there is no snapshot in {source}{unfinished}")
        with system.open(f"{root}/{MANIFEST}", "rb") as file:
            text = file.read(_LONGEST_MANIFEST + 1)
    try:
        saved = json.loads(text)
        files = {str(name): Kept(str(kept["sha256"]), int(kept["bytes"])) for name, kept in saved["files"].items()}
        contents = {str(name): [int(n) for n in numbers] for name, numbers in saved["contents"].items()}
        outside = [str(folder) for folder in saved["outside"]]
        found = Snapshot(str(saved["release"]), str(saved["created"]), contents, outside, files, int(saved["format"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SpecmineError(f"the manifest of snapshot {source} is damaged") from None
    if found.format != FORMAT:
        raise SpecmineError(f"snapshot {source} was made by a newer specmine (format {found.format}): update this one")
    for name in (*files, *contents):
        if not _is_below(name):
            raise SpecmineError(
                f"snapshot {source} names {name!r}, which would lie outside the home: it is not restored"
            )
    return found


def _is_below(name: str) -> bool:
    """Tell whether a name of the manifest can only lie below the home it is restored to."""
    path = PurePosixPath(name)
    plain = name.isprintable() and "\\" not in name and ":" not in name and str(path) == name
    return plain and not path.is_absolute() and ".." not in path.parts and name not in ("", ".")


def _begin(system: Any, root: str, target: str) -> None:
    if system.exists(f"{root}/{MANIFEST}"):
        raise SpecmineError(f"{target} holds a snapshot already: name another folder")
    if system.exists(root) and system.ls(root, detail=False) and not system.exists(f"{root}/{_BEGUN}"):
        raise SpecmineError(f"{target} is not empty: name a new folder")
    with _writing(system, root, _BEGUN):
        pass


@contextmanager
def _writing(system: Any, root: str, name: str) -> Iterator[IO[bytes]]:
    path = f"{root}/{name}"
    system.makedirs(path.rpartition("/")[0], exist_ok=True)
    with system.open(path, "wb") as out:
        yield out


@contextmanager
def _reading(system: Any, root: str, name: str, source: str) -> Iterator[IO[bytes]]:
    try:
        file = system.open(f"{root}/{name}", "rb")
    except FileNotFoundError:
        raise SpecmineError(f"{name} of snapshot {source} is missing") from None
    with file:
        yield file


def _copy(source: IO[bytes], target: IO[bytes], most: int | None = None, holes: bool = False) -> Kept:
    """Copy a file, and no more than a block beyond ``most`` bytes; return what was read.

    With ``holes``, blocks of zeros are not written: the embedded store sets aside pages that it has not filled.
    """
    digest, size = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        size += len(block)
        if holes and block.count(0) == len(block):
            target.seek(len(block), os.SEEK_CUR)
        else:
            target.write(block)
        if most is not None and size > most:
            break
    if holes:
        target.truncate(size)
    return Kept(digest.hexdigest(), size)


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Turn what a file system raises into one line that names it."""
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:300]
        raise SpecmineError(f"snapshot {url}: {reason}") from None
