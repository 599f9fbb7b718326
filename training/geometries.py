"""Geometries compared in retrieval: what each finds of judged queries, and which neighbours only it picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from chunking.document import SECTION_SEPARATOR
from evaluation.judgements import Judgement, Query
from evaluation.leakage import groups
from evaluation.measures import Measures, measure
from evaluation.projection import Projection
from evaluation.significance import holm
from evaluation.verdict import compare
from indexing.embedding import Progress
from indexing.fusion import Run
from indexing.geometry import GEOMETRIES
from indexing.home import SpecmineError
from indexing.search import Searcher
from training.referee import embedded_run

TESTED = "nDCG@10"
_LEVEL = 0.95
_FIRST = 10
_EXAMPLES = 3
_SHOWN = ("nDCG@10", "RR@10", "R@10", "R@100")


def compare_geometries(
    searcher: Searcher,
    queries: Sequence[Query],
    judgements: Sequence[Judgement],
    projection: Projection,
    progress: Progress,
) -> dict[str, Any]:
    """Return, for each served encoder and geometry, the measures on judged queries and what it shares with the cosine.

    ``rows`` hold the measures and, of the first ten, the share that the cosine has among its own; ``tests`` compare
    each with the cosine, the p-values being Holm's; ``neighbours`` tell, for the queries where least is shared, what
    only one of them picks. Encoders that have the cosine alone are ``left_out``, with the reason. All documents are
    compared.
    """
    texts = {query.id: query.text for query in queries if query.id in projection.units}
    of_query = groups(queries, judgements)
    rows: list[dict[str, Any]] = []
    tests: list[dict[str, Any]] = []
    neighbours: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    names = searcher.generation.names
    for place, name in enumerate(names):
        progress("comparing geometries", place, len(names))
        try:
            runs = _runs(searcher, name, texts)
        except SpecmineError as error:
            left_out[name] = str(error)
            continue
        if len(runs) == 1:
            left_out[name] = "it gives all texts the same norm, so that every geometry finds the same"
        measured = {kind: measure(run, projection) for kind, run in runs.items()}
        first = {kind: {query: _best(run[query]) for query in texts} for kind, run in runs.items()}
        for kind, values in measured.items():
            shared = [len(first["cosine"][query] & first[kind][query]) / _FIRST for query in texts]
            means = {key: values.mean[key] for key in _SHOWN}
            rows.append({"encoder": name, "geometry": kind, **means, "shared": float(np.mean(shared))})
        tests += [
            {"encoder": name, "geometry": kind, **_against(measured["cosine"], values, of_query)}
            for kind, values in measured.items()
            if kind != "cosine"
        ]
        if "hyperbolic" in runs:
            neighbours += _least_shared(searcher, name, texts, runs, projection)
    progress("comparing geometries", len(names), len(names))
    adjusted = holm([test["p_value"] for test in tests])
    return {
        "release": searcher.release.id,
        "queries": len(texts),
        "rows": rows,
        "tests": [{**test, "p_holm": p} for test, p in zip(tests, adjusted, strict=True)],
        "neighbours": neighbours,
        "left_out": left_out,
    }


def _runs(searcher: Searcher, encoder: str, texts: Mapping[str, str]) -> dict[str, Run]:
    """Search with one encoder by every geometry; that of the release keeps its curvature and weight."""
    embedded = searcher.encoders[encoder].embed_with_norms(list(texts.values()))
    documents = searcher.document_vectors(encoder)
    served = searcher.release.geometry_of(encoder)
    runs: dict[str, Run] = {}
    for kind in GEOMETRIES:
        geometry = searcher.measured(encoder, replace(served, kind=kind))
        if geometry.kind == kind:
            lengths = searcher.document_lengths(encoder) if geometry.has_points else None
            runs[kind] = embedded_run(list(texts), embedded, documents, searcher.chunk_ids, geometry, lengths)
    return runs


def _against(cosine: Measures, other: Measures, of_query: Mapping[str, str]) -> dict[str, Any]:
    return asdict(compare(cosine, other, of_query, TESTED, _LEVEL))


def _best(found: Mapping[str, float]) -> set[str]:
    return set(sorted(found, key=lambda chunk: (-found[chunk], chunk))[:_FIRST])


def _least_shared(
    searcher: Searcher, encoder: str, texts: Mapping[str, str], runs: Mapping[str, Run], projection: Projection
) -> list[dict[str, Any]]:
    """Return what only the cosine, or only the distance, has among the first of the queries that share least."""
    first = {query: (_best(runs["cosine"][query]), _best(runs["hyperbolic"][query])) for query in sorted(texts)}
    order = sorted(first, key=lambda query: len(first[query][0] & first[query][1]))
    told = []
    for query in order[:_EXAMPLES]:
        positives = set(projection.positives(query))
        cosine, hyperbolic = first[query]
        sides = {"cosine": cosine - hyperbolic, "hyperbolic": hyperbolic - cosine}
        told.append(
            {
                "encoder": encoder,
                "query": texts[query],
                "shared": len(cosine & hyperbolic),
                **{
                    kind: [
                        _place(searcher, chunk, chunk in positives)
                        for chunk in sorted(only, key=partial(_rank, runs[kind][query]))
                    ]
                    for kind, only in sides.items()
                },
            }
        )
    return told


def _rank(found: Mapping[str, float], chunk: str) -> tuple[float, str]:
    return -found[chunk], chunk


def _place(searcher: Searcher, chunk_id: str, judged: bool) -> dict[str, Any]:
    chunk = searcher.chunks[chunk_id]
    section = SECTION_SEPARATOR.join(chunk.section)
    return {"document": chunk.document, "section": section, "page": chunk.first_page, "judged": judged}
