"""What a store of vectors must do, whichever engine is behind it.

A store holds the *contents* of one generation, numbered from 1. Writing content n+1 never disturbs a reader of
content n: the embedded store writes a copy, the server store marks points with the contents they live in. So a
release, which names its content, is searched whole and unmixed while the next one is written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from chunking.document import Chunk, Parent
from indexing.bm25 import SparseVector

BM25 = "bm25"
# Ranks are discounted as in Cormack, Clarke & Büttcher 2009, "Reciprocal Rank Fusion".
RRF_K = 60


class Hit(NamedTuple):
    """A found chunk and its score; higher is better."""

    chunk: str
    score: float


@dataclass(frozen=True)
class PointBatch:
    """Chunks with their vectors: ``dense`` maps each encoder to (n, d) float32 unit rows, ``sparse`` has n vectors.

    A dense vector need be no encoder's: the points of a geometry are kept beside (``indexing.geometry``).
    """

    chunks: Sequence[Chunk]
    dense: Mapping[str, np.ndarray]
    sparse: Sequence[SparseVector]


@dataclass(frozen=True)
class MoreVectors:
    """Further dense vectors of the chunks with these ids, by name: (n, d) float32."""

    ids: Sequence[str]
    dense: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class QueryVectors:
    """One query as every source sees it: ``dense`` maps encoders, or points, to a (d,) float32 vector."""

    dense: Mapping[str, np.ndarray]
    sparse: SparseVector | None


class Reader(Protocol):
    """One content, open for searching. Safe to use from several threads and processes."""

    def count(self) -> int:
        """Return the number of chunks."""
        ...

    def is_exact(self, dimensions: int) -> bool:
        """Tell whether ``nearest`` compares all vectors of so many dimensions, and follows no graph of them."""
        ...

    def nearest(self, queries: Sequence[QueryVectors], limit: int, exact: bool = False) -> list[dict[str, list[Hit]]]:
        """Return for each query the best ``limit`` chunks of every source it has a vector for, in one request.

        ``exact`` compares all chunks, also where the engine would follow a graph.
        """
        ...

    def fused(self, query: QueryVectors, weights: Mapping[str, float], depth: int, limit: int) -> list[Hit]:
        """Return the best chunks by weighted reciprocal rank over the sources' best ``depth``, fused in the engine."""
        ...

    def chunks(self, ids: Sequence[str]) -> dict[str, Chunk]:
        """Return the chunks of these ids, as a reader sees them (``encoder_text`` is empty)."""
        ...

    def vectors(self, encoder: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yield every chunk's id and its (d,) float32 vector as stored, in no particular order."""
        ...

    def vectors_of(self, name: str, ids: Collection[str]) -> dict[str, np.ndarray]:
        """Return the (d,) float32 vectors of this name of the chunks with these ids."""
        ...

    def close(self) -> None:
        """Release files and connections."""
        ...


class Store(Protocol):
    """The contents of one generation."""

    def write(self, content: int, base: int | None, batches: Iterable[PointBatch], replaced: Collection[str]) -> None:
        """Write content ``content``: that of ``base`` without the documents ``replaced``, and with ``batches``.

        May be repeated after an interruption; until it returns, nothing reads the new content.
        """
        ...

    def add_vectors(self, content: int, base: int, batches: Iterable[MoreVectors]) -> None:
        """Write content ``content``: that of ``base``, its chunks with further vectors. Otherwise as ``write``."""
        ...

    def reader(self, content: int) -> Reader:
        """Open a content that was written to its end. Raises SpecmineError when there is none of that number."""
        ...

    def has(self, content: int) -> bool:
        """Tell whether a content was written to its end, and not removed since."""
        ...

    def keep(self, contents: Collection[int]) -> None:
        """Remove every content but these, and those that a reader of the embedded store has open."""
        ...


Q = TypeVar("Q")


def nearest_in_batches(
    queries: Sequence[QueryVectors],
    asked_of: Callable[[QueryVectors], Iterable[tuple[str, Q]]],
    ask: Callable[[Sequence[tuple[str, Q]]], Iterable[list[Hit]]],
    size: int,
) -> list[dict[str, list[Hit]]]:
    """Return for each query what each source found, as ``Reader.nearest`` does.

    ``asked_of`` tells what an engine is asked for a query, by source; ``ask`` gets ``size`` of these and answers in
    their order.
    """
    asked = [(number, source, query) for number, vectors in enumerate(queries) for source, query in asked_of(vectors)]
    found: list[dict[str, list[Hit]]] = [{} for _ in queries]
    for start in range(0, len(asked), size):
        part = asked[start : start + size]
        answers = ask([(source, query) for _, source, query in part])
        for (number, source, _), hits in zip(part, answers, strict=True):
            found[number][source] = hits
    return found


def payload_of(chunk: Chunk) -> dict[str, Any]:
    """Return what the store keeps beside a chunk's vectors."""
    return {
        "chunk": chunk.id,
        "document": chunk.document,
        "title": chunk.title,
        "ordinal": chunk.ordinal,
        "section": list(chunk.section),
        "pages": [chunk.first_page, chunk.last_page],
        "span": [chunk.start, chunk.end],
        "text": chunk.text,
        "tokens": chunk.tokens,
        "lead": chunk.lead,
        "parent": astuple(chunk.parent) if chunk.parent else None,
    }


def chunk_of(payload: Mapping[str, Any]) -> Chunk:
    """Return the chunk of a stored payload; the encoder's text is not kept there and is empty."""
    return Chunk(
        id=payload["chunk"],
        document=payload["document"],
        title=payload["title"],
        ordinal=payload["ordinal"],
        section=tuple(payload["section"]),
        first_page=payload["pages"][0],
        last_page=payload["pages"][1],
        start=payload["span"][0],
        end=payload["span"][1],
        text=payload["text"],
        encoder_text="",
        tokens=payload["tokens"],
        lead=payload.get("lead", ""),
        parent=Parent(*payload["parent"]) if payload.get("parent") else None,
    )
