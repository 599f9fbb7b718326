"""The corpora of ``reference_miner.py``: documents of a served index, and noisy copies, as both miners read them.

Every corpus is a folder with a home for specmine, the texts and vectors for sentence-transformers, and the task.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.negatives import tell
from benchmarks.reference_work import TASK, TEXTS, VECTORS
from chunking.document import Chunk, Document, Page, chunk_id
from chunking.stored import load, load_chunks, save
from evaluation.catalogue import Catalogue
from flows.settings import load_settings
from indexing.contents import first_release, write_content
from indexing.encoders.document import load_document_encoder
from indexing.generations import (
    Generation,
    IndexedDocument,
    document_folder,
    read_documents,
    read_generation,
    save_generation,
    vectors_file,
    write_documents,
)
from indexing.home import MANIFEST, Home, write_artifact, write_json
from indexing.releases import publish, served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import EncoderSpec
from indexing.vectors import load_vectors
from training.splits import split_queries

SEED = 13
DROPPED = SWAPPED = 0.03  # of the words of a copy


def choose(documents: Mapping[str, IndexedDocument], book: Catalogue, passages: int) -> dict[str, IndexedDocument]:
    """Return the documents with the most held-out queries for each of their passages, until there are enough."""
    asked = Counter(document for document, _ in {(one.document, one.query) for one in book.judgements("dev")})
    order = sorted(documents, key=lambda name: (-asked[name] / max(documents[name].chunks, 1), name))
    chosen: dict[str, IndexedDocument] = {}
    for name in order:
        if sum(entry.chunks for entry in chosen.values()) < passages:
            chosen[name] = documents[name]
    return dict(sorted(chosen.items()))


def noisy(text: str, lot: random.Random) -> str:
    """Return a text with words dropped, and swapped with the next, by lot."""
    words = [word for word in text.split() if lot.random() >= DROPPED] or text.split()
    for place in range(len(words) - 1):
        if lot.random() < SWAPPED:
            words[place], words[place + 1] = words[place + 1], words[place]
    return " ".join(words)


def copied(document: Document, chunks: Sequence[Chunk], number: int) -> tuple[Document, list[Chunk]]:
    """Return a noisy copy of a document and of its passages, whose texts stand one after another in it."""
    name = f"{document.id}~{number}"
    lot = random.Random(f"{SEED}\0{name}")
    texts: list[str] = []
    new: list[Chunk] = []
    start = 0
    for chunk in chunks:
        text = noisy(chunk.text, lot)
        head = chunk.encoder_text.removesuffix(chunk.text)
        place = {"start": start, "end": start + len(text), "first_page": 1, "last_page": 1}
        new.append(
            replace(
                chunk,
                id=chunk_id(name, start, start + len(text), text),
                document=name,
                text=text,
                encoder_text=head + text,
                lead="",
                parent=None,
                **place,  # type: ignore[arg-type]
            )
        )
        texts.append(text)
        start += len(text) + 1
    whole = "\n".join(texts)
    pages = (Page(1, 0, len(whole)),)
    return Document(name, document.content_hash, document.title, whole, pages, ()), new


def likeness_of_copies(source: Home, documents: Mapping[str, IndexedDocument], spec: EncoderSpec) -> float:
    """Return the mean cosine of 200 passages with their noisy copies."""
    chunks = [chunk for entry in documents.values() for chunk in load_chunks(document_folder(source, entry.key))]
    sample = random.Random(SEED).sample(chunks, 200)
    lot = random.Random(SEED)
    encoder = load_document_encoder(spec, source)
    one = encoder.embed([chunk.encoder_text for chunk in sample])
    other = encoder.embed([c.encoder_text.removesuffix(c.text) + noisy(c.text, lot) for c in sample])
    return float((one * other).sum(1).mean())


def build(
    source: Home, documents: Mapping[str, IndexedDocument], part: Any, copies: int, likeness: float, at: Path
) -> dict[str, list[str]]:
    """Write a home with an index of these documents, and ``copies`` of each, by the one encoder ``part``."""
    home = Home(at / "home")
    (at / "home").mkdir(parents=True)
    (at / "home" / "models").symlink_to(source.models.resolve())
    base = read_generation(source, served(source).generation)
    generation = Generation(base.chunking, base.chunk_settings, (part,))
    listed: dict[str, IndexedDocument] = {}
    noise = np.random.default_rng(SEED)
    ids: list[str] = []
    texts: list[str] = []
    rows: list[np.ndarray] = []
    for name, entry in documents.items():
        document, chunks = load(document_folder(source, entry.key))
        vectors = np.asarray(load_vectors(source, part.fingerprint, entry.key))
        for number in range(copies + 1):
            key, own = entry.key, vectors
            cut = chunks
            if number:
                key = f"{entry.key}-{number}"
                document_copy, cut = copied(document, chunks, number)
                away = noise.standard_normal(vectors.shape)
                away -= (away * vectors).sum(1, keepdims=True) * vectors
                away /= np.linalg.norm(away, axis=1, keepdims=True)
                own = (likeness * vectors + np.sqrt(1 - likeness**2) * away).astype(np.float32)
            with write_artifact(document_folder(home, key)) as partial:
                save(partial, document_copy if number else document, cut)
                write_json(partial / MANIFEST, {"chunks": len(cut)})
            vectors_file(home, part.fingerprint, key).parent.mkdir(parents=True, exist_ok=True)
            np.save(vectors_file(home, part.fingerprint, key), own)
            listed[f"{name}~{number}" if number else name] = replace(entry, key=key)
            ids += [chunk.id for chunk in cut]
            texts += [chunk.encoder_text for chunk in cut]
            rows.append(own)
    save_generation(home, generation)
    settings = IndexSettings(encoders=(part.spec,))
    content = write_content(home, generation, settings, None, listed, (), tell)
    write_documents(home, generation.id, content, listed)
    publish(home, first_release(generation, content, "reference miner"))
    # The other miner knows passages by their text alone: of equal ones it gets the first.
    first = {text: place for place, text in reversed(list(enumerate(texts)))}
    kept = sorted(first.values())
    np.save(at / VECTORS, np.concatenate(rows)[kept])
    return {"texts": [texts[place] for place in kept], "ids": [ids[place] for place in kept]}


@dataclass(frozen=True)
class Corpus:
    """What a corpus is made of: of the served index the encoder, so many passages and queries, and copies of each."""

    config: Path | None
    encoder: str
    passages: int
    queries: int
    copies: int = 0
    embedded: int = 500


def prepare(corpus: Corpus, folder: Path) -> Path:
    """Write index, texts and task of one corpus into ``folder``, unless they are there; return the folder."""
    if (folder / TASK).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    settings = load_settings(corpus.config)
    source = settings.open_home()
    book = Catalogue(settings.catalogue_url())
    release = served(source)
    part = read_generation(source, release.generation).encoder(corpus.encoder)
    documents = choose(read_documents(source, release.generation, release.content), book, corpus.passages)
    likeness = likeness_of_copies(source, documents, part.spec) if corpus.copies else 1.0
    print(f"{len(documents)} documents; a copy's cosine is {likeness:.3f}", flush=True)
    texts = build(source, documents, part, corpus.copies, likeness, folder)
    searcher = Searcher.open(Home(folder / "home"), replace(settings.index(), encoders=(part.spec,)))
    splits = split_queries(searcher, book)
    known = [query for query in splits.train if splits.train_projection.positives(query.id)]
    asked = random.Random(SEED).sample(known, min(corpus.queries, len(known)))
    judged = {
        query.id: [searcher.chunks[c].encoder_text for c in sorted(splits.train_projection.positives(query.id))]
        for query in asked
    }
    ids = set(judged)
    write_json(folder / TEXTS, {**texts, "judged": judged})
    write_json(
        folder / TASK,
        {
            "config": str(corpus.config) if corpus.config else None,
            "encoder": corpus.encoder,
            "embedded": corpus.embedded,
            "passages": len(searcher.chunks),
            "queries": [asdict(query) for query in asked],
            "judgements": [asdict(one) for one in splits.train_judgements if one.query in ids],
        },
    )
    searcher.close()
    return folder
