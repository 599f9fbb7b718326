"""How similar queries are to their judged passages, to what was kept, to what was removed, and to what was drawn."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from mining.candidates import Retriever
from mining.ledger import BORDERLINE, FALSE_NEGATIVE, KEPT, PROPOSED_POSITIVE, RANDOM, Ledger

JUDGED, REMOVED = "judged", "removed"
GROUPS = {
    JUDGED: "judged passages",
    KEPT: "kept as hard negatives",
    REMOVED: "removed as false negatives or doubtful",
    RANDOM: "drawn at random",
}
_GROUP_OF = {KEPT: KEPT, RANDOM: RANDOM} | dict.fromkeys((FALSE_NEGATIVE, BORDERLINE, PROPOSED_POSITIVE), REMOVED)
_QUERIES = 200  # a second or so for each encoder to embed
_BINS = 40


@dataclass(frozen=True)
class Group:
    """One kind of pairs: how many, their median cosine, and the share of them in each bin, (bins,) that sum to 1."""

    pairs: int
    median: float
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Similarities:
    """An encoder's cosines of queries and passages: ``groups`` by key of GROUPS, without those that have no pair.

    ``edges`` (bins + 1) are those of equal bins over all that occurs. ``overlap`` is the area that the histograms of
    judged passages and kept negatives share, 0 to 1; None where one of them is empty.
    """

    encoder: str
    queries: int
    edges: tuple[float, ...]
    groups: dict[str, Group]
    overlap: float | None


def measure_similarities(ledger: Ledger, retriever: Retriever, most: int = _QUERIES) -> list[Similarities]:
    """Measure the pairs of at most ``most`` of the ledger's queries, drawn with the ledger's seed.

    ``retriever`` is open on the release that the ledger was mined on.
    """
    ids = sorted(query.id for query in ledger.queries)
    seed = int(ledger.manifest["settings"]["seed"])
    drawn = set(random.Random(seed).sample(ids, min(most, len(ids))))  # noqa: S311 - no secret
    queries = [query for query in ledger.queries if query.id in drawn]
    if not queries:
        return []
    pairs: dict[str, list[tuple[int, str]]] = defaultdict(list)
    places = {query.id: place for place, query in enumerate(queries)}
    for query in queries:
        pairs[JUDGED] += [(places[query.id], chunk) for chunk in query.positives]
    for row in ledger.rows:
        if row.query in drawn and row.verdict in _GROUP_OF:
            pairs[_GROUP_OF[row.verdict]].append((places[row.query], row.chunk))
    embedded = retriever.embed([query.text for query in queries])
    return [
        _histograms(
            encoder,
            len(queries),
            {
                name: np.einsum(
                    "nd,nd->n",
                    embedded[encoder][[place for place, _ in pairs[name]]],
                    retriever.chunk_vectors(encoder, [chunk for _, chunk in pairs[name]]),
                )
                for name in GROUPS
                if pairs[name]
            },
        )
        for encoder in sorted(embedded)
    ]


def _histograms(encoder: str, queries: int, cosines: dict[str, np.ndarray]) -> Similarities:
    everything = np.concatenate(list(cosines.values())) if cosines else np.zeros(1)
    edges = np.histogram_bin_edges(everything, _BINS)
    groups = {
        name: Group(
            len(values),
            float(np.median(values)),
            tuple((np.histogram(values, edges)[0] / len(values)).tolist()),
        )
        for name, values in cosines.items()
    }
    overlap = None
    if JUDGED in groups and KEPT in groups:
        overlap = float(np.minimum(groups[JUDGED].shares, groups[KEPT].shares).sum())
    return Similarities(encoder, queries, tuple(edges.tolist()), groups, overlap)
