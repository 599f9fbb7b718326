"""The ruling lines of a PDF page: thin strokes and bars, and the edges of boxes."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from chunking.pdfium_calls import address, object_bounds, object_type, page_object

_THICKEST = 3.0  # points; a thicker bar is a box
SHORTEST = 4.0  # points; a shorter one is no line of a table: an underscore, or part of a letter or a drawing
_SHORTEST_STROKE = 1.5  # points; no underscore is shorter
_MOST_OBJECTS = 20_000  # a page with more paths or points is a drawing or hostile: its rules tell nothing of tables
_MOST_SEGMENTS = 400
_BOX_SEGMENTS = 5
_WHITE = 255


@dataclass(frozen=True, slots=True)
class Rule:
    """A ruling line, as its box in points (y grows upwards): flat or narrow."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def horizontal(self) -> bool:
        """Whether it is wider than high."""
        return self.right - self.left > self.top - self.bottom


def page_rules(page: pypdfium2.PdfPage) -> list[Rule]:
    """Return the ruling lines and short strokes of a page as drawn, none where it is a drawing of many thousands."""
    count = pdfium.FPDFPage_CountObjects(page)
    if count > _MOST_OBJECTS:
        return []
    width, height = page.get_width(), page.get_height()
    handle = address(page.raw)
    box = (ctypes.c_float * 4)()  # left, bottom, right, top
    edges = [ctypes.addressof(box) + i * ctypes.sizeof(ctypes.c_float) for i in range(4)]
    path = pdfium.FPDF_PAGEOBJ_PATH
    rules: list[Rule] = []
    for i in range(count):
        drawn = page_object(handle, i)
        if object_type(drawn) != path or not object_bounds(drawn, *edges):
            continue
        rules += [rule for rule in _path_rules(drawn, Rule(*box)) if not _frames_page(rule, width, height)]
        if len(rules) > _MOST_OBJECTS:
            return []
    return rules


def _frames_page(rule: Rule, width: float, height: float) -> bool:
    """Whether a rule runs along the whole page: the edge of its background."""
    return rule.right - rule.left > 0.97 * width or rule.top - rule.bottom > 0.97 * height


def _path_rules(drawn: int, box: Rule) -> Iterator[Rule]:
    """Yield the rules of the path at the address ``drawn``, given the box around it."""
    wide, high = box.right - box.left, box.top - box.bottom
    if min(wide, high) <= _THICKEST:
        if max(wide, high) >= _SHORTEST_STROKE:
            yield box
        return
    path = ctypes.cast(drawn, pdfium.FPDF_PAGEOBJECT)
    segments = pdfium.FPDFPath_CountSegments(path)
    if segments <= _BOX_SEGMENTS:
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        pdfium.FPDFPath_GetDrawMode(path, fill, stroke)
        if segments >= _BOX_SEGMENTS - 1 and (stroke.value or (fill.value and not _is_white(path))):
            yield from _edges(box.left, box.bottom, box.right, box.top)
    elif segments <= _MOST_SEGMENTS:
        yield from _straight_segments(path, segments)


def _is_white(path: Any) -> bool:
    """Whether a box is filled white: the background of a cell, which nobody sees."""
    color = [ctypes.c_uint() for _ in range(4)]
    known = pdfium.FPDFPageObj_GetFillColor(path, *color)
    return bool(known) and all(part.value == _WHITE for part in color[:3])


def _edges(left: float, bottom: float, right: float, top: float) -> Iterator[Rule]:
    yield Rule(left, bottom, right, bottom)
    yield Rule(left, top, right, top)
    yield Rule(left, bottom, left, top)
    yield Rule(right, bottom, right, top)


def _straight_segments(path: Any, count: int) -> Iterator[Rule]:
    """Yield the upright and level lines of a path of many; one with curves or slanted lines has none."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(path, matrix)
    x, y = ctypes.c_float(), ctypes.c_float()
    rules = []
    at = start = (0.0, 0.0)
    for i in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(path, i)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        to = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            start = to
        elif kind == pdfium.FPDF_SEGMENT_LINETO:
            rules.append((at, to))
        else:
            return
        at = to
        if pdfium.FPDFPathSegment_GetClose(segment):
            rules.append((at, start))
            at = start
    for (x0, y0), (x1, y1) in rules:
        if min(abs(x0 - x1), abs(y0 - y1)) > 0.5:
            return
    for (x0, y0), (x1, y1) in rules:
        if max(abs(x0 - x1), abs(y0 - y1)) >= _SHORTEST_STROKE:
            yield Rule(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
