"""Underscores that are drawn as lines, and ticks of a font without Unicode values."""

from __future__ import annotations

from pathlib import Path

import pytest
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf


@pytest.mark.parametrize(("turned", "up"), [(0, -0.4), (0, 4.0), (90, -0.4)])
def test_a_short_line_between_two_words_is_an_underscore(tmp_path: Path, turned: int, up: float) -> None:
    canvas = Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    if turned:
        canvas.translate(500, 0)
        canvas.rotate(turned)
    canvas.setFont("Times-Roman", 10)
    x = 72 + stringWidth("returns the Packed", "Times-Roman", 10)
    canvas.drawString(72, 300, "returns the Packed")
    canvas.setLineWidth(0.4)
    canvas.line(x + 0.4, 300 + up, x + 3.4, 300 + up)
    canvas.drawString(x + 3.8, 300, "Decimal value")
    canvas.save()
    text = read_pdf(tmp_path / "a.pdf", "a.pdf", ReadLimits()).text.strip()
    between = "_" if up < 0 else " "  # a line at half the height is a minus sign, for one
    assert text == f"returns the Packed{between}Decimal value"
