"""Numbers of a ledger of two queries that is written out here, so that every count can be made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from mining.figures import (
    Bound,
    Combination,
    FunnelStage,
    SourceFinds,
    compare_neighbours,
    count_languages,
    cross_scores,
    funnel,
    hardest,
    source_overlap,
)
from mining.ledger import FoundBy, Ledger, LedgerQuery, LedgerRow

SETTINGS: dict[str, Any] = {
    "sources": ["random", "bm25", "encoder", "hyperbolic", "ensemble"],
    "depth": 3,
    "filters": ["near_duplicates", "cross_encoder"],
    "floor": 0.01,
    "borderline": 0.8,
    "rho": 0.95,
    "cross_range": [-11.0, 0.0],
    "seed": 13,
}
QUERIES = (LedgerQuery("q1", "one", "en", ("a",)), LedgerQuery("q2", "二", "ja", ("b",)))


def row(query: str, chunk: str, verdict: str, ensemble: float | None = None, **more: Any) -> LedgerRow:
    sources = tuple(FoundBy(name, rank, 1 / rank) for name, rank in more.pop("found", {}).items())
    values: dict[str, Any] = {"cross_score": None, "positive_cross_score": None, "reason": "because", **more}
    return LedgerRow(query, chunk, "d.txt", 0, 9, sources, ensemble, verdict=verdict, **values)


def ledger(*rows: LedgerRow, removed: dict[str, dict[str, int]] | None = None, **settings: Any) -> Ledger:
    manifest = {
        "settings": {**SETTINGS, **settings},
        "encoders": {"minilm": {}},
        "removed": removed or {},
        "agreement": {"en": {"auc": 0.9, "distrust": ""}, "ja": {"auc": None, "distrust": "no Japanese"}},
    }
    return Ledger("20260101T000000000-abcdef", rows, QUERIES, manifest)


def test_the_funnel_adds_up_to_what_trains() -> None:
    verdicts = (
        ["duplicate"] * 2 + ["false_negative"] + ["too_easy"] * 3 + ["unselected"] * 4 + ["kept"] * 5 + ["random"]
    )
    rows = [row("q1", f"c{place}", verdict) for place, verdict in enumerate(verdicts)]
    removed = {
        "judged_passages": {"duplicate": 2},
        "cross_encoder": {"false_negative": 1, "too_easy": 3, "unselected": 1},
    }
    assert funnel(ledger(*rows, removed=removed)) == [
        FunnelStage("candidates", {}, 16),
        FunnelStage("judged_passages", {"duplicate": 2}, 16 - 2),
        FunnelStage("cross_encoder", {"false_negative": 1, "too_easy": 3, "unselected": 1}, 14 - 5),
        FunnelStage("choice", {"unselected": 4 - 1}, 9 - 3),
    ]


def test_what_people_decided_comes_first_and_their_negatives_stay() -> None:
    rows = [row("q1", "a", "relevant", reviewer="Eve"), row("q1", "b", "kept", reviewer="Eve"), row("q1", "c", "kept")]
    assert funnel(ledger(*rows)) == [
        FunnelStage("candidates", {}, 3),
        FunnelStage("people", {"relevant": 1}, 2),
        FunnelStage("choice", {}, 2),
    ]


@pytest.mark.parametrize("became", ["proposed_positive", "relevant"])
def test_what_was_proposed_counts_with_the_filter_that_set_it_aside(became: str) -> None:
    rows = [row("q1", "a", became), row("q1", "b", became), row("q1", "c", "false_negative"), row("q1", "d", "kept")]
    removed = {"cross_encoder": {"false_negative": 2, "borderline": 1}}
    assert funnel(ledger(*rows, removed=removed))[1:] == [
        FunnelStage("cross_encoder", {became: 2, "false_negative": 1}, 4 - 3),
        FunnelStage("choice", {}, 1),
    ]


def test_verdicts_are_counted_by_the_language_of_the_query() -> None:
    rows = [row("q1", "x", "kept"), row("q1", "y", "kept"), row("q2", "x", "borderline"), row("q2", "y", "kept")]
    english, japanese = count_languages(ledger(*rows))
    assert (english.language, english.queries, english.verdicts, english.auc) == ("en", 1, {"kept": 2}, 0.9)
    assert (japanese.verdicts, japanese.distrust) == ({"kept": 1, "borderline": 1}, "no Japanese")


def test_a_find_is_exclusive_where_no_other_searching_source_has_it_within_the_depth() -> None:
    rows = [
        row("q1", "a", "duplicate", found={"bm25": 1, "ensemble": 1}),  # judged; the ensemble is no searching source
        row("q1", "x", "kept", found={"bm25": 3, "minilm": 4}),  # 4 is deeper than mining looks: bm25's alone
        row("q1", "y", "kept", found={"bm25": 2, "minilm": 2}),
        row("q1", "z", "unselected", found={"minilm": 1, "random": 1}),
        row("q2", "x", "unselected", found={"ensemble": 3}),
        row("q2", "y", "random", found={"random": 1}),
    ]
    overlap = source_overlap(ledger(*rows))
    assert overlap.searching == ("bm25", "minilm")
    assert overlap.sources == (
        SourceFinds("bm25", found=3, kept=2, judged=1, exclusive=2, exclusive_kept=1, exclusive_judged=1),
        SourceFinds("ensemble", found=2, kept=0, judged=1, exclusive=1, exclusive_kept=0, exclusive_judged=0),
        SourceFinds("minilm", found=2, kept=1, judged=0, exclusive=1, exclusive_kept=0, exclusive_judged=0),
    )
    assert overlap.combinations == (
        Combination(("bm25",), 2, 1),
        Combination(("bm25", "minilm"), 1, 1),
        Combination(("minilm",), 1, 0),
    )
    assert overlap.others == 0


def test_neighbours_by_both_distances_are_compared_query_by_query() -> None:
    rows = [
        row("q1", "a", "duplicate", found={"minilm": 1, "hyperbolic:minilm": 2}),
        row("q1", "x", "kept", found={"minilm": 2, "hyperbolic:minilm": 4}),
        row("q1", "y", "kept", found={"minilm": 3, "hyperbolic:minilm": 3}),
        row("q1", "z", "unselected", found={"minilm": 9, "hyperbolic:minilm": 1}),
        *(row("q2", name, "kept", found={"minilm": n, "hyperbolic:minilm": n}) for n, name in enumerate("xyz", 1)),
    ]
    (compared,) = compare_neighbours(ledger(*rows))
    assert (compared.first, compared.queries, compared.in_common) == (3, 2, (0, 0, 1, 1))
    assert compared.share == pytest.approx((2 / 3 + 3 / 3) / 2)
    assert (compared.judged, compared.kept) == ((1, 1), (2 + 3, 1 + 3))
    (example,) = compared.examples
    assert example.query.id == "q1"
    assert [(one.rank, one.row.chunk) for one in example.cosine] == [(2, "x")]
    assert [(one.rank, one.row.chunk) for one in example.hyperbolic] == [(1, "z")]


def test_no_neighbours_without_the_source_or_with_equal_norms() -> None:
    rows = [row("q1", "x", "kept", found={"minilm": 1})]
    assert compare_neighbours(ledger(*rows, sources=["bm25", "encoder"])) == []
    (compared,) = compare_neighbours(ledger(*rows))
    assert (compared.queries, compared.share, compared.examples) == (0, 0.0, ())


def test_cross_scores_are_probabilities_relative_to_the_judged_passage() -> None:
    both = row("q1", "x", "kept", 0.5, cross_score=0.0, positive_cross_score=1000.0)
    rows = [both, row("q1", "y", "kept", 0.5), row("q1", "z", "kept", cross_score=0.0, positive_cross_score=0.0)]
    scores = cross_scores(ledger(*rows))
    assert (scores.cross, scores.ensemble, scores.verdicts) == ((0.5,), (0.5,), ("kept",))
    assert scores.bounds == (Bound("floor", 0.01), Bound("borderline", 0.8), Bound("rho", 0.95))
    by_logit = cross_scores(ledger(*rows, filters=["cross_bounds"]))
    assert (by_logit.cross, by_logit.logits) == ((0.0,), True)
    assert [bound.value for bound in by_logit.bounds] == [-11.0, 0.0]
    assert cross_scores(ledger(*rows, filters=["calibrated"])).bounds == ()
    assert cross_scores(ledger()).cross == ()


def test_the_hardest_are_kept_and_one_for_a_query() -> None:
    rows = [
        row("q1", "x", "kept", 0.7),
        row("q1", "y", "kept", 0.9),
        row("q1", "z", "false_negative", 1.0),
        row("q2", "x", "kept", 0.8),
    ]
    assert [(hard.query.id, hard.row.chunk) for hard in hardest(ledger(*rows))] == [("q1", "y"), ("q2", "x")]
    assert [hard.row.chunk for hard in hardest(ledger(*rows), most=1)] == ["y"]
