"""The pictures of one training: its curves, and the similarities as they moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.reports.canvas import INK, blank, name_row, plain

_RIGHT, _WRONG, _LOSS = "#009e73", "#d55e00", "#0072b2"
_WIDE = 7.4  # inches
# Evaluations whose histograms are drawn: the first, the last, and others evenly between them.
_ROWS = 6


def draw_curves(training: Mapping[str, Any]) -> Figure:
    """Draw the loss by step, and below it the held-out measure where there is one, the overlap and the spread."""
    history = training["history"]
    scored = [(entry["step"], entry["score"]) for entry in history if entry["score"] is not None]
    figure = blank(_WIDE, 4.6)
    axes = figure.subplots(2, 2, sharex=True)
    steps, losses = loss_curve(history)
    _curve(axes[0, 0], steps, losses, "loss (means of a few steps)", _LOSS)
    if scored:
        _curve(axes[0, 1], [step for step, _ in scored], [score for _, score in scored], "held-out measure", _RIGHT)
        axes[0, 1].axvline(training["best"]["step"], color=INK["quiet"], linewidth=0.8, linestyle=":")
    else:
        axes[0, 1].text(0.5, 0.5, "no query stops the training", ha="center", va="center", color=INK["quiet"])
        axes[0, 1].set_yticks([])
        plain(axes[0, 1])
    looked = [entry for entry in history if entry["look"]["similarities"]]
    at = [entry["step"] for entry in looked]
    _curve(
        axes[1, 0], at, [entry["look"]["overlap"] for entry in looked], "overlap of right and wrong passages", _WRONG
    )
    _curve(axes[1, 1], at, [entry["look"]["spread"] for entry in looked], "spread of the queries", _LOSS)
    for axis in axes[1]:
        axis.set_xlabel("step")
    return figure


def draw_similarities(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the similarities of training queries to right and wrong passages, one row for each evaluation."""
    looked = [entry for entry in history if entry["look"]["similarities"]]
    places = sorted({round(place) for place in np.linspace(0, len(looked) - 1, min(_ROWS, len(looked)))})
    figure = blank(_WIDE, 0.5 + 0.75 * len(places))
    rows = figure.subplots(len(places), 1, sharex=True, squeeze=False)[:, 0]
    seen = np.zeros(0)
    for axis, place in zip(rows, places, strict=True):
        entry = looked[place]
        for name, colour in (("positive", _RIGHT), ("negative", _WRONG)):
            shares = np.asarray(entry["look"]["similarities"][name])
            cosines = np.linspace(-1.0, 1.0, len(shares))
            axis.fill_between(cosines, shares, step="mid", color=colour, alpha=0.45, linewidth=0, label=name)
            seen = np.append(seen, cosines[shares > 0])
        name_row(axis, f"step {entry['step']}, overlap {entry['look']['overlap']:.4f}")
        plain(axis, "bottom")
    rows[0].legend(["right passages", "wrong passages"], frameon=False, fontsize=8, labelcolor=INK["quiet"])
    rows[-1].set_xlabel("cosine of a training query and a passage")
    if len(seen):
        rows[-1].set_xlim(max(-1.0, seen.min() - 0.05), min(1.0, seen.max() + 0.05))
    return figure


def loss_curve(history: Sequence[Mapping[str, Any]]) -> tuple[list[float], list[float]]:
    """Return steps and the mean loss around each: a few points for each evaluation."""
    steps: list[float] = []
    losses: list[float] = []
    for before, entry in pairwise(history):
        parts = entry["losses"]
        width = (entry["step"] - before["step"]) / max(1, len(parts))
        steps += [before["step"] + width * (place + 0.5) for place in range(len(parts))]
        losses += parts
    return steps, losses


def _curve(axis: Axes, steps: Sequence[float], values: Sequence[float], title: str, colour: str) -> None:
    axis.plot(steps, values, color=colour, linewidth=1.3, marker="o" if len(steps) < 15 else "", markersize=3)
    axis.set_title(title, loc="left", fontsize=9, color=INK["ink"])
    plain(axis, "bottom", "left")
