"""A small world of plain data to mine in.

The searcher here is a table of scores instead of the real one, because only scores written by hand have ranks, votes
and verdicts that can be worked out by hand; the real one is met in the end-to-end tests of flows. It keeps the real
one's promises: best ``depth`` of each source, an empty entry for a query that finds nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from chunking.document import Chunk, Document
from chunking.stored import save
from evaluation.judgements import Query
from evaluation.projection import Projection
from indexing.generations import Generation, GenerationEncoder, IndexedDocument, document_folder, write_documents
from indexing.home import Home
from indexing.releases import Fusion, Release
from indexing.specs import MINILM, WORDLLAMA

ENCODERS = ("minilm", "wordllama")
LENGTH = 100


def chunk(name: str, document: str, ordinal: int, text: str, section: tuple[str, ...] | None = None) -> Chunk:
    """A chunk of 100 characters' span; by default each lies in a section of its own."""
    start = ordinal * LENGTH
    return Chunk(
        id=name,
        document=document,
        title=document.upper(),
        ordinal=ordinal,
        section=(f"{ordinal} Clause",) if section is None else section,
        first_page=1,
        last_page=1,
        start=start,
        end=start + LENGTH,
        text=text,
        encoder_text=f"{document.upper()}\n{text}",
        tokens=len(text.split()),
    )


def words(name: str) -> str:
    """Twenty words that no other chunk has: nothing is a near-duplicate by accident."""
    return " ".join(f"{name}w{i}" for i in range(20))


def unit(encoder: str, text: str) -> np.ndarray:
    """A unit vector for a text: of two dimensions, at the angle that ``at N`` in it gives in degrees, else by chance.

    The second encoder doubles the angle.
    """
    words = text.split()
    degrees = float(words[words.index("at") + 1]) if "at" in words else float(len(text) % 90)
    angle = np.radians(degrees * (1 + ENCODERS.index(encoder)))
    return np.array([np.cos(angle), np.sin(angle)])


@dataclass
class TableSearcher:
    """``scores``: source → query → chunk → score."""

    chunks: dict[str, Chunk]
    scores: dict[str, dict[str, dict[str, float]]]
    release: Release = field(
        default_factory=lambda: Release(
            generation="g1",
            content=1,
            encoders=dict.fromkeys(ENCODERS, "base"),
            fusion=Fusion("soft", {"bm25": 1.0, "minilm": 1.0, "wordllama": 1.0}),
            id="r0001",
        )
    )
    generation: Generation = field(
        default_factory=lambda: Generation(
            "c0", {}, (GenerationEncoder(MINILM, "a" * 64), GenerationEncoder(WORDLLAMA, "b" * 64))
        )
    )

    def embed(self, queries: Sequence[str]) -> dict[str, np.ndarray]:
        return {name: np.stack([unit(name, text) for text in queries]) for name in ENCODERS}

    def read(self, chunks: Iterable[str]) -> dict[str, Chunk]:
        return {chunk: self.chunks[chunk] for chunk in chunks}

    def documents_of(self, chunks: Sequence[str]) -> list[str]:
        return [self.chunks[chunk].document for chunk in chunks]

    def chunk_vectors(self, encoder: str, chunks: Sequence[str]) -> np.ndarray:
        return np.stack([unit(encoder, self.chunks[chunk].text) for chunk in chunks])

    def runs(
        self, queries: Mapping[str, str], depth: int = 200, only: Collection[str] | None = None
    ) -> dict[str, dict[str, dict[str, float]]]:
        best = {}
        for source in only or ("bm25", *ENCODERS):
            best[source] = {
                query: dict(sorted(self.scores.get(source, {}).get(query, {}).items(), key=lambda p: -p[1])[:depth])
                for query in queries
            }
        return best


@dataclass
class TableJudge:
    """A cross-encoder whose logit of a passage is looked up by a word it holds, or ``default``."""

    logits: Mapping[str, float]
    default: float = -5.0
    languages: tuple[str, ...] = ("en",)
    asked: list[tuple[str, str]] = field(default_factory=list)
    spec: Any = field(default_factory=lambda: SimpleNamespace(name="table"))

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr((sorted(self.logits.items()), self.default)).encode()).hexdigest()

    def judges(self, language: str) -> bool:
        return language in self.languages

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        self.asked.extend(pairs)
        return np.array([self._logit(passage) for _, passage in pairs], dtype=np.float32)

    def _logit(self, passage: str) -> float:
        return next((logit for word, logit in self.logits.items() if word in passage.split()), self.default)


def projection(positives: Mapping[str, Sequence[Chunk]]) -> Projection:
    """What judgements of exactly these chunks' spans project to."""
    return Projection(
        units={q: {f"{c.document}#{c.start}-{c.end}": 1 for c in chunks} for q, chunks in positives.items()},
        hits={q: {c.id: (f"{c.document}#{c.start}-{c.end}",) for c in chunks} for q, chunks in positives.items()},
        excluded=(),
        unmapped=[],
    )


def query(name: str, text: str | None = None) -> Query:
    return Query(name, text or f"what does {name} say", "train")


def store(home: Home, chunks: Sequence[Chunk], generation: str = "g1", content: int = 1) -> None:
    """Lay the chunks down as the content of an index that a ledger is mined on."""
    (home.generations / generation).mkdir(exist_ok=True)
    documents: dict[str, IndexedDocument] = {}
    for name in sorted({chunk.document for chunk in chunks}):
        of_document = [chunk for chunk in chunks if chunk.document == name]
        key = f"{generation}-{content}-{name}"
        save(document_folder(home, key), Document(name, "", name, "", (), ()), of_document)
        documents[name] = IndexedDocument(key, "", name, name, 1, 0, len(of_document))
    write_documents(home, generation, content, documents)


@pytest.fixture(scope="session")
def world() -> SimpleNamespace:
    """The builders above; session-wide, so that hypothesis may use them."""
    return SimpleNamespace(
        chunk=chunk,
        words=words,
        TableSearcher=TableSearcher,
        TableJudge=TableJudge,
        projection=projection,
        query=query,
        store=store,
        length=LENGTH,
    )


@pytest.fixture
def home(tmp_path: Any) -> Home:
    return Home(tmp_path / "home")
