"""What became of the candidates from one ledger to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mining.ledger import VERDICTS, Ledger, LedgerRow

ABSENT = "absent"
# What explains a difference; the rest of a manifest follows from these and from the settings.
_TOOK_PART = (
    "specmine",
    "release",
    "generation",
    "content",
    "fusion_weights",
    "encoders",
    "cross_encoder",
    "agreement",
    "queries_fingerprint",
    "decisions_fingerprint",
    "feedback_fingerprint",
)


@dataclass(frozen=True)
class LedgerDiff:
    """Two ledgers side by side. The same passage of the same query is one candidate.

    ``matrix`` counts all candidates of both: verdict before → verdict after → how many, ABSENT where only one has it.
    ``changed`` are the candidates with another verdict, before and after; ``appeared`` are only in the later ledger,
    ``gone`` only in the earlier; all in order of query and passage. ``took_part`` maps what took part in the mining,
    settings included, to what it was before and after, where that differs.
    """

    matrix: dict[str, dict[str, int]]
    changed: tuple[tuple[LedgerRow, LedgerRow], ...]
    appeared: tuple[LedgerRow, ...]
    gone: tuple[LedgerRow, ...]
    took_part: dict[str, tuple[Any, Any]]


def diff_ledgers(before: Ledger, after: Ledger) -> LedgerDiff:
    """Compare two ledgers candidate by candidate."""
    old = {(row.query, row.chunk): row for row in before.rows}
    new = {(row.query, row.chunk): row for row in after.rows}
    words = [*VERDICTS, ABSENT]
    counts = {first: dict.fromkeys(words, 0) for first in words}
    for key in old.keys() | new.keys():
        counts[old[key].verdict if key in old else ABSENT][new[key].verdict if key in new else ABSENT] += 1
    return LedgerDiff(
        {first: {then: n for then, n in row.items() if n} for first, row in counts.items() if any(row.values())},
        tuple((old[key], new[key]) for key in sorted(old.keys() & new.keys()) if old[key].verdict != new[key].verdict),
        tuple(new[key] for key in sorted(new.keys() - old.keys())),
        tuple(old[key] for key in sorted(old.keys() - new.keys())),
        differing(before.manifest, after.manifest),
    )


def differing(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what took part in the minings of two manifests, settings included, and was not the same in both."""
    pairs = {name: (before.get(name), after.get(name)) for name in _TOOK_PART}
    old, new = before.get("settings", {}), after.get("settings", {})
    pairs |= {f"[mine] {name}": (old.get(name), new.get(name)) for name in {**old, **new}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
