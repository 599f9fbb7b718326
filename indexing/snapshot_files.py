"""Which files of a home a snapshot holds: what its releases need, and what people made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from indexing.files_in_use import is_passing
from indexing.generations import (
    document_folder,
    documents_file,
    norms_file,
    read_documents,
    read_generation,
    vectors_file,
)
from indexing.holds import hold
from indexing.home import MANIFEST, PARTIAL_SUFFIX, Home, SpecmineError, is_whole
from indexing.releases import Release, list_releases, served
from indexing.specs import DirectorySource

Sources = dict[str, Path]
"""Files to copy, by their names in the snapshot."""

_SINGLE = ("quarantine.json",)
_WHOLE_FOLDERS = ("encoders", "rerankers", "ledgers")  # what lies below them is copied where it has a manifest
_ALL_FILES = ("models", "measured")


def held_generations(
    home: Home, is_written: Callable[[str, int], bool], held: ExitStack
) -> tuple[Release, dict[str, list[int]]]:
    """Return the served release, and the contents of each generation that releases name and that are there.

    They are held until ``held`` ends, so that nobody removes them meanwhile.
    """
    release = served(home)
    contents: dict[str, list[int]] = {}
    for one in [release, *list_releases(home)]:
        folder = home.generations / one.generation
        if one.generation not in contents:
            try:
                held.enter_context(hold(folder))
            except SpecmineError:
                if one.generation == release.generation:
                    raise
                continue  # removed long ago: the release is history
            contents[one.generation] = []
        found = contents[one.generation]
        if one.content not in found and is_written(one.generation, one.content):
            with suppress(SpecmineError):  # on a server there is no folder to hold
                held.enter_context(hold(folder / "contents" / str(one.content)))
            found.append(one.content)
    if release.content not in contents[release.generation]:
        raise SpecmineError(
            f"content {release.content} of the served release {release.id} is gone: run `specmine reindex`"
        )
    return release, {name: sorted(found) for name, found in contents.items() if found}


def files_of(home: Home, contents: Mapping[str, list[int]]) -> tuple[Sources, dict[str, bytes], list[str]]:
    """Return the files that are copied, those that may change meanwhile as they are now, and folders that are outside.

    The latter are what encoders are read from by a path.
    """
    sources: Sources = {}
    written = {
        f"releases/{one.id}.json": (home.releases / f"{one.id}.json").read_bytes() for one in list_releases(home)
    }
    written |= {name: (home.root / name).read_bytes() for name in _SINGLE if (home.root / name).is_file()}
    outside: set[str] = set()
    for name, numbers in contents.items():
        _add_generation(home, name, numbers, sources, written, outside)
    for name in _WHOLE_FOLDERS:
        for folder in _whole_folders(home.root / name):
            _add_folder(home.root, folder, sources)
    for name in _ALL_FILES:
        _add_folder(home.root, home.root / name, sources)
    return sources, written, sorted(outside)


def _add_generation(
    home: Home, name: str, numbers: list[int], sources: Sources, written: dict[str, bytes], outside: set[str]
) -> None:
    folder, generation = home.generations / name, read_generation(home, name)
    sources[f"generations/{name}/{MANIFEST}"] = folder / MANIFEST
    keys: set[str] = set()
    for number in numbers:
        path = documents_file(home, name, number)
        written[f"generations/{name}/{path.name}"] = path.read_bytes()
        keys |= {entry.key for entry in read_documents(home, name, number).values()}
        _add_folder(home.root, folder / "contents" / str(number), sources)
    for key in sorted(keys):
        _add_folder(home.root, document_folder(home, key), sources)
        for part in generation.encoders:
            for path in (vectors_file(home, part.fingerprint, key), norms_file(home, part.fingerprint, key)):
                if path.is_file():
                    sources[_name(home.root, path)] = path
    outside |= {
        part.spec.source.directory for part in generation.encoders if isinstance(part.spec.source, DirectorySource)
    }


def _whole_folders(folder: Path) -> Iterator[Path]:
    """Yield the artifact directories below a folder, whatever its depth, and nothing below them."""
    if is_whole(folder):
        yield folder
    elif folder.is_dir():
        for below in sorted(folder.iterdir()):
            if below.is_dir() and not below.name.endswith(PARTIAL_SUFFIX):
                yield from _whole_folders(below)


def _add_folder(root: Path, folder: Path, sources: Sources) -> None:
    """Add the plain files below a folder, links followed, but for what is unfinished and what locks."""
    for base, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not (name.endswith(PARTIAL_SUFFIX) or is_passing(name)))
        for name in sorted(files):
            path = Path(base) / name
            if path.is_file() and not (name.endswith((PARTIAL_SUFFIX, ".lock")) or is_passing(name)):
                sources[_name(root, path)] = path


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
