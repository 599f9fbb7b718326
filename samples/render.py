"""Sample documents: Markdown in, A4 PDF out, laid out like a published standard.

The Markdown that is understood:

- Front matter between ``---`` lines: ``title``, ``number``, ``edition`` and ``language`` (``en`` or ``ja``).
- Text before the first heading stands on the title page.
- ``#`` chapter or annex, ``##`` clause, ``###`` subclause; numbers as written: ``### 5.2.1 Torque``. A chapter whose
  heading starts with "Annex" or "附属書" begins a new page.
- A paragraph that is bold throughout stands over the table after it as its caption: ``**Table 3 — Torques**``.
- A paragraph that starts with "NOTE" or "注記" is set small; ``>`` is a warning box; fenced code is ASCII.
- Tables have a header row, which is repeated on every page that the table reaches. No HTML, no pictures.

Paragraphs and table rows are never cut by a page break, so that a quoted sentence is found whole on one page.
The same Markdown gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from reportlab.lib.enums import TA_CENTER, TA_RIGHT
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    HRFlowable,
    LongTable,
    NextPageTemplate,
    PageBreak,
    Paragraph,
    Preformatted,
    Spacer,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents

from samples.layout import (
    BOLD,
    FIXED,
    HEIGHT,
    INK,
    REGULAR,
    RULE,
    SHADE,
    WIDTH,
    WORDS,
    Manuscript,
    PageTotal,
    StandardPages,
    Whole,
    register_fonts,
    styles_for,
)

DOCUMENTS = Path(__file__).parent / "documents"
NEW_PAGE = ("Annex", "附属書")
NOTE = ("NOTE", "注記")


def read_manuscript(source: Path) -> Manuscript:
    """Read a sample document; raises ValueError in one line when its front matter is not as described above."""
    text = source.read_text(encoding="utf-8")
    opening, _, rest = text.partition("---\n")
    front, closing, body = rest.partition("\n---\n")
    if opening or not closing:
        raise ValueError(f"{source.name}: no front matter between --- lines")
    fields = dict(line.split(": ", 1) for line in front.splitlines() if ": " in line)
    if set(fields) != {"title", "number", "edition", "language"} or fields["language"] not in WORDS:
        raise ValueError(f"{source.name}: the front matter needs title, number, edition and language (en or ja)")
    return Manuscript(**fields, body=body)


def render(source: Path, target: Path) -> Path:
    """Turn the Markdown file ``source`` into the PDF ``target``; raises ValueError for Markdown outside the rules."""
    register_fonts()
    manuscript = read_manuscript(source)
    missing = {c for c in manuscript.body if ord(c) not in pdfmetrics.getFont(REGULAR).face.charToGlyph} - {"\n"}
    if missing:
        raise ValueError(f"{source.name}: the font has no glyph for {' '.join(sorted(missing))}")
    styles = styles_for(manuscript.language)
    total = PageTotal()
    nodes = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(manuscript.body)).children
    first = next((i for i, node in enumerate(nodes) if node.type == "heading"), len(nodes))
    story = [
        *_title_page(manuscript, list(_flowables(nodes[:first], styles)), styles),
        *_contents(manuscript.language, styles),
        *_flowables(nodes[first:], styles),
        total,
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    StandardPages(target, manuscript, total).multiBuild(story)
    return target


def render_all(directory: Path) -> list[Path]:
    """Render every sample document into ``directory`` and return the PDFs, in order of name."""
    return [render(source, directory / f"{source.stem}.pdf") for source in sorted(DOCUMENTS.glob("*.md"))]


def _title_page(
    manuscript: Manuscript, preamble: Sequence[Flowable], styles: dict[str, ParagraphStyle]
) -> list[Flowable]:
    return [
        Spacer(1, 35 * mm),
        HRFlowable(width="100%", thickness=2, color=INK, spaceAfter=14),
        Paragraph(escape(manuscript.number), styles["number"]),
        Paragraph(escape(manuscript.edition), styles["edition"]),
        Paragraph(escape(manuscript.title), styles["title"]),
        HRFlowable(width="100%", thickness=0.8, color=RULE, spaceAfter=30),
        *preamble,
        NextPageTemplate("body"),
        PageBreak(),
    ]


def _contents(language: str, styles: dict[str, ParagraphStyle]) -> list[Flowable]:
    close = TableStyle([("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0)])
    close.add("LEFTPADDING", (0, 0), (-1, -1), 0)
    close.add("RIGHTPADDING", (0, 0), (-1, -1), 0)
    contents = TableOfContents(levelStyles=[styles["toc0"], styles["toc1"]], dotsMinLevel=0, tableStyle=close)
    return [Paragraph(WORDS[language]["contents"], styles["heading0"]), contents, PageBreak()]


def _flowables(nodes: Sequence[SyntaxTreeNode], styles: dict[str, ParagraphStyle]) -> Iterator[Flowable]:
    for node in nodes:
        if node.type == "heading":
            yield from _heading(node, styles)
        elif node.type == "paragraph":
            yield from _paragraph(node, styles)
        elif node.type in ("bullet_list", "ordered_list"):
            yield from _list(node, styles, depth=0)
        elif node.type == "blockquote":
            text = "<br/>".join(_markup(child) for child in node.children)
            yield Whole(text, styles["warning"])
        elif node.type == "fence":
            yield Preformatted(node.content.rstrip("\n"), styles["code"])
        elif node.type == "table":
            yield _table(node, styles["cell"])
            yield Spacer(1, 10)
        else:
            raise ValueError(f"line {(node.map or (0, 0))[0] + 1} of the body: {node.type} is not laid out here")


def _heading(node: SyntaxTreeNode, styles: dict[str, ParagraphStyle]) -> Iterator[Flowable]:
    level = int(node.tag[1:]) - 1
    if level > 2:
        raise ValueError(f"heading deeper than three levels: {_plain(node)}")
    text = _plain(node)
    if level == 0:
        # A chapter heading at the foot of a page would stand alone although it keeps with the next clause heading.
        yield CondPageBreak(HEIGHT - 1 if text.startswith(NEW_PAGE) else 38 * mm)
    heading = Whole(escape(text), styles[f"heading{level}"])
    heading.heading_level, heading.heading_text = level, text
    yield heading


def _paragraph(node: SyntaxTreeNode, styles: dict[str, ParagraphStyle]) -> Iterator[Flowable]:
    text = _plain(node)
    parts = [part for part in node.children[0].children if part.type != "text" or part.content]
    if len(parts) == 1 and parts[0].type == "strong":
        # Room for the caption, the header row and a few rows; keeping the caption with the whole table would
        # leave most of a page empty before a long table.
        yield CondPageBreak(35 * mm)
        yield Whole(escape(text), styles["caption"])
    else:
        style = styles["note" if text.startswith(NOTE) else "body"]
        announces = text.endswith((":", ":"))
        yield Whole(_markup(node), ParagraphStyle("announces", parent=style, keepWithNext=1) if announces else style)


def _list(node: SyntaxTreeNode, styles: dict[str, ParagraphStyle], depth: int) -> Iterator[Flowable]:
    ordered = node.type == "ordered_list"
    start = int(node.attrs.get("start", 1))
    indent = (depth + 1) * 7 * mm
    for number, item in enumerate(node.children, start=start):
        style = ParagraphStyle("item", parent=styles["item"], leftIndent=indent, bulletIndent=indent - 6 * mm)
        marker: str | None = f"{number}." if ordered else "–"
        for child in item.children:
            if child.type in ("bullet_list", "ordered_list"):
                yield from _list(child, styles, depth + 1)
                continue
            yield Whole(_markup(child), style, bulletText=marker)
            marker = None
    if depth == 0:
        yield Spacer(1, 4)


def _table(node: SyntaxTreeNode, style: ParagraphStyle) -> LongTable:
    rows = [row.children for part in node.children for row in part.children]
    centred = ParagraphStyle("centred", parent=style, alignment=TA_CENTER)
    right = ParagraphStyle("right", parent=style, alignment=TA_RIGHT)
    aligned = {"text-align:center": centred, "text-align:right": right}
    cells = [[Whole(_cell(cell), aligned.get(str(cell.attrs.get("style")), style)) for cell in row] for row in rows]
    texts = [[_plain(cell) for cell in row] for row in rows]
    table = LongTable(cells, colWidths=_column_widths(texts, style), repeatRows=1, hAlign="LEFT")
    table.setStyle(
        TableStyle(
            [
                ("GRID", (0, 0), (-1, -1), 0.4, RULE),
                ("LINEBELOW", (0, 0), (-1, 0), 1, INK),
                ("BACKGROUND", (0, 0), (-1, 0), SHADE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
            ]
        )
    )
    return table


def _column_widths(texts: Sequence[Sequence[str]], style: ParagraphStyle) -> list[float]:
    """Give each column its longest word, then share what is left by how much text its body rows still have to wrap."""
    padding = 14.0

    def width(text: str) -> float:
        return float(pdfmetrics.stringWidth(text, BOLD, style.fontSize))

    def longest_word(text: str) -> float:
        return max(map(width, [text[:8]] if style.wordWrap == "CJK" else text.split()), default=0.0)

    columns = list(zip(*texts, strict=True))
    least = [max(longest_word(text) for text in column) + padding for column in columns]
    natural = [max(width(text) for text in column[1:]) + padding for column in columns]
    slack = [max(n - m, 0.0) for n, m in zip(natural, least, strict=True)]
    spare = max(WIDTH - sum(least), 0.0)
    share = min(spare / sum(slack), 1.0) if sum(slack) else 0.0
    widths = [m + share * s for m, s in zip(least, slack, strict=True)]
    return [w * WIDTH / sum(widths) for w in widths]


def _cell(cell: SyntaxTreeNode) -> str:
    return f"<b>{_markup(cell)}</b>" if cell.type == "th" else _markup(cell)


def _plain(node: SyntaxTreeNode) -> str:
    """Return the words of a heading, paragraph or cell without markup."""
    return "".join(leaf.content if leaf.type in ("text", "code_inline") else " " for leaf in _leaves(node))


def _leaves(node: SyntaxTreeNode) -> Iterator[SyntaxTreeNode]:
    if not node.children and node.type != "inline":
        yield node
    for child in node.children:
        yield from _leaves(child)


def _markup(node: SyntaxTreeNode) -> str:
    """Return a node's inline text in the small markup language of reportlab's paragraphs."""
    inner = "".join(_markup(child) for child in node.children)
    if node.type == "text":
        return escape(node.content)
    if node.type == "code_inline":
        return f'<font face="{FIXED}">{escape(node.content)}</font>'
    if node.type in ("softbreak", "hardbreak"):
        return " "
    if node.type in ("strong", "em"):
        tag = "b" if node.type == "strong" else "i"
        return f"<{tag}>{inner}</{tag}>"
    if node.type in ("inline", "paragraph", "td", "th"):
        return inner
    raise ValueError(f"{node.type} is not laid out here")


__all__ = ["DOCUMENTS", "Manuscript", "read_manuscript", "render", "render_all"]
