"""How much a re-index would have to do: what is cut, what is embedded, which vectors serve again.

Of documents that are cut already this is counted. How others would be cut is tried on a sample of them and scaled by
the length of their texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from chunking.document import Chunk, sha256_file
from chunking.splitters import ChunkSettings, chunk
from chunking.stored import load, load_chunks, text_bytes
from chunking.tokens import TokenCounter
from indexing.generations import (
    Generation,
    document_folder,
    listed_keys,
    norms_file,
    read_documents,
    vectors_file,
)
from indexing.home import Home
from indexing.models.fetching import tokenizer_file
from indexing.reading import document_key, reader_of
from indexing.reindexing.recut import not_kept, to_read_again
from indexing.releases import Release
from indexing.settings import IndexSettings

_SAMPLED_BYTES = 2_000_000  # of text that are cut to see how
_SEED = 20
_TEXTS = 200  # that an encoder which was never measured may be tried on


@dataclass
class ToEmbed:
    """What one encoder has to do, and the passages whose vectors serve again.

    ``compared`` counts the passages that are read to find those.
    """

    passages: float = 0.0
    tokens: float = 0.0
    reused: float = 0.0
    compared: float = 0.0


@dataclass
class ReindexWork:
    """What a re-index has to do. ``read`` and ``cut`` are bytes of text; ``passages`` and ``tokens`` those of
    the new index, of ``documents`` documents, ``embed`` what each encoder does of them.

    ``sampled`` is the share of the documents to cut that was tried, by length; 1 where all that is told was counted.
    ``texts`` are some that would be embedded, with their tokens. ``shortened`` counts, by encoder, the passages of
    which it reads the beginning alone: they were cut before it came, to the measure of other tokenizers.
    """

    documents: int = 0
    read: float = 0.0
    cut: float = 0.0
    passages: float = 0.0
    tokens: float = 0.0
    characters: float = 0.0
    embed: dict[str, ToEmbed] = field(default_factory=dict)
    sampled: float = 1.0
    texts: list[tuple[str, int]] = field(default_factory=list)
    shortened: dict[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return what is told of it, in whole numbers."""
        numbers = {name: round(getattr(self, name)) for name in ("documents", "passages", "tokens")}
        embed = {
            name: {key: round(value) for key, value in asdict(part).items() if key != "compared"}
            for name, part in self.embed.items()
        }
        return {**numbers, "embed": embed, "shortened": self.shortened, "sampled": round(self.sampled, 3)}


def work_of(home: Home, settings: IndexSettings, release: Release, generation: Generation) -> ReindexWork:
    """Return what a re-index of ``release`` to ``generation`` has to do now."""
    documents = read_documents(home, release.generation, release.content)
    known = listed_keys(home)
    for name, entry in documents.items():
        known[name] = list(dict.fromkeys([entry.key, *known.get(name, ())]))
    missing = set(not_kept(home, generation, documents))
    sizes = {name: text_bytes(document_folder(home, documents[name].key)) for name in missing}
    reader = reader_of(settings)
    found = ReindexWork(len(documents), embed={name: ToEmbed() for name in generation.names})
    found.cut = float(sum(sizes.values()))
    found.read = float(sum(sizes[name] for name in missing if to_read_again(home, reader, documents[name])))
    later = _later_encoders(home, generation)
    for name, entry in documents.items():
        if name not in missing:
            key = document_key(name, entry.content_hash, generation)
            chunks = load_chunks(document_folder(home, key))
            _count(home, generation, key, chunks, known[name], found, 1.0)
            for encoder, (tokenizer, most) in later.items():
                read = tokenizer.encode_batch_fast([chunk.encoder_text for chunk in chunks])
                longer = sum(len(encoding.ids) > most for encoding in read)
                found.shortened[encoder] = found.shortened.get(encoder, 0) + longer
    sample = _sample(sizes)
    total, tried = sum(sizes.values()), sum(sizes[name] for name in sample)
    found.sampled = tried / total if total else 1.0
    counter = TokenCounter.load([tokenizer_file(spec, home) for spec in settings.encoders]) if sample else None
    for name in sample:
        document, _ = load(document_folder(home, documents[name].key))
        chunks = chunk(document, ChunkSettings(**generation.chunk_settings), counter) if counter else []
        _count(home, generation, None, chunks, known[name], found, total / max(tried, 1))
    return found


def _later_encoders(home: Home, generation: Generation) -> dict[str, tuple[Tokenizer, int]]:
    """Return the encoders that the generation's passages were not measured for, and how many tokens each reads."""
    later = {}
    for part in generation.encoders:
        path = tokenizer_file(part.spec, home)
        if sha256_file(path) not in generation.tokenizers:
            tokenizer = Tokenizer.from_file(str(path))
            tokenizer.no_truncation()
            tokenizer.no_padding()
            prompt = len(tokenizer.encode(part.spec.document_prompt, add_special_tokens=False).ids)
            later[part.spec.name] = (tokenizer, part.spec.max_tokens - prompt)
    return later


def _sample(sizes: Mapping[str, int]) -> list[str]:
    """Return documents, drawn at random, of some length in all; every one where they are few."""
    names = sorted(sizes)
    sample: list[str] = []
    length = 0
    for place in np.random.default_rng(_SEED).permutation(len(names)):
        if length >= _SAMPLED_BYTES:
            break
        sample.append(names[place])
        length += sizes[names[place]]
    return sample


def _count(
    home: Home,
    generation: Generation,
    key: str | None,
    chunks: list[Chunk],
    known: list[str],
    found: ReindexWork,
    scale: float,
) -> None:
    """Add a document of these chunks, counted ``scale`` times; ``key`` is None where it is not kept yet."""
    found.passages += scale * len(chunks)
    found.tokens += scale * sum(chunk.tokens for chunk in chunks)
    found.characters += scale * sum(len(chunk.encoder_text) for chunk in chunks)
    earlier: dict[str, set[str]] = {}
    for part in generation.encoders:
        embed = found.embed[part.spec.name]
        new = {chunk.encoder_text: chunk.tokens for chunk in chunks}
        if key is not None and vectors_file(home, part.fingerprint, key).exists():
            if norms_file(home, part.fingerprint, key).exists():
                new = {}
        else:
            embed.compared += scale * len(chunks)
            for old in known:
                if new and vectors_file(home, part.fingerprint, old).exists():
                    if old not in earlier:
                        earlier[old] = {chunk.encoder_text for chunk in load_chunks(document_folder(home, old))}
                    embed.compared += scale * len(earlier[old])
                    new = {text: tokens for text, tokens in new.items() if text not in earlier[old]}
        embed.passages += scale * len(new)
        embed.tokens += scale * sum(new.values())
        embed.reused += scale * (len(chunks) - len(new))
        found.texts += list(new.items())[: max(0, _TEXTS - len(found.texts))]
