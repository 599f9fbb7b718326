"""Tables of text that stand in several reports: the same for a terminal, Markdown and a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Table = tuple[str, list[str], list[list[str]]]
"""A title, the names of the columns, and the rows."""

COMBINATIONS = ("passages", "weight", "scale", "measure", "ms")


def slice_table(verdict: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the slices of a verdict as columns and rows; those that lose although the mean wins say so."""
    losing = {(entry["family"], entry["name"]) for entry in verdict["losing"]}
    rows = [
        [
            entry["name"] + (" (loses)" if (entry["family"], entry["name"]) in losing else ""),
            str(entry["queries"]),
            f"{entry['before']:.4f}",
            f"{entry['after']:.4f}",
            f"{entry['difference']:+.4f}",
            f"{entry['interval'][0]:+.4f} to {entry['interval'][1]:+.4f}",
        ]
        for entry in verdict["slices"]
    ]
    return ["slice", "queries", "before", "after", "difference", "interval"], rows


def generator_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each generator: documents, made, kept, kept at rank 1, seconds."""
    return [
        [
            name,
            str(done["documents"]),
            str(done["made"]),
            str(done["kept"]),
            str(done["ranks"].get(1, done["ranks"].get("1", 0))),
            f"{done['seconds']:.1f}",
        ]
        for name, done in result["generators"].items()
    ]


def group_line(report: Mapping[str, Any]) -> str:
    """Return which training queries a re-ranker learned from, as a line."""
    queries = report["queries"]
    line = f"learned from {queries['train']} training queries, {queries['held_out']} held out"
    below = queries["answered_below_the_head"]
    return f"{line}; {below} more are answered below the head of their lists" if below else line


def combination_rows(result: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row for each number of passages that was tried; the chosen one is marked."""
    chosen = result["use"]["depth"]
    return [
        (
            f"{one['depth']}{' ←' if one['depth'] == chosen else ''}",
            f"{one['weight']:g}",
            one["scale"],
            f"{one['score']:.4f}",
            f"{one['milliseconds']:.0f}",
        )
        for one in result["held_out"]["tried"]
    ]
