"""Where everything lies (SPECMINE_HOME), and how files come to lie there whole.

Layout below the root::

    catalogue.sqlite          queries, judgements, decisions, runs
    models/<key>/             fetched models, verified by SHA-256
    documents/<key>/          one document as read: text, blocks, chunks
    vectors/<fingerprint>/    document vectors by encoder, one .npy for each entry of documents/, and their norms
    generations/<id>/         one chunking x the frozen document encoders; contents/<serial>/ is what is searched;
                              pca-<serial>/ its reduced space, where one was asked for
    encoders/<name>/<version>/  retrained query encoders
    rerankers/<version>/      retrained re-rankers
    ledgers/<id>/             mined negatives; cache/ has the cross-encoder's scores, unfinished/ what a mining that did
                              not end has found
    releases/<id>.json        releases; CURRENT names the one that is served
    reports/                  what runs leave for people
    measured/                 how long stages took, and what re-indexes were estimated at
    reindex.json              the re-index that was begun and is not published yet
    comparisons/              chunkings compared; scratch/ is there while they are. trainings/ has what sweeps tried

An artifact directory is written under a temporary name, its ``manifest.json`` last, and then renamed: what has a
manifest is whole. Files that are replaced are written beside the old one and renamed over it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from indexing.files_in_use import paths_below

MANIFEST = "manifest.json"
PARTIAL_SUFFIX = ".partial"
_SECONDS_BETWEEN_TRIES = 0.5  # of a lock that is waited for


class SpecmineError(Exception):
    """An error a user can act on: one line that says what is wrong, where, and what to do."""


class LockedHomeError(SpecmineError):
    """Another process is writing to this home."""


class OtherIndexError(SpecmineError):
    """The configuration asks for another index than the served one: a re-index builds it."""


class WriterLease(Protocol):
    """What says, for all machines that share a home, which process writes to it; the kernel's lock knows only one."""

    def held(self) -> AbstractContextManager[None]:
        """Hold the lease while the block runs. Raises LockedHomeError when another process holds it."""

    def fenced(self) -> AbstractContextManager[None]:
        """Keep the held lease from being taken over while the block runs. Raises LockedHomeError when it was before."""


@dataclass(frozen=True)
class Home:
    """The directories below one SPECMINE_HOME. Each property creates its directory when it is first asked for.

    ``lease`` is held by the one writer besides the kernel's lock, where there is one.
    """

    root: Path
    lease: WriterLease | None = field(default=None, compare=False, repr=False)

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SpecmineError(
                f"cannot create {folder}: {error.strerror}; set SPECMINE_HOME to a folder you may write to"
            ) from None
        return folder

    @property
    def models(self) -> Path:
        """Fetched and verified models."""
        return self._folder("models")

    @property
    def documents(self) -> Path:
        """Documents as read, one directory for each content and chunking."""
        return self._folder("documents")

    @property
    def vectors(self) -> Path:
        """Document vectors, one directory for each encoder fingerprint."""
        return self._folder("vectors")

    @property
    def generations(self) -> Path:
        """Index generations and their contents."""
        return self._folder("generations")

    @property
    def releases(self) -> Path:
        """Releases and the pointer CURRENT."""
        return self._folder("releases")

    @property
    def encoders(self) -> Path:
        """Versions of the query encoders."""
        return self._folder("encoders")

    @property
    def rerankers(self) -> Path:
        """Versions of the re-ranker."""
        return self._folder("rerankers")

    @property
    def ledgers(self) -> Path:
        """Ledgers of mined negatives."""
        return self._folder("ledgers")

    @property
    def reports(self) -> Path:
        """What runs leave for people to read."""
        return self._folder("reports")

    @property
    def comparisons(self) -> Path:
        """Comparisons of chunkings, and the indexes they need while they run."""
        return self._folder("comparisons")

    @property
    def measured(self) -> Path:
        """What work took here."""
        return self._folder("measured")

    @property
    def catalogue_url(self) -> str:
        """The SQLAlchemy URL of the default catalogue."""
        self._folder(".")
        return f"sqlite:///{self.root / 'catalogue.sqlite'}"

    @contextmanager
    def exclusive(self, wait: float = 0.0) -> Iterator[None]:
        """Hold the one writer's lock. Raises LockedHomeError when another process holds it for ``wait`` seconds.

        The lock is the kernel's (flock), so a killed holder leaves nothing behind; then comes the lease, which counts
        between machines.
        """
        writing = partial(self._alone, "writer.lock", "is writing to it")
        with _entered(wait, writing, self.lease.held if self.lease else nullcontext):
            yield

    @contextmanager
    def reindexing(self, wait: float = 0.0) -> Iterator[None]:
        """Hold the lock of the one re-index, which lasts hours and keeps no writer waiting. Raises as ``exclusive``."""
        with _entered(wait, partial(self._alone, "reindex.lock", "is re-indexing it")):
            yield

    @contextmanager
    def _alone(self, name: str, does: str) -> Iterator[None]:
        path = self._folder(".") / name
        try:
            handle = path.open("a+")
        except OSError as error:
            raise SpecmineError(f"cannot write {path}: {error.strerror}; set SPECMINE_HOME elsewhere") from None
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                holder = handle.read(64).strip() or "unknown"
                raise LockedHomeError(
                    f"{self.root} is locked by process {holder}, which {does}; "
                    "wait until it ends, or set SPECMINE_HOME to another folder"
                ) from None
            handle.seek(0)
            handle.truncate()
            handle.write(str(os.getpid()))
            handle.flush()
            yield

    @contextmanager
    def published(self) -> Iterator[None]:
        """Let the block change what is served. Raises LockedHomeError when another writer took this one's place."""
        with self.lease.fenced() if self.lease else nullcontext():
            yield


@contextmanager
def _entered(wait: float, *locks: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Hold all ``locks``, trying for ``wait`` seconds. Raises the last LockedHomeError."""
    deadline = time.monotonic() + wait
    while True:
        with ExitStack() as held:
            try:
                for lock in locks:
                    held.enter_context(lock())
            except LockedHomeError:
                if time.monotonic() >= deadline:
                    raise
            else:
                yield
                return
        time.sleep(_SECONDS_BETWEEN_TRIES)


@contextmanager
def write_artifact(directory: Path) -> Iterator[Path]:
    """Yield a temporary directory that becomes ``directory`` when the block ends without error.

    The block writes its files and, last, ``manifest.json``. Whoever may read that may read all of them: safetensors
    makes files that only their owner can read. An existing ``directory`` is left as it is: artifacts are immutable, so
    whoever came first wrote the same.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    partial = directory.with_name(f"{directory.name}.{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}")
    partial.mkdir()
    try:
        yield partial
        if not (partial / MANIFEST).exists():
            raise RuntimeError(f"artifact {directory.name} was written without {MANIFEST}")
        for path in partial.rglob("*"):
            if path.is_file():
                shutil.copymode(partial / MANIFEST, path)
                sync(path)
        sync(partial)
        try:
            partial.rename(directory)
        except OSError:
            if not is_whole(directory):
                raise
        sync(directory.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def is_whole(directory: Path) -> bool:
    """Tell whether an artifact directory was written to its end."""
    return (directory / MANIFEST).is_file()


def remove_partials(folder: Path, below: bool = True) -> int:
    """Remove what interrupted writers left in ``folder``, and ``below`` its folders; return how many.

    Only the holder of the lock under which all of that is written calls this.
    """
    leftovers = list(paths_below(folder, PARTIAL_SUFFIX) if below else folder.glob(f"*{PARTIAL_SUFFIX}"))
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(leftovers)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file that takes the place of ``path``, synced to disk, when the block ends without error."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{PARTIAL_SUFFIX}")
    try:
        yield partial
        sync(partial)
        partial.replace(path)
        sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Replace ``path`` atomically by ``content`` as JSON, synced to disk."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises SpecmineError in one line when it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecmineError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise SpecmineError(f"{path} cannot be read: {error}") from None


def sync(path: Path) -> None:
    """Flush a file or a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
