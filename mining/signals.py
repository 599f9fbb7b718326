"""What can be seen of a candidate that may be an answer nobody judged: ranks, scores, likeness, words, judgements."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from indexing.bm25 import SparseVector, document_vector, query_vector
from indexing.stores.store import BM25
from mining.candidates import RUN_DEPTH, Candidate, Case

SIGNALS = (
    "the ensemble's score",
    "the logarithm of the ensemble's rank, negative",
    "BM25 score",
    "cosine with the query",
    "cosine with the judged passage",
    "words shared with the query",
    "words shared with the judged passage",
    "queries that both it and the judged passage answer",
    "the cross-encoder's logit",
)


class Signals:
    """The signals of candidates of ``cases``, whose words are weighed by how few of these cases' passages have them.

    Where a likeness is to the judged passage, it is to the nearest of those given.
    """

    def __init__(self, cases: Sequence[Case]) -> None:
        chunks = {
            c.id: c for case in cases for c in (*case.positives, *(o.chunk for o in case.candidates if not o.drawn))
        }
        self._rows = {chunk: row for row, chunk in enumerate(chunks)}
        self._queries = {case.query: row for row, case in enumerate(cases)}
        passages = [document_vector(chunk.encoder_text or chunk.text) for chunk in chunks.values()]
        self._passage_words, self._query_words = _weighed(passages, [query_vector(case.text) for case in cases])
        self._answered: dict[str, set[str]] = defaultdict(set)
        for case in cases:
            for chunk in case.positives:
                self._answered[chunk.id].add(case.query)

    def of(self, case: Case, candidates: Sequence[Candidate], given: Sequence[int]) -> np.ndarray:
        """Return (n, len(SIGNALS)) float64: what is seen of n candidates where ``case.positives[given]`` are judged.

        The logit is not a number where there is none, or where it is not believed.
        """
        judged = [case.positives[place].id for place in given]
        rows = [self._rows[candidate.chunk.id] for candidate in candidates]
        words = self._passage_words[rows]
        to_query = (words @ self._query_words[[self._queries[case.query]]].T).toarray()[:, 0]
        to_judged = (words @ self._passage_words[[self._rows[chunk] for chunk in judged]].T).toarray().max(axis=1)
        together = set().union(*(self._answered[chunk] for chunk in judged)) - {case.query}
        # Judged passages are scored before it is known whether the scores count.
        believed = any(one.cross is not None and not one.without_cross for one in case.open())
        seen = [
            (
                candidate.ensemble or 0.0,
                -math.log(candidate.rank or RUN_DEPTH + 1),
                candidate.found[BM25][1] if BM25 in candidate.found else 0.0,
                candidate.to_query or 0.0,
                max((candidate.to_each_judged[place] for place in given if candidate.to_each_judged), default=0.0),
                to_query[place],
                to_judged[place],
                math.log1p(len(self._answered[candidate.chunk.id] & together)),
                candidate.cross
                if believed and candidate.cross is not None and not candidate.without_cross
                else math.nan,
            )
            for place, candidate in enumerate(candidates)
        ]
        return np.asarray(seen, dtype=np.float64)


def _weighed(passages: Sequence[SparseVector], queries: Sequence[SparseVector]) -> tuple[csr_array, csr_array]:
    """Return unit rows of the words of passages and of queries, weighed by BM25's inverse document frequency."""
    everything = [*passages, *queries]
    vocabulary, columns = np.unique(np.concatenate([one.indices for one in everything]), return_inverse=True)
    ends = np.cumsum([0, *(len(one.indices) for one in everything)])
    frequency = np.bincount(columns[: ends[len(passages)]], minlength=len(vocabulary))
    rarity = np.log1p((len(passages) - frequency + 0.5) / (frequency + 0.5))
    weights = np.concatenate([one.values for one in everything]) * rarity[columns]
    lengths = np.sqrt(np.add.reduceat(np.append(weights**2, 0.0), ends[:-1])) * (np.diff(ends) > 0)
    weights /= np.repeat(np.where(lengths > 0, lengths, 1.0), np.diff(ends))
    matrix = csr_array((weights, columns, ends), shape=(len(everything), len(vocabulary)))
    return matrix[: len(passages)], matrix[len(passages) :]
