"""Re-ranking: the head of a fused list is scored by a cross-encoder and put in a new order.

A cross-encoder reads query and passage together, which is better than comparing their vectors and costs thousands of
times as much: so it reads few passages. Its score and the fused one know different things, so that their mean orders.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from chunking.document import SECTION_SEPARATOR, Chunk
from chunking.encoder_text import clean
from chunking.language import language
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json
from indexing.releases import Reranker
from indexing.specs import CrossEncoderSpec, DirectorySource

# Pairs scored between two looks at the clock.
_AT_ONCE = 4
MODEL = "model"

Scale = Callable[[np.ndarray], np.ndarray]
"""From a query's (n,) logits to (n,) scores that are fit to be averaged with fused ones, which lie in 0 to 1."""


class PairScorer(Protocol):
    """What re-ranking needs of ``indexing.encoders.cross.CrossEncoder``."""

    def judges(self, language: str) -> bool:
        """Tell whether texts of this language (ISO 639-1) can be judged."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return a float32 logit for each pair of query and passage."""
        ...


def placed_text(chunk: Chunk) -> str:
    """Return what a re-ranker reads of a chunk: title, section path and text, with the header of a table it is within.

    All of it is kept in the store: ``encoder_text``, which mining's filter reads, is not.
    """
    path = SECTION_SEPARATOR.join(chunk.section)
    return "\n".join(line for part in (chunk.title, path, chunk.lead, chunk.text) if (line := clean(part)))


def rerank(
    query: str,
    ranking: Mapping[str, float],
    by: Reranker,
    cross: PairScorer,
    chunks: Callable[[Sequence[str]], Mapping[str, Chunk]],
    seconds: float | None,
) -> dict[str, float]:
    """Return a fused ranking with its head re-ordered; ``chunks`` gives the chunks of some ids.

    No new batch is begun once ``seconds`` are over; what was not scored keeps its order behind what was. A query of a
    language that the re-ranker was not proven in, or cannot read, is left as it is.
    """
    if not may_reorder(query, by, cross):
        return dict(ranking)
    head = first(ranking, by.depth)
    found = chunks(head)
    head = [chunk for chunk in head if chunk in found]
    started = time.perf_counter()
    logits: dict[str, float] = {}
    for start in range(0, len(head), _AT_ONCE):
        if seconds is not None and time.perf_counter() - started > seconds:
            break
        part = head[start : start + _AT_ONCE]
        scores = cross.score([(query, placed_text(found[chunk])) for chunk in part])
        logits.update(zip(part, map(float, scores), strict=True))
    return reordered(ranking, logits, by)


def may_reorder(query: str, by: Reranker, cross: PairScorer) -> bool:
    """Tell whether a re-ranker may touch a query: it reads the query's language, and was proven in it."""
    spoken = language(query)
    return cross.judges(spoken) and (by.languages is None or spoken in by.languages)


def first(ranking: Mapping[str, float], depth: int) -> list[str]:
    """Return the ids of the first ``depth`` of a ranking, best first; ties go by id, as in every ranking."""
    return sorted(ranking, key=lambda chunk: (-ranking[chunk], chunk))[:depth]


def reordered(ranking: Mapping[str, float], logits: Mapping[str, float], by: Reranker) -> dict[str, float]:
    """Return a ranking with the chunks of ``logits`` first, in order of the mean of both scores."""
    scored = [chunk for chunk in logits if chunk in ranking]
    if not scored:
        return dict(ranking)
    fused = _min_max(np.array([ranking[chunk] for chunk in scored]))
    cross = SCALES[by.scale](np.array([logits[chunk] for chunk in scored]))
    mixed = (1.0 - by.weight) * fused + by.weight * cross
    above = max(ranking.values()) + 1.0 - float(mixed.min())
    return {**ranking, **{chunk: above + float(score) for chunk, score in zip(scored, mixed, strict=True)}}


def _min_max(scores: np.ndarray) -> np.ndarray:
    """0 (the least) to 1 (the greatest), all 1 where all are equal."""
    spread = float(np.ptp(scores))
    return np.asarray((scores - scores.min()) / spread if spread > 0 else np.ones_like(scores))


def _logit(scores: np.ndarray) -> np.ndarray:
    """The logits as they are, 0 for the best: where the cross-encoder is not sure, the fused score decides."""
    return np.asarray(scores - scores.max())


SCALES: dict[str, Scale] = {"minmax": _min_max, "logit": _logit}


def reranker_spec(home: Home, version: str) -> CrossEncoderSpec:
    """Return where a trained re-ranker lies and what it reads. Raises SpecmineError when it is gone."""
    folder = home.rerankers / version
    if not is_whole(folder):
        raise SpecmineError(f"version {version!r} of the re-ranker is gone from {folder}: roll back")
    manifest = read_json(folder / MANIFEST)
    return CrossEncoderSpec(
        name=f"{manifest['name']}-{version}",
        source=DirectorySource(str(folder / MODEL)),
        max_tokens=int(manifest["max_tokens"]),
        languages=tuple(manifest["languages"]),
    )
