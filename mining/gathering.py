"""Candidates gathered for all queries, block by block; a block that was searched before is read back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING

from chunking.document import Chunk
from chunking.language import language
from evaluation.projection import Projection
from indexing.fusion import Run
from indexing.generations import fingerprint_of
from mining.candidates import Case, Corpus, Retriever, find_candidates, ranks, retrieve
from mining.filters import ASK_LIKENESS
from mining.likeness import measure_likeness
from mining.sources import SOURCES
from mining.unfinished import FORMAT, Unfinished

if TYPE_CHECKING:
    from mining.settings import MineSettings

# The runs of so many queries are in memory at a time, and a killed process searches for so many again.
_QUERIES_PER_BLOCK = 128
_SPAN_UNIT = re.compile(r"(.+)#(\d+)-(\d+)", re.DOTALL)


def gather(
    searcher: Retriever,
    texts: Mapping[str, str],
    projection: Projection,
    settings: MineSettings,
    feedback: Run | None,
    kept: Unfinished,
    tell: Callable[[int], None],
) -> list[Case]:
    """Search for all queries (id to text), in order of their ids, and collect each one's candidates.

    Blocks that ``kept`` holds are not searched again. ``tell`` is called with the number of queries that are done:
    first with those of the blocks that were kept, then after each block.
    """
    corpus = Corpus(searcher.chunks)
    ids = sorted(texts)
    blocks = [ids[start : start + _QUERIES_PER_BLOCK] for start in range(0, len(ids), _QUERIES_PER_BLOCK)]
    gathered = {number: cases for number in range(len(blocks)) if (cases := kept.read(number)) is not None}
    done = sum(map(len, gathered.values()))
    tell(done)
    for number, block in enumerate(blocks):
        if number not in gathered:
            of_block = {query: texts[query] for query in block}
            gathered[number] = kept.write(number, _search(searcher, of_block, projection, settings, feedback, corpus))
            done += len(block)
            tell(done)
    return [case for number in range(len(blocks)) for case in gathered[number]]


def key_of(
    searcher: Retriever,
    texts: Mapping[str, str],
    projection: Projection,
    settings: MineSettings,
    feedback: Run | None,
) -> str:
    """Return a fingerprint of all that shapes what ``gather`` returns; a source that reads more must add it here."""
    digest = hashlib.sha256()
    for chunk in searcher.chunks:  # an id is made of document, place and text
        digest.update(chunk.encode())
    return fingerprint_of(
        {
            "specmine": version("specmine"),
            "format": FORMAT,
            "release": asdict(searcher.release),
            "generation": asdict(searcher.generation),
            "chunks": digest.hexdigest(),
            "settings": asdict(settings),
            "feedback": feedback or {},
            "queries": {
                query: (text, projection.units[query], projection.hits[query]) for query, text in texts.items()
            },
        }
    )[:32]


def _search(
    searcher: Retriever,
    texts: Mapping[str, str],
    projection: Projection,
    settings: MineSettings,
    feedback: Run | None,
    corpus: Corpus,
) -> list[Case]:
    """Search for one block of queries."""
    chunks = corpus.chunks
    retrieved = retrieve(
        searcher,
        texts,
        {query: projection.positives(query) for query in texts},
        corpus,
        settings.depth,
        settings.fusion,
        feedback,
    )
    sources = {name: run for source in settings.sources for name, run in SOURCES[source](retrieved, settings).items()}
    candidates = find_candidates(retrieved, sources, settings.depth)
    cases: list[Case] = []
    for query, text in texts.items():
        votes = retrieved.ensemble.get(query, {})
        places = ranks(votes)
        positives = sorted(projection.positives(query), key=lambda c: (places.get(c, len(chunks)), c))
        judged = tuple(chunks[chunk] for chunk in positives)
        cases.append(
            Case(
                query=query,
                text=text,
                language=language(text),
                positives=judged,
                positive_votes=tuple((places[c], votes[c]) if c in votes else None for c in positives),
                spans=_judged_spans(projection, query, judged),
                encoders=retrieved.encoders,
                candidates=candidates[query],
            )
        )
    if ASK_LIKENESS.intersection(settings.filters):
        measure_likeness(cases, searcher)
    return cases


def _judged_spans(projection: Projection, query: str, positives: Sequence[Chunk]) -> tuple[tuple[str, int, int], ...]:
    """Return the judged places of a query: spans as judged, and for other judgements the chunks that answer."""
    spans = []
    places_without_span = set()
    for unit in projection.units[query]:
        span = _SPAN_UNIT.fullmatch(unit)
        if span:
            spans.append((span[1], int(span[2]), int(span[3])))
        else:
            places_without_span.add(unit)
    hits = projection.hits[query]
    spans.extend((c.document, c.start, c.end) for c in positives if places_without_span.intersection(hits[c.id]))
    return tuple(spans)
