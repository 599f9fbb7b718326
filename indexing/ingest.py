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
from indexing.contents import first_release, keep_recent, write_content
from indexing.embedding import Progress, embed_documents
from indexing.found_files import gone_documents, hash_files, sort_files
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
from indexing.reading import document_key, made_with, plan_generation, read_and_keep
from indexing.reindexing.journal import under_way
from indexing.releases import Release, current, publish
from indexing.renames import find_renames, is_read_alike, keep_renamed
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
        hashes = hash_files(found, quarantine, tell)
        wanted, unchanged = sort_files(found, hashes, known, read_quarantine(home), settings, quarantine)
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
        gone = gone_documents(known, found, quarantine, paths) if prune else []
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
