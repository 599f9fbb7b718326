"""Indexes to compare with the served one: built from the same stored documents, never published.

They lie in a home of their own below the real one, ``comparisons/scratch/``. What the real home has of documents and
vectors is linked there, so that nothing is computed twice and nothing real is written; removing the folder removes
every trace. A comparison that was interrupted leaves the folder, and the next one goes on with what is in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chunking.splitters import ChunkSettings
from chunking.stored import text_bytes
from indexing.contents import first_release, write_content
from indexing.embedding import Progress, embed_documents
from indexing.files_in_use import bytes_in
from indexing.generations import (
    IndexedDocument,
    document_folder,
    listed_keys,
    open_store,
    read_documents,
    save_generation,
    write_documents,
)
from indexing.home import Home, SpecmineError, remove_partials
from indexing.models.fetching import model_directory
from indexing.reading import plan_generation
from indexing.reindexing.recut import cut_stored
from indexing.releases import Release, served
from indexing.settings import IndexSettings, QdrantSettings
from indexing.specs import EncoderSpec

_SHARED = ("models", "encoders")


@dataclass(frozen=True)
class ScratchIndex:
    """An index that nothing serves: ``settings`` and ``release`` open it in the scratch home with ``Searcher.open``.

    ``max_tokens`` is the budget of a passage. ``bytes`` is what its vectors, keywords and passages take on disk;
    ``embedded`` counts the passages that went through an encoder to build it.
    """

    settings: IndexSettings
    release: Release
    max_tokens: int
    chunks: int
    bytes: int
    embedded: int


@contextmanager
def scratch_home(home: Home, keep: bool) -> Iterator[Home]:
    """Yield the scratch home of ``home``; remove it when the block ends without error, unless ``keep``.

    Raises LockedHomeError when another process is using it.
    """
    root = home.root / "comparisons" / "scratch"
    scratch = Home(root)
    with scratch.exclusive():
        for name in _SHARED:
            _link(getattr(home, name), root / name)
        for folder in (scratch.documents, scratch.vectors, scratch.generations):
            remove_partials(folder)
        yield scratch
        if not keep:
            shutil.rmtree(root)  # links are removed, never followed


def build_scratch(
    home: Home, scratch: Home, settings: IndexSettings, encoders: Collection[str], progress: Progress
) -> ScratchIndex:
    """Cut the served documents of ``home`` as ``settings`` say, in the scratch home, and embed them with ``encoders``.

    The cuts are those of all configured encoders, whichever embed. Passages that are larger than an encoder's
    configured limit are read whole where its model can. The stored documents are cut; nothing is read again. Raises
    SpecmineError when nothing is indexed.
    """
    settings = replace(settings, encoders=_reading(settings, home), qdrant=QdrantSettings())
    planned = plan_generation(scratch, settings)
    generation = replace(planned, encoders=tuple(part for part in planned.encoders if part.spec.name in encoders))
    release = served(home)
    documents = read_documents(home, release.generation, release.content)
    known = listed_keys(home)
    for name, entry in documents.items():
        known[name] = list(dict.fromkeys([entry.key, *known.get(name, ())]))
    _link_known(home, scratch, known)
    cut = cut_stored(scratch, settings, generation, documents, progress)
    for name, keys in listed_keys(scratch).items():
        known.setdefault(name, []).extend(keys)
    embedded = embed_documents(scratch, generation, {name: entry.key for name, entry in cut.items()}, known, progress)
    save_generation(scratch, generation)
    content = write_content(scratch, generation, settings, None, cut, (), progress)
    write_documents(scratch, generation.id, content, cut)
    open_store(scratch, generation, settings.qdrant).keep({content})
    return ScratchIndex(
        settings=settings,
        release=first_release(generation, content, "comparison"),
        max_tokens=ChunkSettings(**generation.chunk_settings).budget,
        chunks=sum(entry.chunks for entry in cut.values()),
        bytes=bytes_in(scratch.generations / generation.id / "contents" / str(content)),
        embedded=embedded,
    )


def text_lengths(home: Home, documents: dict[str, IndexedDocument]) -> dict[str, int]:
    """Return the bytes of text of stored documents, by id."""
    return {name: text_bytes(document_folder(home, entry.key)) for name, entry in documents.items()}


def _reading(settings: IndexSettings, home: Home) -> tuple[EncoderSpec, ...]:
    """Return the encoders with their limits raised to the size of a passage, as far as their models go."""
    size = settings.chunking.max_tokens
    return tuple(
        replace(spec, max_tokens=min(size, _longest_input(spec, home))) if size > spec.max_tokens else spec
        for spec in settings.encoders
    )


def _longest_input(spec: EncoderSpec, home: Home) -> int:
    """Return how many tokens a model can read; what does not say (a table of word vectors) reads any number."""
    directory = model_directory(spec, home)
    limits = [8192]
    for file, key in (("config.json", "max_position_embeddings"), ("tokenizer_config.json", "model_max_length")):
        if (path := directory / file).is_file():
            limit = json.loads(path.read_text(encoding="utf-8")).get(key)
            limits += [int(limit)] if limit else []
    return max(spec.max_tokens, min(limits))


def _link_known(home: Home, scratch: Home, known: dict[str, list[str]]) -> None:
    for keys in known.values():
        for key in keys:
            _link(document_folder(home, key), document_folder(scratch, key))
    wanted = {key for keys in known.values() for key in keys}
    for folder in home.vectors.iterdir():
        for file in folder.glob("*.npy"):
            if file.name.partition(".")[0] in wanted:  # vectors, and their norms
                _link(file, scratch.vectors / folder.name / file.name)


def _link(target: Path, link: Path) -> None:
    if link.exists():
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)  # it may name what is gone
    try:
        link.symlink_to(target.resolve())
    except OSError as error:
        raise SpecmineError(f"cannot link {link} to {target}: {error.strerror}") from None
