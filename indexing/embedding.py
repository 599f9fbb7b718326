"""Document vectors: computed once for each text, kept on disk by encoder and document.

An encoder's vectors of one document are one .npy, written whole, beside a second one of their norms; a passage that a
changed document shares with what it was before is not embedded again.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from chunking.document import Chunk
from chunking.stored import load_chunks
from indexing.costs import EMBEDDING, LOADING, VECTORS
from indexing.encoders import DocumentEncoder, load_document_encoder
from indexing.generations import Generation, GenerationEncoder, document_folder, norms_file, vectors_file
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, replacing
from indexing.log import log_event
from indexing.models import encoder_fingerprint
from indexing.rates import Work, record
from indexing.vectors import load_norms, load_vectors

# What a killed ingest embeds again at most, with one encoder.
_TEXTS_PER_BATCH = 2000

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and the total."""

Batch = list[tuple[str, list[Chunk]]]
"""Documents (by id) with their chunks."""

_Known = tuple[np.ndarray, float | None]
"""A vector and its norm, None where that was not kept."""

EarlierKeys = Mapping[str, Sequence[str]]
"""Documents (by id) with the keys of what they were before, or of others that hold the same text."""


def embed_documents(
    home: Home, generation: Generation, keys: Mapping[str, str], old_keys: EarlierKeys, tell: Progress
) -> int:
    """Make the vectors of the documents ``keys`` (id to key) with every encoder of the generation.

    ``old_keys`` names earlier states of some documents, under this chunking or another: where an encoder of the same
    fingerprint has vectors of one, they serve again for every passage whose encoder text is the same. Vectors that are
    on disk are left as they are. Returns how many passages went through an encoder.
    """
    embedded = 0
    for encoder in generation.encoders:
        missing = {name: key for name, key in keys.items() if not vectors_file(home, encoder.fingerprint, key).exists()}
        if missing:
            embedded += _embed_with(encoder, home, missing, old_keys, tell)
            gc.collect()  # one encoder in memory at a time
    return embedded


def add_missing_norms(home: Home, generation: Generation, keys: Mapping[str, str], tell: Progress) -> int:
    """Embed again the documents ``keys`` (id to key) that were embedded before norms were kept, and keep those alone.

    The vectors on disk stay as they are. Returns how many passages went through an encoder.
    """
    embedded = 0
    for encoder in generation.encoders:
        missing = {name: key for name, key in keys.items() if not norms_file(home, encoder.fingerprint, key).exists()}
        if not missing:
            continue
        loaded, work = load_encoder(encoder, home), Work(EMBEDDING, encoder.fingerprint)
        for number, key in enumerate(missing.values(), start=1):
            chunks = load_chunks(document_folder(home, key))
            with work.timed(sum(chunk.tokens for chunk in chunks)):
                norms = loaded.embed_with_norms([chunk.encoder_text for chunk in chunks])[1]
            _save(norms_file(home, encoder.fingerprint, key), norms)
            embedded += len(chunks)
            tell(f"norms of {encoder.spec.name}", number, len(missing))
        record(home, work)
        gc.collect()
    return embedded


def _embed_with(
    encoder: GenerationEncoder, home: Home, keys: Mapping[str, str], old_keys: EarlierKeys, tell: Progress
) -> int:
    loaded: DocumentEncoder | None = None  # an encoder is loaded when the first text needs it
    stage = f"embedding with {encoder.spec.name}"
    total = sum(read_json(document_folder(home, key) / MANIFEST)["chunks"] for key in keys.values())
    done = embedded = 0
    whole = Work(VECTORS)
    loading, embedding = (Work(stage, encoder.fingerprint) for stage in (LOADING, EMBEDDING))
    with whole.timed(total):
        for batch in _batches(home, keys):
            known, compared = _known_vectors(home, encoder.fingerprint, old_keys, batch)
            whole.units += compared
            new = {
                chunk.encoder_text: chunk.tokens
                for _, part in batch
                for chunk in part
                if _digest(chunk.encoder_text) not in known
            }
            texts = list(new)
            if texts:
                if loaded is None:
                    with loading.timed(1):
                        loaded = load_encoder(encoder, home)
                with embedding.timed(sum(new.values())):
                    fresh, lengths = loaded.embed_with_norms(texts, _counting_from(done, stage, total, tell))
                known.update(zip(map(_digest, texts), zip(fresh, lengths.tolist(), strict=True), strict=True))
            for name, part in batch:
                found = (known[_digest(chunk.encoder_text)] for chunk in part)
                rows, norms = zip(*found, strict=True) if part else ((), ())
                matrix = np.stack(rows) if rows else np.zeros((0, encoder_fingerprint(encoder.spec, home)[1]))
                if None not in norms:
                    _save(norms_file(home, encoder.fingerprint, keys[name]), np.array(norms))
                _save(vectors_file(home, encoder.fingerprint, keys[name]), matrix)
                done += len(part)
            embedded += len(texts)
            log_event("batch embedded", encoder=encoder.spec.name, passages=len(texts), done=done, total=total)
            tell(stage, done, total)
    for work in (loading, embedding, whole.without(embedding).without(loading)):
        record(home, work)
    return embedded


def load_encoder(encoder: GenerationEncoder, home: Home) -> DocumentEncoder:
    """Load a generation's document encoder. Raises SpecmineError when its weights are not those of the generation."""
    loaded = load_document_encoder(encoder.spec, home)
    if loaded.fingerprint != encoder.fingerprint:
        raise SpecmineError(f"the weights of encoder {encoder.spec.name!r} changed: run `specmine models verify`")
    return loaded


def _counting_from(before: int, stage: str, total: int, tell: Progress) -> Callable[[int], None]:
    return lambda count: tell(stage, before + count, total)


def _batches(home: Home, keys: Mapping[str, str]) -> Iterator[Batch]:
    batch: Batch = []
    size = 0
    for name, key in keys.items():
        chunks = load_chunks(document_folder(home, key))
        batch.append((name, chunks))
        size += len(chunks)
        if size >= _TEXTS_PER_BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _known_vectors(
    home: Home, fingerprint: str, old_keys: EarlierKeys, batch: Batch
) -> tuple[dict[bytes, _Known], int]:
    """Return the vectors and norms, by digest of their text, of what the batch's documents were before.

    The second is how many passages were looked at for that.
    """
    known: dict[bytes, _Known] = {}
    compared = 0
    for name, part in batch:
        wanted = {_digest(chunk.encoder_text) for chunk in part}
        for key in old_keys.get(name, ()):
            if wanted <= known.keys():
                break
            if vectors_file(home, fingerprint, key).exists() and is_whole(document_folder(home, key)):
                texts = [chunk.encoder_text for chunk in load_chunks(document_folder(home, key))]
                vectors = load_vectors(home, fingerprint, key)
                has_norms = norms_file(home, fingerprint, key).exists()
                norms = load_norms(home, fingerprint, key).tolist() if has_norms else [None] * len(vectors)
                known.update(zip(map(_digest, texts), zip(vectors, norms, strict=True), strict=True))
                compared += len(texts)
    return known, compared


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _save(path: Path, matrix: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, partial.open("wb") as handle:
        np.save(handle, matrix.astype(np.float32), allow_pickle=False)
