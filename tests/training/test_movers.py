from __future__ import annotations

from evaluation.projection import Projection
from training.movers import movers
from training.splits import HeldOut


def test_the_most_changed_queries_come_first_with_what_was_found() -> None:
    queries = ["better", "worse", "same", "slightly"]
    units = {query: {"u": 1} for query in queries}
    hits = {query: {f"{query}-right": ("u",)} for query in queries}
    held_out = HeldOut("dev", dict.fromkeys(queries, "text"), Projection(units, hits, (), ()), {})

    def ranked(query: str, rank: int) -> dict[str, float]:
        chunks = [f"wrong-{number}" for number in range(1, 8)]
        chunks.insert(rank - 1, f"{query}-right")
        return {chunk: -float(place) for place, chunk in enumerate(chunks)}

    before = {"better": ranked("better", 5), "worse": ranked("worse", 1), "same": ranked("same", 2),
              "slightly": ranked("slightly", 2)}  # fmt: skip
    after = {"better": ranked("better", 1), "worse": ranked("worse", 4), "same": ranked("same", 2),
             "slightly": ranked("slightly", 1)}  # fmt: skip
    found = movers(before, after, held_out, "RR@10")
    assert [entry["query"] for entry in found["improved"]] == ["better", "slightly"]
    assert [entry["query"] for entry in found["worsened"]] == ["worse"]
    first = found["improved"][0]
    assert (first["before"], first["after"]) == (1 / 5, 1.0)
    # The three nearest, and the judged one where it stands further down.
    assert [entry["rank"] for entry in first["found_before"]] == [1, 2, 3, 5]
    assert first["found_before"][3] == {"chunk": "better-right", "rank": 5, "judged": True}
    assert [entry["judged"] for entry in first["found_after"]] == [True, False, False]
