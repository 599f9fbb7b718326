"""The page of the sample documents: fonts, styles, title page and running pages, and the count of pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, IndexingFlowable, PageTemplate, Paragraph

FONTS = Path(__file__).parent / "fonts"
REGULAR, BOLD, FIXED = "NotoSansJP-Regular", "NotoSansJP-Bold", "Courier"
INK, RULE, SHADE = HexColor("#1f3a5f"), HexColor("#9aa7b5"), HexColor("#e9eef4")
SIDE, TOP, BOTTOM = 25 * mm, 30 * mm, 25 * mm
WIDTH, HEIGHT = A4[0] - 2 * SIDE, A4[1] - TOP - BOTTOM
WORDS = {
    "en": {"contents": "Contents", "page": "Page {page} of {total}"},
    "ja": {"contents": "目次", "page": "{page} / {total} ページ"},
}


@dataclass(frozen=True)
class Manuscript:
    """A sample document's front matter and its Markdown body."""

    title: str
    number: str
    edition: str
    language: str
    body: str


class StandardPages(BaseDocTemplate):  # type: ignore[misc]
    """The pages: a title page without header, then pages with the running header; collects contents and outline."""

    def __init__(self, target: Path, manuscript: Manuscript, total: PageTotal) -> None:
        super().__init__(
            str(target),
            pagesize=A4,
            title=f"{manuscript.number} {manuscript.title}",
            subject=manuscript.edition,
            author="Specification sample, written for this project",
            invariant=1,
        )
        self.manuscript, self.total, self.chapter = manuscript, total, ""
        frame = Frame(SIDE, BOTTOM, WIDTH, HEIGHT, 0, 0, 0, 0)
        self.addPageTemplates(
            [
                PageTemplate("title", [frame], onPageEnd=self._footer),
                PageTemplate("body", [frame], onPageEnd=self._header_and_footer),
            ]
        )

    def beforeDocument(self) -> None:
        """Start another pass without the chapter that ended the last one."""
        self.chapter = ""

    def afterFlowable(self, flowable: Flowable) -> None:
        """Enter a heading in the contents page and the outline, and remember the chapter for the running header."""
        level = getattr(flowable, "heading_level", None)
        if level is None:
            return
        text = flowable.heading_text
        if level == 0:
            self.chapter = text
        key = f"section-{text}"
        self.canv.bookmarkPage(key, fit="XYZ", left=SIDE, top=self.frame._y + flowable.height)
        self.canv.addOutlineEntry(text, key, level, closed=level > 0)
        if level < 2:
            self.notify("TOCEntry", (level, escape(text), self.page, key))

    def _header_and_footer(self, canvas: Any, document: Any) -> None:
        canvas.saveState()
        top = A4[1] - 18 * mm
        canvas.setFillColor(INK)
        canvas.setFont(BOLD, 8)
        canvas.drawString(SIDE, top, f"{self.manuscript.number}  {self.manuscript.edition}")
        canvas.setFont(REGULAR, 8)
        canvas.drawRightString(A4[0] - SIDE, top, self.chapter)
        canvas.setStrokeColor(RULE)
        canvas.line(SIDE, top - 2 * mm, A4[0] - SIDE, top - 2 * mm)
        canvas.restoreState()
        self._footer(canvas, document)

    def _footer(self, canvas: Any, document: Any) -> None:
        words = WORDS[self.manuscript.language]["page"].format(page=document.page, total=self.total.pages)
        canvas.saveState()
        canvas.setFillColor(INK)
        canvas.setFont(REGULAR, 8)
        canvas.drawRightString(A4[0] - SIDE, 14 * mm, words)
        canvas.restoreState()


class PageTotal(IndexingFlowable):  # type: ignore[misc]
    """Stands last in the story and knows the number of pages; asks for another pass until that number stays."""

    def __init__(self) -> None:
        super().__init__()
        self.pages = self._seen = 0

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """Take no room."""
        return 0, 0

    def draw(self) -> None:
        """Note the number of the last page."""
        self._seen = self.canv.getPageNumber()

    def isSatisfied(self) -> bool:
        """Tell whether the footers of this pass were right."""
        settled = self.pages == self._seen
        self.pages = self._seen
        return settled


class Whole(Paragraph):  # type: ignore[misc]
    """A paragraph that no page break cuts."""

    def split(self, width: float, height: float) -> list[Flowable]:
        """Refuse, so that the paragraph moves to the next page as a whole."""
        return []


def register_fonts() -> None:
    """Make the fonts known to reportlab; a second call does nothing."""
    if REGULAR in pdfmetrics.getRegisteredFontNames():
        return
    for name in (REGULAR, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{name}.ttf")))
    # The family has no slanted cut: emphasis is set upright.
    pdfmetrics.registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)


def styles_for(language: str) -> dict[str, ParagraphStyle]:
    """Return the paragraph styles by name; Japanese lines may break between any two characters."""
    wrap = "CJK" if language == "ja" else None
    body = ParagraphStyle(
        "body", fontName=REGULAR, fontSize=9.5, leading=14, spaceAfter=6.5, wordWrap=wrap, bulletFontName=REGULAR
    )

    def style(name: str, **changes: Any) -> ParagraphStyle:
        return ParagraphStyle(name, parent=body, **changes)

    heading = {"fontName": BOLD, "textColor": INK, "keepWithNext": 1}
    return {
        "body": body,
        "heading0": style("heading0", fontSize=14, leading=19, spaceBefore=18, spaceAfter=8, **heading),
        "heading1": style("heading1", fontSize=11.5, leading=16, spaceBefore=12, spaceAfter=6, **heading),
        "heading2": style("heading2", fontSize=10, leading=14, spaceBefore=9, spaceAfter=4, **heading),
        "caption": style("caption", fontName=BOLD, fontSize=9, spaceBefore=8, spaceAfter=4),
        "note": style("note", fontSize=8.5, leading=12, leftIndent=8 * mm),
        "warning": style(
            "warning",
            leftIndent=2 * mm,
            rightIndent=2 * mm,
            borderPadding=5,
            borderWidth=0.8,
            borderColor=INK,
            spaceBefore=8,
            spaceAfter=12,
        ),
        "code": ParagraphStyle(
            "code", fontName=FIXED, fontSize=8, leading=11, leftIndent=5 * mm, spaceBefore=4, spaceAfter=10
        ),
        "item": style("item", spaceAfter=3),
        "cell": style("cell", fontSize=8, leading=10.5, spaceAfter=0),
        "number": style("number", fontName=BOLD, fontSize=26, leading=34, textColor=INK),
        "title": style("title", fontName=BOLD, fontSize=17, leading=24, textColor=INK, spaceAfter=10),
        "edition": style("edition", fontSize=11, leading=16, spaceAfter=14),
        "toc0": style("toc0", fontName=BOLD, fontSize=9.5, leading=13, spaceBefore=4, spaceAfter=0),
        "toc1": style("toc1", fontSize=8.5, leading=11.5, leftIndent=7 * mm, spaceAfter=0),
    }
