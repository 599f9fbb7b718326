"""Index generations: one chunking x the frozen document encoders, and the documents in each of its contents.

``generations/<id>/manifest.json`` says what the generation is and never changes; the id is made from it, so that the
same configuration is the same generation. ``generations/<id>/documents-<serial>.json`` lists the documents of a
content; it is written before a release names that content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chunking.accounting import Totals
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, write_artifact, write_json
from indexing.settings import QdrantSettings
from indexing.specs import EncoderSpec, encoder_from_dict
from indexing.stores.edge import EdgeStore
from indexing.stores.store import Store


@dataclass(frozen=True)
class GenerationEncoder:
    """A frozen document encoder: ``fingerprint`` covers its weights and everything else that shapes its vectors."""

    spec: EncoderSpec
    fingerprint: str


@dataclass(frozen=True)
class Generation:
    """The immutable configuration of an index. ``chunking`` is the fingerprint of reader, splitter and ``tokenizers``.

    The latter are the SHA-256 of the files that passages were measured with when they were first cut, sorted: encoders
    that came since read the same passages. What older versions wrote has none: they are those of its encoders.
    """

    chunking: str
    chunk_settings: dict[str, Any]
    encoders: tuple[GenerationEncoder, ...]
    tokenizers: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """The generation's name, made from what it is."""
        parts = [self.chunking, *(f"{encoder.spec.name}={encoder.fingerprint}" for encoder in self.encoders)]
        return "g" + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def names(self) -> list[str]:
        """The names of the encoders."""
        return [encoder.spec.name for encoder in self.encoders]

    def encoder(self, name: str) -> GenerationEncoder:
        """Return the encoder of this name. Raises SpecmineError when there is none."""
        for part in self.encoders:
            if part.spec.name == name:
                return part
        raise SpecmineError(f"index {self.id} has no encoder {name!r}; its encoders are: {', '.join(self.names)}")


@dataclass(frozen=True)
class IndexedDocument:
    """A document in a content: ``key`` names its entries in ``documents/`` and ``vectors/``, ``source`` is its file.

    ``totals`` are those of its account (``chunking.accounting``); what older versions indexed has none. ``formerly``
    are the names the same document had before its file was renamed: judgements on them are on it.
    """

    key: str
    content_hash: str
    source: str
    title: str
    pages: int
    pages_without_text: int
    chunks: int
    warnings: list[str] = field(default_factory=list)
    totals: Totals = field(default_factory=dict)
    formerly: list[str] = field(default_factory=list)


def save_generation(home: Home, generation: Generation) -> None:
    """Write the generation's manifest unless it is there."""
    folder = home.generations / generation.id
    if is_whole(folder):
        return
    with write_artifact(folder) as partial:
        write_json(partial / MANIFEST, asdict(generation))


def read_generation(home: Home, generation_id: str) -> Generation:
    """Return a generation. Raises SpecmineError when it is gone or damaged."""
    if not is_whole(home.generations / generation_id):
        raise SpecmineError(
            f"generation {generation_id} is gone from {home.generations}: serve a release of another, or run "
            "`specmine reindex`; [reindex] keep_generations says how many are kept"
        )
    content = read_json(home.generations / generation_id / MANIFEST)
    encoders = tuple(
        GenerationEncoder(encoder_from_dict(saved["spec"]), saved["fingerprint"]) for saved in content["encoders"]
    )
    tokenizers = tuple(content.get("tokenizers", ()))
    generation = Generation(content["chunking"], content["chunk_settings"], encoders, tokenizers)
    if generation.id != generation_id:
        raise SpecmineError(f"{home.generations / generation_id / MANIFEST} was changed: run `specmine reindex`")
    return generation


def open_store(home: Home, generation: Generation, qdrant: QdrantSettings) -> Store:
    """Return the store of a generation: on the configured server, or embedded below the home."""
    if qdrant.url is None:
        return EdgeStore(home.generations / generation.id / "contents")
    from indexing.stores.server import ServerStore, connect  # a second to import, and only needed here

    return ServerStore(connect(qdrant.url, qdrant.api_key), _collection(generation), qdrant.placement)


def remove_contents(generation: Generation, qdrant: QdrantSettings) -> None:
    """Remove a generation's contents from the configured server; those of the embedded engine go with its folder."""
    if qdrant.url is not None:
        from indexing.stores.server import connect

        connect(qdrant.url, qdrant.api_key).delete_collection(_collection(generation))


def is_on_server(generation: Generation, qdrant: QdrantSettings) -> bool:
    """Tell whether a server is configured and holds contents of a generation, of this home or another."""
    if qdrant.url is None:
        return False
    from indexing.stores.server import connect

    return connect(qdrant.url, qdrant.api_key).collection_exists(_collection(generation))


def _collection(generation: Generation) -> str:
    return f"specmine_{generation.id}"


def write_documents(home: Home, generation_id: str, content: int, documents: dict[str, IndexedDocument]) -> None:
    """Write the list of a content's documents."""
    saved = {document_id: asdict(documents[document_id]) for document_id in sorted(documents)}
    write_json(documents_file(home, generation_id, content), saved)


def read_documents(home: Home, generation_id: str, content: int) -> dict[str, IndexedDocument]:
    """Return the documents of a content by id."""
    saved = read_json(documents_file(home, generation_id, content))
    return {document_id: IndexedDocument(**fields) for document_id, fields in saved.items()}


def present_names(documents: Mapping[str, IndexedDocument]) -> dict[str, str]:
    """Return the present names of renamed documents, by the names they had before and no other document has now."""
    former = {old: name for name, entry in documents.items() for old in entry.formerly}
    return {old: name for old, name in former.items() if old not in documents}


def listed_keys(home: Home) -> dict[str, list[str]]:
    """Return, for every document that the newest content of some generation lists, the keys it has there."""
    keys: dict[str, list[str]] = {}
    for folder in sorted(home.generations.iterdir()):
        if is_whole(folder) and (content := next_content(home, folder.name) - 1):
            for name, entry in read_documents(home, folder.name, content).items():
                keys.setdefault(name, []).append(entry.key)
    return keys


def next_content(home: Home, generation_id: str) -> int:
    """Return the number after the highest that was ever listed."""
    folder = home.generations / generation_id
    numbers = [int(path.stem.removeprefix("documents-")) for path in folder.glob("documents-*.json")]
    return max(numbers, default=0) + 1


def document_folder(home: Home, key: str) -> Path:
    """Return where a document as read is kept."""
    return home.documents / key


def vectors_file(home: Home, fingerprint: str, key: str) -> Path:
    """Return where an encoder's vectors of a document's chunks are kept: .npy, (n, d) float32, in chunk order."""
    return home.vectors / fingerprint[:32] / f"{key}.npy"


def norms_file(home: Home, fingerprint: str, key: str) -> Path:
    """Return where the lengths that those vectors had before they were normalised are kept: .npy, (n,) float32.

    They are not there for documents that older versions embedded; a re-index adds them.
    """
    return home.vectors / fingerprint[:32] / f"{key}.norms.npy"


def fingerprint_of(settings: Any) -> str:
    """Return the SHA-256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def documents_file(home: Home, generation_id: str, content: int) -> Path:
    """Return where the list of a content's documents is kept."""
    return home.generations / generation_id / f"documents-{content}.json"
