"""The pictures of a ledger, drawn from the numbers of ``mining.figures`` and ``mining.similarities``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from flows.reports.canvas import INK, blank, name_row, plain
from mining.figures import CrossScores, FunnelStage, Neighbours, Overlap
from mining.ledger import KEPT, RANDOM, VERDICTS
from mining.similarities import GROUPS, JUDGED, REMOVED, Similarities

# Okabe and Ito's colours, which the colour-blind tell apart too; all of them can be seen on white and on black.
COLOURS = {
    "kept": "#d55e00",
    "random": "#8f949c",
    "relevant": "#009e73",
    "proposed_positive": "#56b4e9",
    "false_negative": "#0072b2",
    "borderline": "#e69f00",
    "too_easy": "#a08c5b",
    "duplicate": "#cc79a7",
    "unselected": "#b4bac4",
}
_GROUP_COLOURS = {JUDGED: COLOURS["relevant"], KEPT: COLOURS["kept"], REMOVED: COLOURS["borderline"], RANDOM: "#8f949c"}
_PLAIN = "#7d8fa8"
_WIDE, _NARROW = 7.4, 3.7  # inches
# Relative probabilities span tens of orders of magnitude; what lies beyond these is drawn at the edge.
RATIOS = (1e-4, 20.0)


def words(verdict: str) -> str:
    """Return a verdict, or the name of a filter, as words."""
    return verdict.replace("_", " ")


def draw_funnel(stages: Sequence[FunnelStage]) -> Figure:
    """Draw one bar for each step: what is left of the candidates, and in colours what the step removed."""
    figure = blank(_WIDE, 0.2 + 0.5 * len(stages))
    axis = figure.subplots()
    for place, stage in enumerate(stages):
        last = place == len(stages) - 1
        axis.barh(place, stage.left, height=0.45, color=COLOURS["kept"] if last else _PLAIN)
        start = stage.left
        for verdict, count in stage.removed.items():
            axis.barh(place, count, left=start, height=0.45, color=COLOURS[verdict])
            start += count
        _number(axis, f"{stage.left:,}", start, place)
        removed = ", ".join(f"{count:,} {words(verdict)}" for verdict, count in stage.removed.items())
        if removed:
            axis.text(0, place + 0.28, f"− {removed}", va="top", color=INK["quiet"], fontsize=8)
    axis.set_yticks(range(len(stages)), [words(stage.name) for stage in stages])
    axis.set_ylim(len(stages) - 0.35, -0.5)
    axis.set_xlim(0, max(stages[0].left, 1))
    axis.set_xticks([])
    plain(axis)
    axis.tick_params(axis="y", length=0, labelcolor=INK["ink"])
    return figure


def draw_similarities(measured: Similarities) -> Figure:
    """Draw one row for each group of pairs, with its median; the judged passages' outline is repeated in the others."""
    figure = blank(_NARROW, 0.5 + 0.62 * len(measured.groups))
    rows = figure.subplots(len(measured.groups), 1, sharex=True, squeeze=False)[:, 0]
    edges = np.asarray(measured.edges)
    for axis, (name, group) in zip(rows, measured.groups.items(), strict=True):
        colour = _GROUP_COLOURS[name]
        axis.stairs(group.shares, edges, fill=True, color=colour, alpha=0.55)
        if name != JUDGED and JUDGED in measured.groups:
            axis.stairs(measured.groups[JUDGED].shares, edges, color=_GROUP_COLOURS[JUDGED], linewidth=0.9)
        axis.axvline(group.median, color=INK["ink"], linewidth=1.1)
        name_row(axis, f"{GROUPS[name]} ({group.pairs:,}), median {group.median:.3f}")
        plain(axis, "bottom")
        axis.tick_params(axis="x", length=0 if axis is not rows[-1] else 3)
    rows[-1].set_xlabel("cosine of query and passage")
    return figure


def draw_sources(overlap: Overlap) -> Figure:
    """Draw what only one source found, and how much of it was kept: a row for each source."""
    sources = sorted(overlap.sources, key=lambda source: (-source.exclusive, source.name))
    figure = blank(_WIDE, 0.8 + 0.34 * len(sources))
    axis = figure.subplots()
    most = max((source.exclusive for source in sources), default=0) or 1
    for place, source in enumerate(sources):
        axis.barh(place, source.exclusive, height=0.62, color=_PLAIN)
        axis.barh(place, source.exclusive_kept, height=0.62, color=COLOURS["kept"])
        said = f"{source.exclusive:,} of {source.found:,}, {source.exclusive_kept:,} kept"
        _number(axis, said, source.exclusive, place)
    axis.set_yticks(range(len(sources)), [source.name for source in sources])
    axis.invert_yaxis()
    axis.set_xlim(0, most)
    axis.set_xlabel("candidates that no other searching source has among its best; in orange those kept as negatives")
    plain(axis, "bottom")
    axis.tick_params(axis="y", length=0, labelcolor=INK["ink"])
    return figure


def draw_combinations(overlap: Overlap) -> Figure:
    """Draw which sources found the same: bars for the largest combinations, dots below for who takes part (UpSet)."""
    names = list(overlap.searching)
    figure = blank(_WIDE, 2.3 + 0.26 * len(names))
    bars, dots = figure.subplots(2, 1, sharex=True, height_ratios=(1.7, 0.26 * len(names)))
    for place, combination in enumerate(overlap.combinations):
        bars.bar(place, combination.found, width=0.62, color=_PLAIN)
        bars.bar(place, combination.kept, width=0.62, color=COLOURS["kept"])
        bars.annotate(
            f"{combination.found:,}",
            (place, combination.found),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=INK["ink"],
            fontsize=8,
        )
        taking_part = [names.index(name) for name in combination.sources]
        dots.plot([place] * len(names), range(len(names)), "o", color=INK["line"], markersize=5)
        dots.plot([place] * len(taking_part), taking_part, "o-", color=INK["ink"], markersize=5, linewidth=1.2)
    bars.set_ylabel("candidates")
    bars.margins(y=0.15)
    plain(bars, "left")
    bars.tick_params(axis="x", length=0, labelbottom=False)
    dots.set_yticks(range(len(names)), names)
    dots.set_xticks([])
    dots.set_ylim(len(names) - 0.5, -0.5)
    plain(dots)
    dots.tick_params(axis="y", length=0, labelcolor=INK["ink"])
    return figure


def draw_neighbours(compared: Neighbours) -> Figure:
    """Draw how many of the first neighbours both distances have in common, as shares of the queries."""
    figure = blank(_NARROW, 2.1)
    axis = figure.subplots()
    numbers = range(compared.first + 1)
    shares = [queries / max(compared.queries, 1) for queries in compared.in_common]
    axis.bar(numbers, shares, width=0.8, color=_PLAIN)
    axis.axvline(compared.share * compared.first, color=COLOURS["kept"], linewidth=1.4)
    axis.set_xticks(numbers)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_xlabel(f"of the first {compared.first} neighbours in common")
    axis.set_ylabel("share of the queries")
    plain(axis, "bottom", "left")
    return figure


def draw_cross_scores(scores: CrossScores, heading: str = "") -> Figure:
    """Draw every candidate by cross-encoder and ensemble, coloured by verdict, with the bounds of the filters."""
    figure = blank(_WIDE, 4.3)
    axis = figure.subplots()
    cross = np.asarray(scores.cross)
    if not scores.logits:
        axis.set_xscale("log")
        cross = np.clip(cross, *RATIOS)
        axis.set_xlim(RATIOS[0] / 1.4, RATIOS[1] * 1.4)
        axis.xaxis.set_major_formatter("{x:g}")
    ensemble, verdicts = np.asarray(scores.ensemble), np.asarray(scores.verdicts)
    shown = [verdict for verdict in reversed(VERDICTS) if verdict in scores.verdicts]
    size = 9 if len(cross) < 5000 else 4
    for verdict in shown:
        of = verdicts == verdict
        axis.scatter(cross[of], ensemble[of], s=size, color=COLOURS[verdict], alpha=0.75, linewidths=0, rasterized=True)
    for place, bound in enumerate(scores.bounds):
        axis.axvline(bound.value, color=INK["ink"], linewidth=1, linestyle=(0, (4, 2)))
        leftwards = place < len(scores.bounds) - 1
        axis.annotate(
            f"{words(bound.name)} {bound.value:g}",
            (bound.value, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3 if leftwards else 3, 3),
            textcoords="offset points",
            ha="right" if leftwards else "left",
            color=INK["ink"],
            fontsize=8,
        )
    axis.set_xlabel(
        "logit of the cross-encoder"
        if scores.logits
        else "probability by the cross-encoder, relative to the best judged passage's (1 is alike)"
    )
    axis.set_ylabel("score of the ensemble")
    if heading:
        axis.set_title(heading, fontsize=9, color=INK["ink"], pad=16, wrap=True, parse_math=False)
    marks = [
        Line2D([], [], linestyle="", marker="o", color=COLOURS[verdict], markersize=5, label=words(verdict))
        for verdict in reversed(shown)
    ]
    if marks:
        figure.legend(
            handles=marks, loc="outside lower center", ncols=5, frameon=False, fontsize=8, labelcolor=INK["ink"]
        )
    plain(axis, "bottom", "left")
    return figure


def _number(axis: Axes, said: str, x: float, y: float) -> None:
    """Write a bar's number behind its end."""
    axis.annotate(said, (x, y), xytext=(6, 0), textcoords="offset points", va="center", color=INK["ink"], fontsize=8)
