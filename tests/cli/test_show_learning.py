"""What a person is told of the fusion that a retraining learned."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from cli.show import learning as show

LEARNED = {
    "split": "train",
    "queries": 320,
    "method": "soft",
    "weights": {"minilm": 1.0, "bm25": 0.5},
    "before": 0.55,
    "after": 0.57,
    "held_out": 0.56,
}
VERDICT = {"promoted": False, "reason": "p may be .05 at most\nnot promoted"}
PROMOTED = {"promoted": True, "reason": "promoted"}
TOLD = "fusion learned on 320 queries of train: soft (minilm 1, bm25 0.5), 0.5500 → 0.5700, 0.5600 on folds"


@pytest.mark.parametrize(
    ("learned", "verdict", "told"),
    [
        (None, None, "fusion by rrf (bm25 1): no query was set aside to learn another with"),
        (LEARNED, None, f"{TOLD} that took no part: no better than what is served"),
        ({**LEARNED, "held_out": None}, None, "0.5500 → 0.5700: no better than what is served"),
        (LEARNED, VERDICT, f"{TOLD} that took no part: kept out (p may be .05 at most · not promoted)"),
        (LEARNED, PROMOTED, f"{TOLD} that took no part: better (promoted)"),
    ],
)
def test_the_line_about_the_fusion(learned: Any, verdict: Any, told: str) -> None:
    console = Console(record=True, width=200)
    composition = {"method": "rrf", "weights": {"bm25": 1.0}, "learned": learned, "fusion": verdict, "reason": "so"}
    report = {"versions": [], "composition": composition, "leakage": {"told": "none"}, "release": None, "seconds": 1.0}
    show.retrain(console, report)
    assert told in console.export_text()
