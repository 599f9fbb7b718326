"""The queries that a training helped and hurt most, with what was found for them before and after."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from evaluation.measures import measure
from indexing.fusion import Run
from training.splits import HeldOut

# Queries of each kind, and passages of each side.
QUERIES = 8
PASSAGES = 3


def movers(before: Run, after: Run, held_out: HeldOut, name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the queries that gained (``improved``) and lost (``worsened``) most by a measure, the most changed first.

    Each has its ``query``, the measure ``before`` and ``after``, and the nearest passages of both: ``chunk``, ``rank``
    and whether it is ``judged``. After the nearest comes the best judged passage, where it is further down.
    """
    projection = held_out.projection
    old, new = measure(before, projection).column(name), measure(after, projection).column(name)
    changed = sorted(old, key=lambda query: (new[query] - old[query], query))

    def told(query: str) -> dict[str, Any]:
        answers = projection.positives(query)
        return {
            "query": query,
            "before": old[query],
            "after": new[query],
            "found_before": _nearest(before.get(query, {}), answers),
            "found_after": _nearest(after.get(query, {}), answers),
        }

    return {
        "improved": [told(query) for query in changed[: -QUERIES - 1 : -1] if new[query] > old[query]],
        "worsened": [told(query) for query in changed[:QUERIES] if new[query] < old[query]],
    }


def _nearest(scores: Mapping[str, float], answers: Collection[str]) -> list[dict[str, Any]]:
    ranked = sorted(scores, key=lambda chunk: (-scores[chunk], chunk))
    shown = list(enumerate(ranked[:PASSAGES], start=1))
    first = next(((rank, chunk) for rank, chunk in enumerate(ranked, start=1) if chunk in answers), None)
    if first is not None and first[0] > PASSAGES:
        shown.append(first)
    return [{"chunk": chunk, "rank": rank, "judged": chunk in answers} for rank, chunk in shown]
