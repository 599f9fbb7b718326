"""Files that were renamed, recognised by their bytes: what was read of them serves again under the new name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from chunking.document import chunk_id
from chunking.stored import load, save
from indexing.generations import IndexedDocument, document_folder
from indexing.home import MANIFEST, Home, is_whole, read_json, write_artifact, write_json


def find_renames(known: Mapping[str, IndexedDocument], hashes: Mapping[str, str]) -> dict[str, str]:
    """Return, by new name, the document that a file was indexed as: the same bytes, whose own file is gone.

    ``hashes`` holds the SHA-256 of every file found, by name. A document goes to one new name only, to one of the same
    file name before others; a copy beside the original is no renamed file.
    """
    gone: dict[str, list[str]] = {}
    for name, entry in known.items():
        if name not in hashes and is_gone(entry.source):
            gone.setdefault(entry.content_hash, []).append(name)
    renames: dict[str, str] = {}
    new = [name for name in hashes if name not in known and hashes[name] in gone]
    for same_file_name in (True, False):
        for name in new:
            if name in renames:
                continue
            candidates = [
                old
                for old in gone[hashes[name]]
                if not same_file_name or PurePosixPath(old).name == PurePosixPath(name).name
            ]
            if candidates:
                renames[name] = candidates[0]
                gone[hashes[name]].remove(candidates[0])
    return renames


def is_gone(source: str) -> bool:
    """Tell whether a file is known to be gone."""
    try:
        return not Path(source).exists()
    except OSError:  # in a folder that may not be entered now: nobody knows
        return False


def is_read_alike(old: str, new: str, entry: IndexedDocument) -> bool:
    """Tell whether a file's new name changes nothing that is read: neither its format nor a title taken from it."""
    before, after = PurePosixPath(old), PurePosixPath(new)
    return before.suffix.lower() == after.suffix.lower() and (before.stem == after.stem or entry.title != before.stem)


def keep_renamed(home: Home, entry: IndexedDocument, old: str, new: str, key: str, source: Path) -> IndexedDocument:
    """Keep what was read of ``old`` as ``new`` under ``key``, and return it. Nothing is read or cut again."""
    if not is_whole(document_folder(home, key)):
        document, chunks = load(document_folder(home, entry.key))
        moved = [replace(chunk, document=new, id=chunk_id(new, chunk.start, chunk.end, chunk.text)) for chunk in chunks]
        summary = read_json(document_folder(home, entry.key) / MANIFEST)
        with write_artifact(document_folder(home, key)) as partial:
            save(partial, replace(document, id=new), moved)
            write_json(partial / MANIFEST, {**summary, "document": new})
    return replace(entry, key=key, source=str(source), formerly=[*entry.formerly, old])
