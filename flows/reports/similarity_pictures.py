"""The picture on a verdict: similarities before and after, as a PNG data URI small enough for an artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from flows.reports.canvas import blank, png_data_uri

LARGEST = 200_000  # bytes of a data URI; Prefect's lists carry whole artifact bodies
_COLOURS = {"positive": "#1a7f5a", "negative": "#b3401f"}

Histogram = Mapping[str, Sequence[float]]
"""``positive`` and ``negative``: shares at equally spaced similarities from -1 to 1."""


def similarity_histograms(before: Histogram, after: Histogram) -> str:
    """Draw the similarities of queries to their positives and to all other passages, before and after, one above the
    other, and return the picture as a data URI. Raises ValueError when it would be larger than ``LARGEST`` bytes.
    """
    figure = blank(7, 4.2)
    axes = figure.subplots(2, 1, sharex=True)
    for axis, title, histogram in zip(axes, ("before", "after"), (before, after), strict=True):
        for name, colour in _COLOURS.items():
            shares = np.asarray(histogram[name], dtype=float)
            similarity = np.linspace(-1.0, 1.0, len(shares))
            axis.fill_between(similarity, shares, step="mid", color=colour, alpha=0.35, linewidth=0)
            axis.step(similarity, shares, where="mid", color=colour, linewidth=1.0, label=name)
        axis.set_ylabel(f"{title}: share of pairs")
        axis.set_ylim(bottom=0)
    axes[0].legend(frameon=False)
    axes[1].set_xlabel("cosine similarity of query and passage")
    axes[1].set_xlim(*_occupied([before, after]))
    uri = png_data_uri(figure)
    if len(uri) > LARGEST:
        raise ValueError(f"the picture has {len(uri)} bytes; an artifact may have {LARGEST}")
    return uri


def _occupied(histograms: Sequence[Histogram]) -> tuple[float, float]:
    """Return the range of similarities that occur, with a little room beside it."""
    shares = np.sum([np.asarray(histogram[name]) for histogram in histograms for name in _COLOURS], axis=0)
    similarity = np.linspace(-1.0, 1.0, len(shares))
    seen = similarity[shares > 0]
    if not len(seen):
        return -1.0, 1.0
    return max(-1.0, float(seen[0]) - 0.05), min(1.0, float(seen[-1]) + 0.05)
