"""A place to draw with matplotlib without a display, and the two forms in which a drawing leaves it.

As a PNG data URI it goes into artifacts, as SVG into pages. In SVG the colours of INK become CSS variables of the same
name, so that the page decides what is light and what is dark; their hex codes are used for nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK = {"ink": "#1d2430", "quiet": "#667086", "line": "#dfe3eb"}
_DPI = 110
_COLOURS = 128  # of a PNG: flat colours lose nothing, and it has a third of the bytes
# What matplotlib writes about itself would be an address on the web.
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_FONTS = re.compile(r"(font: [^;\"']*?px) '[^;\"]*(?=[;\"])")
_ID = re.compile(r' id="([^"]+)"')


def blank(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches, that arranges what is drawn so that nothing overlaps."""
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axis: Axes, *sides: str) -> None:
    """Leave only these sides of an axis' frame, and draw it and its labels in quiet ink."""
    for side, spine in axis.spines.items():
        spine.set_visible(side in sides)
        spine.set_color(INK["line"])
    axis.tick_params(which="both", color=INK["line"], labelcolor=INK["quiet"], labelsize=8)
    for label in (axis.xaxis.label, axis.yaxis.label):
        label.set_color(INK["quiet"])
        label.set_fontsize(8)


def name_row(axis: Axes, title: str) -> None:
    """Name one of several axes that stand below each other, and leave out its heights: only its shape is compared."""
    axis.set_yticks([])
    axis.set_ylim(bottom=0)
    axis.set_title(title, loc="left", fontsize=8, color=INK["ink"], pad=2)


def png_data_uri(figure: Figure) -> str:
    """Return the figure as a PNG data URI, on white."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    image = Image.open(buffer).convert("RGB").quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE)
    buffer = io.BytesIO()
    image.save(buffer, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def inline_svg(figure: Figure, name: str) -> str:
    """Return the figure as an SVG element for a page, hidden from screen readers: the page says in words what it shows.

    ``name`` keeps apart the ids of several in one page.
    """
    buffer = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "specmine"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=_NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    for variable, colour in INK.items():
        svg = svg.replace(colour, f"var(--{variable})")
    svg = _FONTS.sub(r"\1 system-ui, sans-serif", svg)
    salt = hashlib.sha256(name.encode()).hexdigest()[:6]
    for found in set(_ID.findall(svg)):
        referred = f"#{found}" in svg
        svg = svg.replace(f' id="{found}"', f' id="{salt}{found}"' if referred else "")
        svg = svg.replace(f'"#{found}"', f'"#{salt}{found}"').replace(f"url(#{found})", f"url(#{salt}{found})")
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
