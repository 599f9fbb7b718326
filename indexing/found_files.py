"""The files that an ingest found, compared with what is indexed: new or changed, the same, gone, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from chunking.discover import Found
from chunking.document import sha256_file
from indexing.embedding import Progress
from indexing.generations import IndexedDocument
from indexing.quarantine import Quarantined
from indexing.reading import reader_of, trial
from indexing.renames import is_gone
from indexing.settings import IndexSettings


def hash_files(found: Sequence[Found], quarantine: list[Quarantined], tell: Progress) -> dict[str, str]:
    """Return the SHA-256 of every file by document, without those that go to ``quarantine``: unreadable, or second."""
    hashes: dict[str, str] = {}
    for number, file in enumerate(found, start=1):
        reason = ""
        if file.document_id in hashes:
            reason = "a second file of this name in the same ingest; ingest a common parent folder instead"
        else:
            try:
                hashes[file.document_id] = sha256_file(file.path)
            except OSError as error:
                reason = f"the file cannot be opened: {error.strerror}"
        if reason:
            quarantine.append(Quarantined(file.document_id, reason, None, str(file.path)))
        tell("comparing", number, len(found))
    return hashes


def sort_files(
    found: Sequence[Found],
    hashes: Mapping[str, str],
    known: Mapping[str, IndexedDocument],
    refused: Mapping[str, Quarantined],
    settings: IndexSettings,
    quarantine: list[Quarantined],
) -> tuple[dict[str, Found], dict[str, Found]]:
    """Return, by document, the files to take in and those that are indexed as they are; add the others to quarantine.

    What was ``refused`` before with the same bytes, reader and limits is not tried again.
    """
    reader = reader_of(settings)
    wanted: dict[str, Found] = {}
    unchanged: dict[str, Found] = {}
    for file in found:
        name = file.document_id
        if name not in hashes:
            continue
        before = refused.get(name)
        if clash := _clash(known.get(name), file):
            quarantine.append(Quarantined(name, clash, None, str(file.path), hashes[name]))
        elif before and before.source == str(file.path) and before.tried == trial(settings, reader, hashes[name]):
            quarantine.append(before)
        elif name in known and known[name].content_hash == hashes[name]:
            unchanged[name] = file
        else:
            wanted[name] = file
    return wanted, unchanged


def _clash(known: IndexedDocument | None, file: Found) -> str | None:
    """Tell why ``file`` must not replace the document known by its name: it is another file that still exists."""
    if known is None or known.source == str(file.path) or is_gone(known.source):
        return None
    return f"a document of this name is indexed from {known.source}; ingest a common parent folder instead"


def gone_documents(
    known: Mapping[str, IndexedDocument],
    found: Sequence[Found],
    quarantine: Sequence[Quarantined],
    paths: Sequence[Path],
) -> list[str]:
    """Return the documents that were indexed from the given folders and whose files are gone from them."""
    present = {file.document_id for file in found} | {entry.document for entry in quarantine}
    folders = [path.resolve() for path in paths if path.is_dir()]
    return [
        name
        for name, entry in known.items()
        if name not in present
        and is_gone(entry.source)
        and any(Path(entry.source).is_relative_to(folder) for folder in folders)
    ]
