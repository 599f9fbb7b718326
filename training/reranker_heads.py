"""What a re-ranker learns to put in order: the head of the list that it will re-order, and nothing else.

Localized contrastive estimation (Gao, Dai & Callan, arXiv 2101.08751) draws negatives from the head of the very list.
The judged passage must be from there too: where it may stand anywhere, what the head has in common (it repeats the
query's words) tells a negative from it, and the model learns to put such passages last.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from training.targets import Example


def in_heads(
    examples: Sequence[Example], heads: Mapping[str, Collection[str]], rows: Mapping[str, int]
) -> list[Example]:
    """Return the examples with what stands in the head of their query's list alone, in order.

    ``heads`` has each query's first passages by id, ``rows`` the row of every passage. Negatives are all of the head
    that may count against the query; judged passages that are not there count for nothing. Left out are the examples
    whose head has no judged passage, or no negative.
    """
    found = []
    for example in examples:
        head = {rows[chunk] for chunk in heads[example.query] if chunk in rows}
        judged, masked = set(example.positives.tolist()), set(example.masked.tolist())
        positives, negatives = judged & head, head - judged - masked
        if positives and negatives:
            beside = masked | (judged - head)
            found.append(replace(example, positives=_rows(positives), masked=_rows(beside), ledger=_rows(negatives)))
    return found


def _rows(rows: Collection[int]) -> np.ndarray:
    return np.asarray(sorted(rows), dtype=np.int64)
