"""Two ledgers compared, with counts that can be counted by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mining.diff import ABSENT, diff_ledgers
from mining.ledger import VERDICTS, Ledger, LedgerRow


def row(query: str, chunk: str, verdict: str) -> LedgerRow:
    return LedgerRow(query, chunk, "d", 0, 9, (), None, None, None, verdict, "because")


def ledger(rows: list[LedgerRow], **manifest: Any) -> Ledger:
    return Ledger("l", tuple(rows), (), manifest)


def test_what_changed_appeared_and_went_away() -> None:
    before = ledger([row("q", "a", "kept"), row("q", "b", "kept"), row("q", "c", "random"), row("r", "a", "kept")])
    after = ledger(
        [row("q", "a", "kept"), row("q", "b", "borderline"), row("r", "a", "borderline"), row("r", "d", "kept")]
    )
    found = diff_ledgers(before, after)
    assert found.matrix == {
        "kept": {"kept": 1, "borderline": 2},
        "random": {ABSENT: 1},
        ABSENT: {"kept": 1},
    }
    assert [(old.query, old.chunk, old.verdict, new.verdict) for old, new in found.changed] == [
        ("q", "b", "kept", "borderline"),
        ("r", "a", "kept", "borderline"),
    ]
    assert [(new.query, new.chunk) for new in found.appeared] == [("r", "d")]
    assert [(old.query, old.chunk) for old in found.gone] == [("q", "c")]


def test_what_took_part_is_compared() -> None:
    before = ledger([], release="r1", content=3, created="x", settings={"rho": 0.9, "seed": 13, "gone": 1})
    after = ledger([], release="r2", content=3, created="y", settings={"rho": 0.95, "seed": 13, "new": 2})
    assert diff_ledgers(before, after).took_part == {
        "release": ("r1", "r2"),
        "[mine] rho": (0.9, 0.95),
        "[mine] gone": (1, None),
        "[mine] new": (None, 2),
    }


candidates = st.dictionaries(
    st.tuples(st.sampled_from("qr"), st.sampled_from("abcd")), st.sampled_from(sorted(VERDICTS))
)


@given(candidates, candidates)
def test_every_candidate_is_counted_once(old: dict[tuple[str, str], str], new: dict[tuple[str, str], str]) -> None:
    found = diff_ledgers(
        ledger([row(*key, verdict) for key, verdict in old.items()]),
        ledger([row(*key, verdict) for key, verdict in new.items()]),
    )
    counts = [(before, after, n) for before, row in found.matrix.items() for after, n in row.items()]
    assert sum(n for _, _, n in counts) == len(old.keys() | new.keys())
    assert sum(n for before, after, n in counts if ABSENT not in (before, after) and before != after) == len(
        found.changed
    )
    assert sum(found.matrix.get(ABSENT, {}).values()) == len(found.appeared) == len(new.keys() - old.keys())
    assert sum(row.get(ABSENT, 0) for row in found.matrix.values()) == len(found.gone) == len(old.keys() - new.keys())
