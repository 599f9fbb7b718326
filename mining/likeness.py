"""How near query, candidate and judged passage lie to each other, by all encoders together.

The cosine of two texts is the mean of their cosines in each encoder: that of the encoders' unit vectors put end to end,
which is the ensemble of arXiv 2505.18366 before its dimensions are reduced.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mining.candidates import Case, Retriever


def measure_likeness(cases: Sequence[Case], retriever: Retriever) -> None:
    """Give the candidates that not only chance proposed their cosines with the query and with the judged passages."""
    encoders = sorted(retriever.release.encoders)
    embedded = retriever.embed([case.text for case in cases])
    for place, case in enumerate(cases):
        hard = [candidate for candidate in case.candidates if not candidate.drawn]
        ids = [chunk.id for chunk in case.positives] + [candidate.chunk.id for candidate in hard]
        judged = len(case.positives)
        to_query = np.zeros(len(ids))
        to_judged = np.zeros((len(ids), judged))
        for name in encoders:
            vectors = retriever.chunk_vectors(name, ids)
            to_query += vectors @ embedded[name][place] / len(encoders)
            to_judged += vectors @ vectors[:judged].T / len(encoders)
        case.query_to_judged = float(to_query[:judged].max())
        for row, candidate in enumerate(hard, start=judged):
            candidate.to_query, candidate.to_each_judged = float(to_query[row]), tuple(to_judged[row].tolist())
            candidate.to_judged = max(candidate.to_each_judged)
