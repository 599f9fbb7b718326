"""On real Japanese text the English cross-encoder is refused, whatever languages it is configured for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evaluation.judgements import read_split
from indexing.encoders.cross import load_cross_encoder
from indexing.home import Home
from indexing.specs import MS_MARCO_L12
from mining.ledger import read_ledger
from mining.mine import mine
from mining.settings import MineSettings

WINDOW, QUERIES, OTHERS = 120, 24, 3


def passages(world: SimpleNamespace, folder: Path) -> tuple[list[Any], dict[str, list[Any]], dict[str, Any], Any]:
    """Queries of as many documents, each one's judged window, and a searcher that finds it behind three others."""
    files = read_split(folder / "queries.dev.jsonl", folder / "judgements.dev.jsonl", "dev")
    texts = {query.id: query for query in files.queries}
    queries: list[Any] = []
    positives: dict[str, list[Any]] = {}
    chunks: dict[str, Any] = {}
    found: dict[str, dict[str, float]] = {}
    for judgement in files.judgements[:: max(1, len(files.judgements) // (2 * QUERIES))]:
        if judgement.query in positives or len(queries) == QUERIES or judgement.start is None:
            continue
        text = (folder / "documents" / judgement.document).read_bytes().decode()
        places = [
            start for start in range(0, len(text) - WINDOW, WINDOW) if start // WINDOW != judgement.start // WINDOW
        ]
        here = judgement.start // WINDOW * WINDOW
        chosen = [here, *places[:: max(1, len(places) // OTHERS)][:OTHERS]]
        if len(chosen) <= OTHERS:
            continue
        made = [
            replace(
                world.chunk(f"{judgement.query}-{start}", judgement.document, start, text[start : start + WINDOW]),
                start=start,
                end=start + WINDOW,
                encoder_text=text[start : start + WINDOW],
            )
            for start in chosen
        ]
        chunks.update({chunk.id: chunk for chunk in made})
        queries.append(texts[judgement.query])
        positives[judgement.query] = made[:1]
        # The judged one ranks third: two are preferred by every encoder.
        order = [made[1], made[2], made[0], made[3]]
        found[judgement.query] = {chunk.id: 1.0 - place / 10 for place, chunk in enumerate(order)}
    return (
        queries,
        positives,
        chunks,
        world.TableSearcher(chunks, dict.fromkeys(("bm25", "minilm", "wordllama"), found)),
    )


@pytest.mark.data
@pytest.mark.models
def test_the_english_cross_encoder_is_refused_on_japanese(
    world: SimpleNamespace, home: Home, models_home: Home, data_folder: Callable[[str], Path]
) -> None:
    queries, positives, _, searcher = passages(world, data_folder("jaquad"))
    assert len(queries) == QUERIES
    claims = load_cross_encoder(replace(MS_MARCO_L12, languages=("en", "ja")), models_home)
    settings = MineSettings(sources=("bm25", "encoder"), random_share=0.0, filters=("cross_encoder",))
    report = mine(searcher, queries, world.projection(positives), claims, settings, home)
    assert report.agreement is not None
    agreement = report.agreement["ja"]
    print(f"\nms-marco-minilm-l12 on Japanese: {agreement}")
    assert agreement.auc is not None
    # By chance .5; the deviation of one query's area over three pairs is at most .5 / sqrt(2): .07 over 24.
    assert 0.25 < agreement.auc < settings.minimum_agreement
    assert agreement.distrust == f"its agreement with the judgements is {agreement.auc:.2f}, below 0.75"
    rows = [row for row in read_ledger(home, report.ledger).rows if row.verdict != "duplicate"]
    assert {row.verdict for row in rows} == {"borderline", "kept"}
    assert all(row.reason.endswith(f"cross-encoder not used: {agreement.distrust}") for row in rows)
    doubted = [row for row in rows if row.verdict == "borderline"]
    assert len(doubted) == 2 * QUERIES
    assert all(row.reason.startswith("2 of 2 encoders rank it above the judged passage") for row in doubted)


@pytest.mark.data
def test_as_configured_it_is_not_even_asked(
    world: SimpleNamespace, home: Home, data_folder: Callable[[str], Path]
) -> None:
    queries, positives, _, searcher = passages(world, data_folder("jaquad"))
    judge = world.TableJudge({}, languages=MS_MARCO_L12.languages)
    settings = MineSettings(sources=("bm25", "encoder"), random_share=0.0, filters=("cross_encoder",))
    report = mine(searcher, queries, world.projection(positives), judge, settings, home)
    assert judge.asked == []
    assert report.agreement is not None
    assert report.agreement["ja"].distrust == "it cannot judge the language of this query"
    rows = read_ledger(home, report.ledger).rows
    assert {row.verdict for row in rows} == {"duplicate", "borderline", "kept"}
    assert all("cannot judge the language of this query" in row.reason for row in rows if row.verdict != "duplicate")
