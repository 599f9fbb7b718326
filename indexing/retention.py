"""Which generations are kept: the served one, and those that a rollback would come to. The others are removed.

What is removed is the generation with its contents, and the documents and vectors that no other generation lists. A
generation that a reader has open stays until the next time.
"""

from __future__ import annotations

import re
from pathlib import Path

from indexing.generations import document_folder, read_documents, read_generation, remove_contents
from indexing.holds import remove_unless_held
from indexing.home import Home, is_whole
from indexing.releases import read_release, served
from indexing.settings import IndexSettings

_LIST = re.compile(r"documents-(\d+)\.json")


def kept_generations(home: Home, number: int) -> list[str]:
    """Return the last ``number`` generations, the served one first, each the one that was served before the other."""
    kept: list[str] = []
    release = served(home)
    seen = {release.id}
    while True:
        if release.generation not in kept:
            kept.append(release.generation)
        if len(kept) == number or release.previous is None or release.previous in seen:
            return kept
        seen.add(release.previous)
        release = read_release(home, release.previous)


def remove_old_generations(home: Home, settings: IndexSettings, number: int) -> tuple[list[str], list[str]]:
    """Remove all generations but the last ``number``; return the removed, and those a reader has open.

    The caller holds the writer's lock, and the lock of the re-index.
    """
    kept = kept_generations(home, number)
    removed: list[str] = []
    held: list[str] = []
    for folder in sorted(home.generations.iterdir()):
        if folder.name in kept or folder.is_symlink() or not is_whole(folder):
            continue
        generation, keys = read_generation(home, folder.name), _listed(home, folder)
        if not remove_unless_held(folder):
            held.append(folder.name)
            continue
        remove_contents(generation, settings.qdrant)
        removed.append(folder.name)
        _remove_unlisted(home, keys)
    return removed, held


def _listed(home: Home, generation: Path) -> set[str]:
    """Return the keys of the documents in all contents of a generation that were ever listed."""
    contents = [int(found[1]) for path in generation.iterdir() if (found := _LIST.fullmatch(path.name))]
    return {entry.key for content in contents for entry in read_documents(home, generation.name, content).values()}


def _remove_unlisted(home: Home, keys: set[str]) -> None:
    """Remove the documents and vectors of those of ``keys`` that no generation lists."""
    for folder in home.generations.iterdir():
        if is_whole(folder):
            keys = keys - _listed(home, folder)
    own = [folder for folder in home.vectors.iterdir() if _is_own(home, folder)]
    for key in keys:
        for folder in own:
            for path in (folder / f"{key}.norms.npy", folder / f"{key}.npy"):
                path.unlink(missing_ok=True)
        if _is_own(home, document_folder(home, key)):
            remove_unless_held(document_folder(home, key))


def _is_own(home: Home, folder: Path) -> bool:
    """Tell whether a folder lies in the home: what a link leads to may be another's as well."""
    return folder.resolve().is_relative_to(home.root.resolve())
