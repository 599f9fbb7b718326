"""Documents that are kept under one generation, kept under another as well: cut anew, or read again.

They are cut as they were read and stored, so files that have gone since are not lost. Those that an older reader made
are read again, where the file of the same bytes is still there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from chunking.accounting import account
from chunking.document import sha256_file
from chunking.splitters import ChunkSettings, chunk
from chunking.stored import load, save, text_bytes
from chunking.tokens import TokenCounter
from indexing.costs import CUTTING
from indexing.embedding import Progress
from indexing.generations import Generation, IndexedDocument, document_folder
from indexing.home import MANIFEST, Home, is_whole, read_json, write_artifact, write_json
from indexing.models.fetching import tokenizer_file
from indexing.parts import Count, Workers, here, kept_document
from indexing.rates import Work, measured_together
from indexing.reading import document_key, read_and_keep, reader_of
from indexing.settings import IndexSettings


def not_kept(home: Home, generation: Generation, documents: Mapping[str, IndexedDocument]) -> list[str]:
    """Return the documents that are not kept under ``generation`` yet."""
    return [
        name
        for name, entry in documents.items()
        if not is_whole(document_folder(home, document_key(name, entry.content_hash, generation)))
    ]


def to_read_again(home: Home, reader: int | str, entry: IndexedDocument) -> bool:
    """Tell whether another reader made what is stored of a document, and its file is there with the same bytes."""
    if read_json(document_folder(home, entry.key) / MANIFEST).get("reader") == reader:
        return False
    try:
        return sha256_file(Path(entry.source)) == entry.content_hash
    except OSError:
        return False


def keep_under(
    home: Home,
    settings: IndexSettings,
    generation: Generation,
    documents: Mapping[str, IndexedDocument],
    progress: Progress,
    workers: Workers = here,
) -> tuple[dict[str, IndexedDocument], dict[str, str]]:
    """Keep documents under ``generation``; return them as they are there, and why some could not be read again.

    What is stored of those is cut.
    """
    reader = reader_of(settings)
    again = {
        name: documents[name]
        for name in not_kept(home, generation, documents)
        if to_read_again(home, reader, documents[name])
    }
    sources = {name: Path(entry.source) for name, entry in again.items()}
    hashes = {name: entry.content_hash for name, entry in again.items()}
    read, unread = read_and_keep(sources, {}, hashes, generation, home, settings, progress, workers)
    read = {name: replace(entry, formerly=documents[name].formerly) for name, entry in read.items()}
    rest = {name: entry for name, entry in documents.items() if name not in read}
    cut = {**read, **cut_stored(home, settings, generation, rest, progress, workers)}
    return cut, {entry.document: entry.reason for entry in unread}


def cut_stored(
    home: Home,
    settings: IndexSettings,
    generation: Generation,
    documents: Mapping[str, IndexedDocument],
    progress: Progress,
    workers: Workers = here,
) -> dict[str, IndexedDocument]:
    """Cut stored documents as ``generation`` says, and keep them under it; return them as they are there."""
    keys = {name: document_key(name, entry.content_hash, generation) for name, entry in documents.items()}
    missing = [(documents[name].key, keys[name]) for name in not_kept(home, generation, documents)]
    kept = len(documents) - len(missing)
    progress("cutting", kept, len(documents))
    chunk_settings = ChunkSettings(**generation.chunk_settings)
    tokenizers = [tokenizer_file(spec, home) for spec in settings.encoders]
    work = partial(cut_documents, replace(home, lease=None), chunk_settings, tokenizers)
    with measured_together(home) as took:
        took += workers("cutting", work, missing, lambda done: progress("cutting", kept + done, len(documents)))
    cut: dict[str, IndexedDocument] = {}
    for name, entry in documents.items():
        summary = read_json(kept_document(home, keys[name]) / MANIFEST)
        cut[name] = replace(entry, key=keys[name], chunks=summary["chunks"], totals=summary["totals"])
    return cut


def cut_documents(
    home: Home, settings: ChunkSettings, tokenizers: Sequence[Path], keys: Sequence[tuple[str, str]], tell: Count
) -> Iterator[Work]:
    """Cut the document kept under the first of two keys, and keep it under the second; yield what that took."""
    counter = TokenCounter.load(tokenizers)
    work = Work(CUTTING, settings.splitter)
    for number, (old, new) in enumerate(keys, start=1):
        stored = kept_document(home, old)
        if not is_whole(document_folder(home, new)):
            with work.timed(text_bytes(stored)):
                _cut(home, settings, counter, old, new)
        tell(number)
    yield work


def _cut(home: Home, settings: ChunkSettings, counter: TokenCounter, old: str, new: str) -> None:
    document, _ = load(document_folder(home, old))
    chunks = chunk(document, settings, counter)
    with write_artifact(document_folder(home, new)) as folder:
        save(folder, document, chunks)
        summary = read_json(document_folder(home, old) / MANIFEST)
        totals = account(document, chunks).totals
        write_json(folder / MANIFEST, {**summary, "chunks": len(chunks), "totals": totals})
