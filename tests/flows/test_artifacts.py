from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from cli.show import learning as show
from flows import artifacts
from flows.reports.similarity_pictures import LARGEST, similarity_histograms

INGEST: dict[str, Any] = {
    "documents": {"indexed": 2, "renamed": 0, "unchanged": 0, "removed": 0, "quarantined": 1},
    "pages": 12,
    "pages_without_text": 3,
    "chunks": 40,
    "generation": "g1",
    "release": "r0001",
    "seconds": 1.5,
    "quarantine": [{"document": "a|b.pdf", "reason": "<script>alert(1)</script>", "page": 7}],
    "warnings": {},
}
TABLES: dict[str, Any] = {
    "family": "kind",
    "name": "tables <b>",
    "queries": 40,
    "before": 0.5,
    "after": 0.45,
    "difference": -0.05,
    "interval": [-0.08, -0.02],
}
VERSION: dict[str, Any] = {
    "encoder": "minilm",
    "version": "20260101T000000-abcd",
    "loss": "full_softmax",
    "before": 0.5,
    "after": 0.6,
    "difference": 0.1,
    "interval": [0.05, 0.15],
    "p_value": 0.001,
    "p_holm": 0.003,
    "systems": 3,
    "verdict": "promoted",
    "slices": [TABLES],
    "losing": [TABLES],
    "reason": "nDCG@10 .5 to .6\nwarning: tables lose\npromoted",
}


def html(markdown: str) -> str:
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))


def histogram(centre: float) -> dict[str, list[float]]:
    similarity = np.linspace(-1, 1, 201)
    shares = {"positive": np.exp(-((similarity - centre) ** 2) * 50), "negative": np.exp(-(similarity**2) * 50)}
    return {name: (values / values.sum()).tolist() for name, values in shares.items()}


def test_the_counts_of_an_ingest_stand_in_a_table() -> None:
    rendered = html(artifacts.ingest_markdown(INGEST))
    assert "<table>" in rendered
    assert "<td>12</td>" in rendered
    assert "<td>7</td>" in rendered


def test_text_from_documents_is_no_markup() -> None:
    rendered = html(artifacts.ingest_markdown(INGEST))
    assert "<script>" not in rendered
    assert "a|b.pdf" in rendered  # one cell, not two


def test_a_long_quarantine_is_cut_and_says_so() -> None:
    entry = {"document": "d" * 200, "reason": "[" * 500, "page": None}
    warnings = {"d" * 200: ["[" * 500] * 300}
    text = artifacts.ingest_markdown({**INGEST, "quarantine": [entry] * 5000, "warnings": warnings})
    assert len(text.encode()) < 200_000
    assert "and 4900 more" in text
    assert "and 200 more" in text


def test_an_evaluation_shows_every_run_and_what_does_not_map() -> None:
    report = {
        "release": "r0001",
        "split": "test",
        "queries": 3,
        "unmapped_judgements": 2,
        "unmapped_reasons": {"quote not found": 2},
        "runs": {"bm25": {"nDCG@10": 0.25, "RR@10": 0.5}, "fusion": {"nDCG@10": 0.75, "RR@10": 1.0}},
    }
    rendered = html(artifacts.evaluation_markdown(report))
    for cell in ("0.2500", "1.0000", "quote not found"):
        assert f"<td>{cell}</td>" in rendered


def test_a_verdict_shows_the_numbers_and_the_picture() -> None:
    picture = similarity_histograms(histogram(0.3), histogram(0.6))
    text = artifacts.verdict_markdown(VERSION, "2 training queries were left out", picture)
    assert len(text.encode()) < 200_000
    rendered = html(text)
    assert "+0.1000" in rendered
    assert "+0.0500 to +0.1500" in rendered
    assert f'src="{picture}"' in rendered
    for line in ("nDCG@10 .5 to .6", "warning: tables lose", "promoted", "2 training queries were left out"):
        assert line in rendered
    assert "tables &lt;b&gt; (loses)" in rendered
    assert "-0.0800 to -0.0200" in rendered


def test_the_terminal_tells_the_same_lines() -> None:
    out = io.StringIO()
    report = {
        "versions": [VERSION],
        "leakage": {"told": "2 training queries were left out"},
        "composition": {
            "reason": "retrain: minilm",
            "learned": None,
            "fusion": None,
            "method": "soft",
            "weights": {"bm25": 1.0},
        },
        "release": "r0002",
        "seconds": 1.0,
    }
    show.retrain(Console(file=out, width=200), report)
    lines = [line.strip() for line in out.getvalue().splitlines()]
    at = lines.index("nDCG@10 .5 to .6")
    assert lines[at : at + 3] == VERSION["reason"].splitlines()
    assert "leakage: 2 training queries were left out" in lines
    assert "published: r0002; retrain: minilm" in lines
    assert any("specmine versions show VERSION" in line for line in lines)  # has the slices
    assert "tables <b>" not in out.getvalue()


def test_the_picture_is_a_png_that_shows_the_change() -> None:
    first = similarity_histograms(histogram(0.3), histogram(0.6))
    head, _, body = first.partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body).startswith(b"\x89PNG\r\n")
    assert len(first) < LARGEST
    assert similarity_histograms(histogram(0.3), histogram(0.6)) == first
    assert similarity_histograms(histogram(0.3), histogram(0.3)) != first


def test_an_empty_histogram_can_be_drawn() -> None:
    nothing = {"positive": [0.0] * 201, "negative": [0.0] * 201}
    assert similarity_histograms(nothing, nothing).startswith("data:image/png")


def test_a_histogram_lacks_a_part() -> None:
    with pytest.raises(KeyError):
        similarity_histograms({"positive": [1.0]}, histogram(0.5))
