"""What is told of leaks between the queries that train and those that decide."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from evaluation.leakage import split_seen
from training.splits import Splits

_PAIRS_TOLD = 20


def leakage_json(splits: Splits) -> dict[str, Any]:
    """Return what the parts share, as JSON-able values.

    ``near_copies`` training queries nearly repeat a held-out one and were left out, and so were ``stopping_copies``
    stopping queries that nearly repeat a deciding one; ``pairs`` names the most similar. ``shared`` of the ``deciding``
    queries are answered by a passage that answers a training query too: what was learned of it may be remembered
    rather than understood, which is why the slices tell these from the others. ``told`` says it in one line.
    """
    deciding = len(splits.verdict.texts)
    shared = len(split_seen(splits.verdict.projection, splits.train_projection).seen)
    copies = _counted(splits.leaks, "training query nearly repeats", "training queries nearly repeat")
    told = f"{copies} a held-out one and did not train; "
    if splits.stopping_leaks:
        stopping = _counted(splits.stopping_leaks, "stopping query nearly repeats", "stopping queries nearly repeat")
        told += f"{stopping} a deciding one and stopped nothing; "
    told += f"{shared} of {deciding} deciding queries are answered by a passage that answers a training query too"
    return {
        "near_copies": splits.leaks,
        "stopping_copies": splits.stopping_leaks,
        "pairs": [asdict(copy) for copy in splits.copies[:_PAIRS_TOLD]],
        "deciding": deciding,
        "shared": shared,
        "told": told,
    }


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
