"""Carving a part out of the training queries, for early stopping."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.judgements import Query
from evaluation.leakage import UnionFind, near_copies


def carve(queries: Sequence[Query], share: float = 0.1, seed: int = 0) -> tuple[list[Query], list[Query]]:
    """Return (training queries, held queries), each in the order given; about ``share`` of them are held, never more.

    Queries of one explicit group and near-identical queries go together. Documents are not kept apart: new questions
    about documents that were learned from are what people ask, and what decides when to stop. (Held out by document,
    training on the RFCs stopped after one epoch, where the dev queries still gained in the fourth.) The smallest group
    is held where all are larger than the share. The result depends on ids and ``seed`` only, not on the order of the
    queries. Raises ``ValueError`` for a share outside (0, 1) and for queries that are all of one group.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    of_query = {query.id: f"group {query.group}" if query.group else f"query {query.id}" for query in queries}
    together = UnionFind()
    for a, b in near_copies(queries):
        together.unite(of_query[a], of_query[b])
    members: dict[str, list[str]] = {}
    for query in sorted(of_query):
        members.setdefault(together.root(of_query[query]), []).append(query)
    if len(members) < 2:
        raise ValueError("the queries are all of one group: nothing can be held out")

    names = sorted(members)
    held: set[str] = set()
    for position in np.random.default_rng(seed).permutation(len(names)):
        group = members[names[position]]
        if len(held) + len(group) <= share * len(queries):
            held.update(group)
    if not held:
        held.update(sorted(members.values(), key=len)[0])
    return [query for query in queries if query.id not in held], [query for query in queries if query.id in held]
