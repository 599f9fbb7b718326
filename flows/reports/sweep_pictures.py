"""The pictures of a sweep: the scores as the trials came, and each parameter against the score."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from flows.reports.canvas import INK, blank, plain

_COMPLETE, _PRUNED, _BEST = "#0072b2", "#8f949c", "#d55e00"
_COLUMNS = 3
_WIDE = 7.4  # inches
_LONGEST_NAME = 26


def draw_history(result: Mapping[str, Any]) -> Figure:
    """Draw each trial's score in the order of the trials, the best so far as a line, and the configured settings'."""
    figure = blank(_WIDE, 2.8)
    axis = figure.subplots()
    complete = [trial for trial in result["trials"] if trial["score"] is not None]
    short = [trial for trial in result["trials"] if trial["score"] is None and trial["reached"] is not None]
    axis.axhline(result["configured"]["score"], color=INK["ink"], linewidth=1, linestyle="--", label="configured")
    axis.scatter([t["number"] for t in short], [t["reached"] for t in short], s=16, marker="x", color=_PRUNED)
    axis.scatter([t["number"] for t in complete], [t["score"] for t in complete], s=18, color=_COMPLETE)
    best: list[float] = []
    for trial in complete:
        best.append(max([trial["score"], *best[-1:]]))
    axis.step([t["number"] for t in complete], best, where="post", color=_BEST, linewidth=1.2, label="best so far")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("trial; × were cut short, and stand at the last score they had")
    axis.set_ylabel(result["measure"])
    axis.legend(frameon=False, fontsize=8, labelcolor=INK["quiet"])
    plain(axis, "bottom", "left")
    return figure


def drawn_parameters(result: Mapping[str, Any]) -> list[str]:
    """Return the names of the parameters that at least one complete trial drew."""
    names = {name: None for trial in result["trials"] if trial["score"] is not None for name in trial["drawn"]}
    return list(names)


def draw_parameters(result: Mapping[str, Any]) -> Figure:
    """Draw each parameter against the score, one small picture for each, of the complete trials that drew it."""
    names = drawn_parameters(result)
    rows = max(1, math.ceil(len(names) / _COLUMNS))
    figure = blank(_WIDE, 2.3 * rows)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True)
    for axis, name in zip(axes.flat, names, strict=False):
        _scatter(axis, name, result)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel(result["measure"])
    return figure


def _scatter(axis: Axes, name: str, result: Mapping[str, Any]) -> None:
    trials = [trial for trial in result["trials"] if trial["score"] is not None and name in trial["drawn"]]
    values = [trial["drawn"][name] for trial in trials]
    scores = [trial["score"] for trial in trials]
    if any(isinstance(value, str) for value in values):
        choices = list(dict.fromkeys(values))
        axis.scatter([choices.index(value) for value in values], scores, s=18, color=_COMPLETE)
        axis.set_xticks(range(len(choices)), [_name(choice) for choice in choices], rotation=30, ha="right")
        axis.set_xlim(-0.5, len(choices) - 0.5)
    else:
        axis.scatter(values, scores, s=18, color=_COMPLETE)
        space = result["space"].get(name)
        if isinstance(space, dict) and space.get("log"):
            axis.set_xscale("log")
    axis.set_title(name, fontsize=9, loc="left", color=INK["ink"])
    plain(axis, "bottom", "left")


def _name(choice: str) -> str:
    """Return a choice, which is JSON, as few words."""
    value = json.loads(choice)
    shown = (
        " + ".join(f"{weight:g} {name}" for name, weight in value.items()) if isinstance(value, dict) else str(value)
    )
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"
