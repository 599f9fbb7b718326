"""Ingest: folders of documents in, a published release with their chunks out.

The story: find the files, skip those whose bytes are known, take over those that were only renamed, read and chunk the
others in worker processes, embed their chunks with every encoder, write the next content of the store, publish. Each
document as read, and each document's vectors, are kept whole on disk as soon as they exist, so a killed ingest
continues where it was; the release served before stays until the next one is complete. While a re-index is under way,
documents come into the served index, and the re-index takes them over.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chunking.accounting import Totals, total
from chunking.discover import Found, discover
from chunking.document import sha256_file
from indexing.contents import first_release, keep_recent, write_content
from indexing.embedding import Progress, embed_documents
from indexing.generations import (
    Generation,
    IndexedDocument,
    read_documents,
    read_generation,
    save_generation,
    write_documents,
)
from indexing.home import Home, LockedHomeError, OtherIndexError, remove_partials
from indexing.parts import Workers, here
from indexing.quarantine import Quarantined, read_quarantine, write_quarantine
from indexing.reading import document_key, made_with, plan_generation, read_and_keep, reader_of, trial
from indexing.reindexing.journal import under_way
from indexing.releases import Release, current, publish
from indexing.renames import find_renames, is_gone, is_read_alike, keep_renamed
from indexing.settings import IndexSettings

# How long an ingest waits for a re-index that is switching: it holds the writer's lock for that alone.
_SWITCH_SECONDS = 120.0
_REPORTED = (
    *("pages_scanned", "pages_blank", "pages_ocr", "pages_rotated"),
    *("characters", "dropped_lines", "tables", "table_rows", "chunks_shortened"),
)


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did; ``as_json`` has the keys other programs rely on.

    ``renamed`` gives, by new name, the name that a document had before: those are not counted as indexed or removed.
    ``pages``, ``pages_without_text`` and ``totals`` (see ``chunking.accounting``) are those of the documents under the
    given paths; ``chunks`` is the size of the index; ``embedded`` counts the passages that went through an encoder in
    this run.
    """

    indexed: int
    renamed: dict[str, str]
    unchanged: int
    removed: int
    quarantine: tuple[Quarantined, ...]
    pages: int
    pages_without_text: int
    chunks: int
    embedded: int
    generation: str
    release: str
    seconds: float
    warnings: dict[str, list[str]] = field(default_factory=dict)
    totals: Totals = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return {
            "documents": {
                "indexed": self.indexed,
                "renamed": len(self.renamed),
                "unchanged": self.unchanged,
                "removed": self.removed,
                "quarantined": len(self.quarantine),
            },
            "renamed": self.renamed,
            "pages": self.pages,
            "pages_without_text": self.pages_without_text,
            **{name: self.totals.get(name, 0) for name in _REPORTED},
            "chunks": self.chunks,
            "embedded": self.embedded,
            "generation": self.generation,
            "release": self.release,
            "seconds": round(self.seconds, 3),
            "quarantine": [
                {"document": entry.document, "reason": entry.reason, "page": entry.page} for entry in self.quarantine
            ],
            "warnings": self.warnings,
        }


def ingest(
    paths: Sequence[Path],
    home: Home,
    settings: IndexSettings,
    prune: bool = False,
    progress: Progress | None = None,
    workers: Workers = here,
) -> IngestReport:
    """Bring the documents under ``paths`` into the served index and publish it.

    ``prune`` removes documents whose files are gone from the folders given; ``workers`` read and embed. Raises
    SpecmineError when a path does not exist, another writer holds the home, or the configuration no longer fits the
    served index.
    """
    started = time.monotonic()
    tell = progress or _silent
    with home.exclusive(_SWITCH_SECONDS if under_way(home) else 0.0):
        with suppress(LockedHomeError), home.reindexing():  # what a running re-index writes is none of this one's
            for folder in (home.documents, home.vectors, home.generations):
                remove_partials(folder)
            remove_partials(home.root, below=False)
        served, generation, settings = _served_in(home, settings)
        known = read_documents(home, generation.id, served.content) if served else {}

        found, refused = discover(paths)
        quarantine = [Quarantined(entry.document_id, entry.reason, None, str(entry.path)) for entry in refused]
        hashes = _hash_files(found, quarantine, tell)
        wanted, unchanged = _sort(found, hashes, known, read_quarantine(home), settings, quarantine)
        sources = {name: file.path for name, file in wanted.items()}
        roots = {name: file.root for name, file in wanted.items()}
        renames = find_renames(known, {name: hashes[name] for name in (*unchanged, *wanted)})
        alike = {name: old for name, old in renames.items() if is_read_alike(old, name, known[old])}
        renamed = {
            name: keep_renamed(
                home, known[old], old, name, document_key(name, hashes[name], generation), sources.pop(name)
            )
            for name, old in alike.items()
        }
        documents, unread = read_and_keep(sources, roots, hashes, generation, home, settings, tell, workers)
        quarantine.extend(unread)
        documents = {**renamed, **_with_former_names(documents, known, renames)}
        renames = {name: old for name, old in renames.items() if name in documents}
        gone = _gone(known, found, quarantine, paths) if prune else []
        removed = [name for name in gone if name not in renames.values()]
        keys = {name: entry.key for name, entry in documents.items()}
        embedded = embed_documents(home, generation, keys, _old_keys(known, documents), tell, workers)
        out = [*removed, *renames.values()]
        kept = {name: entry for name, entry in known.items() if name not in documents and name not in out}
        kept |= _moved(known, unchanged)
        release = _publish(home, generation, settings, served, known, kept, documents, out, tell)
        write_quarantine(home, quarantine, {file.document_id for file in found}, out)

    seen = [*(known[name] for name in unchanged), *documents.values()]
    return IngestReport(
        indexed=len(documents) - len(renames),
        renamed=dict(sorted(renames.items())),
        unchanged=len(unchanged),
        removed=len(removed),
        quarantine=tuple(quarantine),
        pages=sum(entry.pages for entry in seen),
        pages_without_text=sum(entry.pages_without_text for entry in seen),
        chunks=sum(entry.chunks for entry in (*kept.values(), *documents.values())),
        embedded=embedded,
        generation=generation.id,
        release=release.id if release else "",
        seconds=time.monotonic() - started,
        warnings={name: entry.warnings for name, entry in documents.items() if entry.warnings},
        totals=total(entry.totals for entry in seen),
    )


def _sort(
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


def _silent(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def _served_in(home: Home, settings: IndexSettings) -> tuple[Release | None, Generation, IndexSettings]:
    """Return the served release, the generation that takes documents in, and the settings it was made with.

    It is the configured one; while a re-index to that is under way it is the served one, which the re-index follows.
    """
    configured = plan_generation(home, settings)
    served = current(home)
    if served is None or served.generation == configured.id:
        return served, configured, settings
    coming = under_way(home)
    if coming is None or coming.generation != configured.id:
        raise OtherIndexError(
            f"encoders or chunking differ from those of the served index ({served.generation}): run "
            "`specmine reindex` to build one with the new configuration, or restore the old configuration"
        )
    generation = read_generation(home, served.generation)
    return served, generation, made_with(generation, settings)


def _hash_files(found: Sequence[Found], quarantine: list[Quarantined], tell: Progress) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for number, file in enumerate(found, start=1):
        if file.document_id in hashes:
            reason = "a second file of this name in the same ingest; ingest a common parent folder instead"
            quarantine.append(Quarantined(file.document_id, reason, None, str(file.path)))
            continue
        try:
            hashes[file.document_id] = sha256_file(file.path)
        except OSError as error:
            reason = f"the file cannot be opened: {error.strerror}"
            quarantine.append(Quarantined(file.document_id, reason, None, str(file.path)))
        tell("comparing", number, len(found))
    return hashes


def _clash(known: IndexedDocument | None, file: Found) -> str | None:
    """Tell why ``file`` must not replace the document known by its name: it is another file that still exists."""
    if known is None or known.source == str(file.path) or is_gone(known.source):
        return None
    return f"a document of this name is indexed from {known.source}; ingest a common parent folder instead"


def _gone(
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


def _with_former_names(
    documents: Mapping[str, IndexedDocument], known: Mapping[str, IndexedDocument], renames: Mapping[str, str]
) -> dict[str, IndexedDocument]:
    """Return documents that were read with the names they had before."""
    former = {name: [*known[old].formerly, old] for name, old in renames.items()}
    return {
        name: replace(entry, formerly=former.get(name) or (known[name].formerly if name in known else []))
        for name, entry in documents.items()
    }


def _moved(known: Mapping[str, IndexedDocument], unchanged: Mapping[str, Found]) -> dict[str, IndexedDocument]:
    """Return the unchanged documents whose file is in another place now, with that place."""
    return {
        name: replace(known[name], source=str(file.path))
        for name, file in unchanged.items()
        if known[name].source != str(file.path)
    }


def _old_keys(known: Mapping[str, IndexedDocument], documents: Mapping[str, IndexedDocument]) -> dict[str, list[str]]:
    """Return, for each document, the keys of what it was and of those of the same bytes: their vectors may serve."""
    same: dict[str, list[str]] = {}
    for entry in known.values():
        same.setdefault(entry.content_hash, []).append(entry.key)
    return {
        name: [*([known[name].key] if name in known else []), *same.get(entry.content_hash, [])]
        for name, entry in documents.items()
    }


def _publish(
    home: Home,
    generation: Generation,
    settings: IndexSettings,
    served: Release | None,
    known: Mapping[str, IndexedDocument],
    kept: Mapping[str, IndexedDocument],
    documents: Mapping[str, IndexedDocument],
    removed: Sequence[str],
    tell: Progress,
) -> Release | None:
    """Write and publish the next content, unless nothing changed. Returns the release that is served now."""
    if not documents and not removed:
        if served and kept != known:  # files are in another folder now
            write_documents(home, generation.id, served.content, {**kept})
        return served
    save_generation(home, generation)
    base = served.content if served else None
    geometries = served.geometry if served else None
    content = write_content(home, generation, settings, base, documents, [*documents, *removed], tell, geometries)
    write_documents(home, generation.id, content, {**kept, **documents})
    note = f"ingest: {len(documents)} documents in, {len(removed)} out"
    if served:
        release = publish(home, replace(served, content=content, note=note))
    else:
        release = publish(home, first_release(generation, content, note))
    keep_recent(home, generation, settings, content, base)
    return release
