"""Document vectors: computed once for each text, kept on disk by encoder and document.

An encoder's vectors of one document are one .npy, written whole, beside a second one of their norms; a passage that a
changed document shares with what it was before is not embedded again.
"""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from chunking.document import Chunk
from chunking.stored import load_chunks
from indexing.costs import EMBEDDING, LOADING, VECTORS
from indexing.encoders.document import DocumentEncoder, load_document_encoder
from indexing.generations import Generation, GenerationEncoder, document_folder, norms_file, vectors_file
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, replacing
from indexing.log import log_event
from indexing.models.fingerprints import encoder_fingerprint
from indexing.parts import Count, Workers, here, kept_document, not_shared
from indexing.rates import Work, measured_together, record
from indexing.vectors import load_norms, load_vectors

# What a killed ingest embeds again at most, with one encoder.
_TEXTS_PER_BATCH = 2000
_ALONE = threading.Lock()
_HELD: dict[tuple[GenerationEncoder, Home], DocumentEncoder] = {}

Progress = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and the total."""

_Known = tuple[np.ndarray, float | None]
"""A vector and its norm, None where that was not kept."""

EarlierKeys = Mapping[str, Sequence[str]]
"""Documents (by id) with the keys of what they were before, or of others that hold the same text."""


def embed_documents(
    home: Home,
    generation: Generation,
    keys: Mapping[str, str],
    old_keys: EarlierKeys,
    tell: Progress,
    workers: Workers = here,
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
            embedded += _embed_with(encoder, home, missing, old_keys, tell, workers)
            forget_encoder()  # one in memory at a time
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
            chunks = load_chunks(kept_document(home, key))
            with work.timed(sum(chunk.tokens for chunk in chunks)):
                norms = loaded.embed_with_norms([chunk.encoder_text for chunk in chunks])[1]
            _save(norms_file(home, encoder.fingerprint, key), norms)
            embedded += len(chunks)
            tell(f"norms of {encoder.spec.name}", number, len(missing))
        record(home, work)
        gc.collect()
    return embedded


@dataclass(frozen=True)
class Batch:
    """Documents (id to key) that are embedded together, and the earlier keys of some; ``passages`` are all of them."""

    keys: dict[str, str]
    old_keys: dict[str, Sequence[str]]
    passages: int


@dataclass(frozen=True)
class BatchEmbedded:
    """Of a batch's passages, ``fresh`` went through the encoder; ``took`` is what that and all the rest took."""

    passages: int
    fresh: int
    took: tuple[Work, ...]


def _embed_with(
    encoder: GenerationEncoder,
    home: Home,
    keys: Mapping[str, str],
    old_keys: EarlierKeys,
    tell: Progress,
    workers: Workers,
) -> int:
    stage = f"embedding with {encoder.spec.name}"
    batches = list(_batches(home, keys, old_keys))
    total = sum(batch.passages for batch in batches)
    done = embedded = 0
    work = partial(embed_batches, replace(home, lease=None), encoder)  # what it writes, no lease must guard
    with measured_together(home) as took:
        for batch in workers(stage, work, batches, lambda count: tell(stage, count, total)):
            done += batch.passages
            embedded += batch.fresh
            took += batch.took
            log_event("batch embedded", encoder=encoder.spec.name, passages=batch.fresh, done=done, total=total)
    for key in keys.values():
        file = vectors_file(home, encoder.fingerprint, key)
        if not file.exists():
            raise not_shared(file)
    return embedded


def embed_batches(
    home: Home, encoder: GenerationEncoder, batches: Sequence[Batch], tell: Count
) -> Iterator[BatchEmbedded]:
    """Write the vectors and norms of every batch that has none yet, and yield what there is to tell of it.

    One thread of a process embeds at a time: a model takes all processors that it is given.
    """
    done = 0
    for batch in batches:
        # With one of them missing all are made again: what a row is rounded to depends on the rows beside it.
        if all(vectors_file(home, encoder.fingerprint, key).exists() for key in batch.keys.values()):
            told = BatchEmbedded(batch.passages, 0, ())
        else:
            with _ALONE:
                told = _embed(home, encoder, batch, _counting_from(done, tell))
        done += batch.passages
        tell(done)
        yield told


def _embed(home: Home, encoder: GenerationEncoder, batch: Batch, tell: Count) -> BatchEmbedded:
    """Write a batch's vectors and norms."""
    whole = Work(VECTORS)
    loading, embedding = (Work(stage, encoder.fingerprint) for stage in (LOADING, EMBEDDING))
    with whole.timed(batch.passages):
        chunks = {name: load_chunks(kept_document(home, key)) for name, key in batch.keys.items()}
        known, compared = _known_vectors(home, encoder.fingerprint, batch.old_keys, chunks)
        whole.units += compared
        new = {
            chunk.encoder_text: chunk.tokens
            for part in chunks.values()
            for chunk in part
            if _digest(chunk.encoder_text) not in known
        }
        if new:
            if (encoder, home) not in _HELD:  # an encoder is loaded when the first text needs it
                forget_encoder()
                with loading.timed(1):
                    _HELD[encoder, home] = load_encoder(encoder, home)
            with embedding.timed(sum(new.values())):
                fresh, lengths = _HELD[encoder, home].embed_with_norms(list(new), tell)
            known.update(zip(map(_digest, new), zip(fresh, lengths.tolist(), strict=True), strict=True))
        for name, part in chunks.items():
            found = (known[_digest(chunk.encoder_text)] for chunk in part)
            rows, norms = zip(*found, strict=True) if part else ((), ())
            matrix = np.stack(rows) if rows else np.zeros((0, encoder_fingerprint(encoder.spec, home)[1]))
            if None not in norms:
                _save(norms_file(home, encoder.fingerprint, batch.keys[name]), np.array(norms))
            _save(vectors_file(home, encoder.fingerprint, batch.keys[name]), matrix)
    return BatchEmbedded(batch.passages, len(new), (loading, embedding, whole.without(embedding).without(loading)))


def forget_encoder() -> None:
    """Give back the memory of the encoder that this process holds."""
    _HELD.clear()
    gc.collect()


def load_encoder(encoder: GenerationEncoder, home: Home) -> DocumentEncoder:
    """Load a generation's document encoder. Raises SpecmineError when its weights are not those of the generation."""
    loaded = load_document_encoder(encoder.spec, home)
    if loaded.fingerprint != encoder.fingerprint:
        raise SpecmineError(f"the weights of encoder {encoder.spec.name!r} changed: run `specmine models verify`")
    return loaded


def _counting_from(before: int, tell: Count) -> Count:
    return lambda count: tell(before + count)


def _batches(home: Home, keys: Mapping[str, str], old_keys: EarlierKeys) -> Iterator[Batch]:
    batch: dict[str, str] = {}
    size = 0
    for number, (name, key) in enumerate(keys.items(), start=1):
        batch[name] = key
        size += read_json(document_folder(home, key) / MANIFEST)["chunks"]
        if size >= _TEXTS_PER_BATCH or number == len(keys):
            yield Batch(batch, {name: old_keys[name] for name in batch if old_keys.get(name)}, size)
            batch, size = {}, 0


def _known_vectors(
    home: Home, fingerprint: str, old_keys: EarlierKeys, chunks: Mapping[str, Sequence[Chunk]]
) -> tuple[dict[bytes, _Known], int]:
    """Return the vectors and norms, by digest of their text, of what documents with these chunks were before.

    The second is how many passages were looked at for that.
    """
    known: dict[bytes, _Known] = {}
    compared = 0
    for name, part in chunks.items():
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
