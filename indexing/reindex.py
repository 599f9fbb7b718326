"""Re-indexing: the documents of the served release, cut and embedded anew under the present configuration.

Documents are cut as they were read and stored, so files that have gone since are not lost. Those that an older reader
made are read again, where the file of the same bytes is still there. Vectors serve again wherever the encoders' text is
the same. The new generation is built beside the served one and published at the end; a killed re-index continues from
the documents and vectors that are already on disk.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chunking.accounting import account
from chunking.document import sha256_file
from chunking.splitters import ChunkSettings, chunk
from chunking.stored import load, save
from chunking.tokens import TokenCounter
from indexing.contents import first_release, write_content
from indexing.embedding import Progress, add_missing_norms, embed_documents
from indexing.generations import (
    Generation,
    IndexedDocument,
    document_folder,
    listed_keys,
    norms_file,
    read_documents,
    read_generation,
    save_generation,
    vectors_file,
    write_documents,
)
from indexing.home import MANIFEST, Home, is_whole, read_json, remove_partials, write_artifact, write_json
from indexing.models import tokenizer_file
from indexing.reading import document_key, plan_generation, read_and_keep, reader_of
from indexing.releases import BASE, Release, publish, served
from indexing.settings import IndexSettings


@dataclass(frozen=True)
class ReindexPlan:
    """What a re-index would do.

    ``documents_to_read`` are read again from their files, because an older reader made what is stored;
    ``documents_to_cut`` are cut from what is stored. ``passages`` counts, for each encoder, those without vectors or
    without their norms, by the present cuts: an upper bound, for passages whose text stays the same are not embedded
    again.
    """

    served: str
    generation: str
    changes: tuple[str, ...]
    documents: int
    documents_to_read: int
    documents_to_cut: int
    passages: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Return the plan as JSON-able values."""
        return {
            "plan": True,
            "served": self.served,
            "generation": self.generation,
            "changes": list(self.changes),
            "documents": self.documents,
            "documents_to_read": self.documents_to_read,
            "documents_to_cut": self.documents_to_cut,
            "passages_to_embed": self.passages,
        }


@dataclass(frozen=True)
class ReindexReport:
    """What a re-index did. ``unread`` gives, by document, why it could not be read again: its stored text was cut."""

    plan: ReindexPlan
    release: str
    chunks: int
    embedded: int
    unread: dict[str, str]
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON-able values."""
        return {
            **self.plan.as_json(),
            "plan": False,
            "release": self.release,
            "chunks": self.chunks,
            "embedded": self.embedded,
            "unread": self.unread,
            "seconds": round(self.seconds, 3),
        }


def plan_reindex(home: Home, settings: IndexSettings) -> ReindexPlan:
    """Return what ``reindex`` would do now. Raises SpecmineError when nothing is indexed."""
    return _plan(home, settings)[0]


def _plan(home: Home, settings: IndexSettings) -> tuple[ReindexPlan, list[str]]:
    """Return the plan, and the documents that are to be read again."""
    release = served(home)
    old, new = read_generation(home, release.generation), plan_generation(home, settings)
    documents = read_documents(home, old.id, release.content)
    keys = {name: document_key(name, entry.content_hash, new) for name, entry in documents.items()}
    passages = {
        encoder.spec.name: sum(
            entry.chunks
            for name, entry in documents.items()
            if not all(file(home, encoder.fingerprint, keys[name]).exists() for file in (vectors_file, norms_file))
        )
        for encoder in new.encoders
    }
    to_cut = [name for name in documents if not is_whole(document_folder(home, keys[name]))]
    reader = reader_of(settings)
    to_read = [name for name in to_cut if _to_read_again(home, reader, documents[name])]
    changes = tuple(_changes(old, new))
    plan = ReindexPlan(old.id, new.id, changes, len(documents), len(to_read), len(to_cut) - len(to_read), passages)
    return plan, to_read


def reindex(home: Home, settings: IndexSettings, progress: Progress) -> ReindexReport:
    """Build the configured generation from the served documents and publish it.

    Query-encoder versions stay with encoders whose document side is the same; the others start untrained.
    """
    started = time.monotonic()
    with home.exclusive():
        remove_partials(home.documents)
        plan, to_read = _plan(home, settings)
        release = served(home)
        generation = plan_generation(home, settings)
        documents = read_documents(home, release.generation, release.content)
        again = {name: documents[name] for name in to_read}
        read, unread = _read_again(home, settings, generation, again, progress)
        rest = {name: entry for name, entry in documents.items() if name not in read}
        cut = {**read, **cut_stored(home, settings, generation, rest, progress)}
        keys = {name: entry.key for name, entry in cut.items()}
        embedded = embed_documents(home, generation, keys, listed_keys(home), progress)
        embedded += add_missing_norms(home, generation, keys, progress)
        save_generation(home, generation)
        following = _release(home, release, generation)
        content = write_content(home, generation, settings, None, cut, (), progress, following.geometry)
        write_documents(home, generation.id, content, cut)
        published = publish(home, replace(following, content=content))
    chunks = sum(entry.chunks for entry in cut.values())
    return ReindexReport(plan, published.id, chunks, embedded, unread, time.monotonic() - started)


def cut_stored(
    home: Home,
    settings: IndexSettings,
    generation: Generation,
    documents: Mapping[str, IndexedDocument],
    progress: Progress,
) -> dict[str, IndexedDocument]:
    """Cut stored documents as ``generation`` says, and keep them under it; return them as they are there."""
    counter = TokenCounter.load([tokenizer_file(spec, home) for spec in settings.encoders])
    chunk_settings = ChunkSettings(**generation.chunk_settings)
    cut: dict[str, IndexedDocument] = {}
    for number, (name, entry) in enumerate(documents.items(), start=1):
        key = document_key(name, entry.content_hash, generation)
        if not is_whole(document_folder(home, key)):
            document, _ = load(document_folder(home, entry.key))
            chunks = chunk(document, chunk_settings, counter)
            with write_artifact(document_folder(home, key)) as partial:
                save(partial, document, chunks)
                summary = read_json(document_folder(home, entry.key) / MANIFEST)
                totals = account(document, chunks).totals
                write_json(partial / MANIFEST, {**summary, "chunks": len(chunks), "totals": totals})
        summary = read_json(document_folder(home, key) / MANIFEST)
        cut[name] = replace(entry, key=key, chunks=summary["chunks"], totals=summary["totals"])
        progress("cutting", number, len(documents))
    return cut


def _read_again(
    home: Home,
    settings: IndexSettings,
    generation: Generation,
    documents: Mapping[str, IndexedDocument],
    progress: Progress,
) -> tuple[dict[str, IndexedDocument], dict[str, str]]:
    """Read documents that an older reader made from their files; return them, and why some could not be read."""
    sources = {name: Path(entry.source) for name, entry in documents.items()}
    hashes = {name: entry.content_hash for name, entry in documents.items()}
    read, unread = read_and_keep(sources, {}, hashes, generation, home, settings, progress)
    read = {name: replace(entry, formerly=documents[name].formerly) for name, entry in read.items()}
    return read, {entry.document: entry.reason for entry in unread}


def _to_read_again(home: Home, reader: int | str, entry: IndexedDocument) -> bool:
    """Tell whether another reader made what is stored of a document, and its file is there with the same bytes."""
    if read_json(document_folder(home, entry.key) / MANIFEST).get("reader") == reader:
        return False
    try:
        return sha256_file(Path(entry.source)) == entry.content_hash
    except OSError:
        return False


def _release(home: Home, old: Release, generation: Generation) -> Release:
    """Return the release of the new generation that follows the old one; its content is still to be written."""
    fingerprints = {part.spec.name: part.fingerprint for part in read_generation(home, old.generation).encoders}
    fresh = first_release(generation, 0, f"re-index of {old.id}")
    same = {part.spec.name for part in generation.encoders if fingerprints.get(part.spec.name) == part.fingerprint}
    versions = {name: old.encoders[name] if name in same else BASE for name in generation.names}
    geometry = {name: found for name, found in old.geometry.items() if name in same}
    same_sources = set(fresh.fusion.weights) == set(old.fusion.weights)
    fusion = old.fusion if same_sources else fresh.fusion
    return replace(fresh, encoders=versions, reranker=old.reranker, fusion=fusion, geometry=geometry)


def _changes(old: Generation, new: Generation) -> list[str]:
    """Say in words what differs between two generations."""
    changes = []
    if old.chunking != new.chunking:
        before, after = old.chunk_settings, new.chunk_settings
        differing = [f"{key} {before.get(key)} → {after[key]}" for key in after if before.get(key) != after[key]]
        changes.append("chunking: " + (", ".join(differing) or "reader or tokenizers"))
    encoders_before = {part.spec.name: part.fingerprint for part in old.encoders}
    encoders_after = {part.spec.name: part.fingerprint for part in new.encoders}
    changes += [f"encoder {name} is new" for name in encoders_after.keys() - encoders_before.keys()]
    changes += [f"encoder {name} goes" for name in encoders_before.keys() - encoders_after.keys()]
    both = encoders_before.keys() & encoders_after.keys()
    changes += [f"encoder {name} changed" for name in both if encoders_before[name] != encoders_after[name]]
    return sorted(changes)
