"""The inbox: files that people put there become batches, are ingested, and are put away as done or failed.

Below the folder::

    anything else                what people put there
    batches/<batch>/             taken, to be ingested
    done/<batch>/                ingested; their place from then on
    failed/<batch>/              not read; reasons.json tells why
    replaced/<batch>/            done once, until a newer file of the same name came

Files change their place by rename alone, so that each is in exactly one of them at any instant. A batch that is still
in ``batches/`` was interrupted, and the next run goes on with it: what was ingested already is found unchanged.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evaluation.database import CatalogueError
from flows import stages
from flows.settings import Settings
from flows.stages import Tell
from indexing.generations import IndexedDocument, fingerprint_of, read_documents
from indexing.home import Home, LockedHomeError, SpecmineError, read_json, write_json
from indexing.parts import Workers, here
from indexing.releases import current

BATCHES, DONE, FAILED, REPLACED = "batches", "done", "failed", "replaced"
_REASONS = "reasons.json"
_UNFINISHED = (".part", ".partial", ".crdownload", ".tmp", ".download")  # what other programs call files they write
_UNKNOWN = "no document that specmine reads"

Looks = dict[Path, tuple[int, int]]


def inbox_folder(settings: Settings) -> Path:
    """Return the inbox, created where it is missing. Raises SpecmineError when none is configured."""
    folder = settings.inbox.folder
    if folder is None:
        raise SpecmineError("there is no inbox: set folder in [inbox] of specmine.toml")
    try:
        for name in (BATCHES, DONE, FAILED, REPLACED):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecmineError(f"the inbox {folder} cannot be used: {error.strerror}") from None
    return folder


def waiting(settings: Settings) -> bool:
    """Tell whether there is anything to take, or a batch to go on with. Costs one look at the folder."""
    folder = inbox_folder(settings)
    return bool(_look(folder)) or any(_batches(folder))


def waiting_key(settings: Settings) -> str:
    """Return what a run for the files that are waiting now is known by, so that two are not started for them."""
    folder = inbox_folder(settings)
    files = [[str(path), *state] for path, state in _look(folder).items()]
    return fingerprint_of(["inbox", files, [batch.name for batch in _batches(folder)]])


def take_in(
    settings: Settings, tell: Tell, sleep: Callable[[float], None] = time.sleep, workers: Workers = here
) -> dict[str, Any]:
    """Take the files that have settled, ingest them and what an interrupted run left, and put all away.

    Returns the sums of the ingests, and for each batch what is done and what failed. Raises LockedHomeError while
    another process works on the inbox or writes to the index: the files wait in their batch.
    """
    folder = inbox_folder(settings)
    batches = []
    with Home(folder / BATCHES).exclusive():
        first = _look(folder)
        if first:
            sleep(settings.inbox.settle_seconds)
            _take(folder, {path: size for path, size in _look(folder).items() if first.get(path) == size})
        for batch in _batches(folder):
            batches.append(_ingest_batch(settings, folder, batch, tell, workers))
    names = ("indexed", "renamed", "unchanged", "removed", "quarantined")
    return {
        "inbox": str(folder),
        "batches": [entry for _, entry in batches],
        "documents": {name: sum(report["documents"][name] for report, _ in batches) for name in names},
        "release": batches[-1][0]["release"] if batches else None,
        "left": len(_look(folder)),
    }


def watch(settings: Settings, run: Callable[[], None], log: Callable[[str], None]) -> None:
    """Call ``run`` whenever something is waiting, until interrupted; what another writer holds up is tried again."""
    while True:
        if waiting(settings):
            try:
                run()
            except (LockedHomeError, CatalogueError) as error:
                log(str(error))
        time.sleep(max(1.0, settings.inbox.settle_seconds))


def _look(folder: Path) -> Looks:
    """Return the size and time of every file that people have put into the inbox."""
    found: Looks = {}
    pending = [folder]
    while pending:
        entries: list[Path] = []
        with suppress(FileNotFoundError):  # whoever brought the folder has taken it away again
            entries = sorted(pending.pop().iterdir())
        for path in entries:
            if path.name.startswith(".") or (path.parent == folder and path.name in (BATCHES, DONE, FAILED, REPLACED)):
                continue
            with suppress(OSError):  # it went while it was looked at
                state = path.lstat()
                if stat.S_ISDIR(state.st_mode):
                    pending.append(path)
                elif stat.S_ISREG(state.st_mode) and path.suffix.lower() not in _UNFINISHED:
                    found[path] = (state.st_size, state.st_mtime_ns)
    return found


def _batches(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / BATCHES).iterdir() if path.is_dir())


def _take(folder: Path, files: Looks) -> None:
    if not files:
        return
    batch = folder / BATCHES / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    for path in files:
        with suppress(FileNotFoundError):  # who put it there has taken it away again
            _move(path, batch / path.relative_to(folder))


def _ingest_batch(
    settings: Settings, folder: Path, batch: Path, tell: Tell, workers: Workers
) -> tuple[dict[str, Any], dict[str, Any]]:
    _set_aside(settings, folder, batch)
    report = stages.ingest(settings, [batch], False, tell, workers)
    served = {entry.source for entry in _documents(settings).values()}
    reasons = {entry["document"]: entry["reason"] for entry in report["quarantine"]}
    failed: dict[str, str] = {}
    for path in _files(batch):
        name = path.relative_to(batch).as_posix()
        if str(path.resolve()) in served or str(path) in served:
            continue
        failed[name] = reasons.get(name, _UNKNOWN)
    if failed:
        told = folder / FAILED / batch.name / _REASONS
        told.parent.mkdir(parents=True, exist_ok=True)
        write_json(told, {**(read_json(told) if told.exists() else {}), **failed})  # before the files are there
    for path in _files(batch):
        name = path.relative_to(batch).as_posix()
        _move(path, folder / (FAILED if name in failed else DONE) / batch.name / name)
    done = folder / DONE / batch.name
    if done.exists():
        stages.ingest(settings, [done], False, tell)  # they are here from now on: nothing is read or embedded again
    _remove_empty(batch)
    count = sum(1 for _ in _files(done)) if done.exists() else 0
    return report, {"batch": batch.name, "done": count, "failed": failed}


def _set_aside(settings: Settings, folder: Path, batch: Path) -> None:
    """Move the files of documents of the same names that were done earlier out of the way of their successors."""
    documents, done = _documents(settings), (folder / DONE).resolve()
    for path in _files(batch):
        known = documents.get(path.relative_to(batch).as_posix())
        if known is None:
            continue
        source = Path(known.source)
        if source.is_relative_to(done) and source.exists():
            _move(source, folder / REPLACED / source.relative_to(done))


def _documents(settings: Settings) -> Mapping[str, IndexedDocument]:
    home = settings.open_home()
    release = current(home)
    return read_documents(home, release.generation, release.content) if release else {}


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() or path.is_symlink())


def _move(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def _remove_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir()
    folder.rmdir()
