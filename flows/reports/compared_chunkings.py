"""The report on a comparison of chunkings, as tables of text: the same for a terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flows.reports.tables import Table

_MEASURES = ("nDCG@10", "MRR@10", "Recall@10", "coverage@10")
_APART = ("nDCG@10 long", "nDCG@10 short", "coverage@10 long", "coverage@10 short")


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Return a comparison of chunkings as three tables: what was measured, what it costs, and the paired tests."""
    measured = [
        [row["run"], row["splitter"], *(f"{row[name]:.4f}" for name in (*_MEASURES, *_APART))] for row in result["runs"]
    ]
    costs = [
        [
            entry["splitter"],
            str(entry["passage_tokens"]),
            str(entry["chunks"]),
            f"{entry['bytes'] / 1e6:.1f}",
            str(entry["embedded"]),
            f"{entry['seconds']:.1f}",
            _lost(entry),
        ]
        for entry in result["splitters"]
    ]
    tests = [
        [
            test["run"],
            test["splitter"],
            f"{test['difference']:+.4f}",
            f"{test['interval'][0]:+.4f} to {test['interval'][1]:+.4f}",
            f"{test['p_value']:.3g}",
            f"{test['p_holm']:.3g}",
        ]
        for test in result["tests"]
    ]
    against = f"nDCG@10 against {result['against']}"
    return [
        (f"chunkings on {result['split']}", ["run", "splitter", *_MEASURES, *_APART], measured),
        (
            "what they cost",
            ["splitter", "tokens at most", "passages", "MB", "embedded", "seconds", "unmapped judgements"],
            costs,
        ),
        (against, ["run", "splitter", "difference", "95 % interval", "p", "p (Holm)"], tests),
    ]


def facts(result: Mapping[str, Any]) -> str:
    """Return in one line what a comparison of chunkings rests on."""
    return (
        f"{result['queries']} judged queries, {result['documents']} documents of release {result['release']}; "
        f"{result['queries_long']} queries on long documents (above the median, "
        f"{result['long_documents_above_bytes']} bytes of text), {result['queries_short']} on short ones; "
        "query encoders as pretrained; coverage is the share of the judged spans' characters in the first 10 passages; "
        f"{result['tests'][0]['groups']} groups of queries; {result['seconds']:.1f} s in all"
    )


def markdown(result: Mapping[str, Any]) -> str:
    """Return a comparison of chunkings as a Markdown document."""
    parts = ["# Chunkings compared", facts(result)]
    for title, columns, rows in tables(result):
        parts += [f"## {title[0].upper()}{title[1:]}", _markdown(columns, rows)]
    return "\n\n".join(parts) + "\n"


def _lost(entry: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{count} × {reason}" for reason, count in entry["unmapped_reasons"].items())
    return f"{entry['unmapped_judgements']} ({reasons})" if reasons else "0"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows])
