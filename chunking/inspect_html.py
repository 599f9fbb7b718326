"""What the reader saw, as one HTML file that needs nothing else: no script, no network, document text escaped."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from chunking.accounting import DocumentAccount, PageAccount
from chunking.document import SECTION_SEPARATOR, BlockKind, Box, Chunk, Document, Page
from chunking.inspect_blocks import SeenBlock, Stretch, seen_blocks
from chunking.pdf_pictures import SIZES

MOST_PICTURES = 50
_A4 = (595.0, 842.0)
_BAR_GAP = 16  # points between a box and its passages' bar: the number stands between
_TURNS = ("even", "odd")


def draw_html(
    document: Document,
    chunks: Sequence[Chunk],
    account: DocumentAccount,
    only: Collection[int],
    pictures: Path,
    notes: Sequence[str] = (),
) -> str:
    """Return the HTML of the pages ``only``, or of all where that is empty.

    ``pictures`` is the folder that ``chunking.pdf_pictures.draw_pages`` wrote to. ``notes`` are shown at the top,
    before the document's own warnings.
    """
    folder = Path(__file__).parent / "templates"
    style = (folder / "inspect.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    seen = seen_blocks(document, chunks)
    shown = [page for page in document.pages if not only or page.number in only]
    sizes = _sizes(pictures)
    if sizes and len(shown) > MOST_PICTURES:
        notes = [*notes, f"pictures of the first {MOST_PICTURES} pages only; --page draws any one"]
    books = {page.page: page for page in account.pages}
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True)
    return environment.get_template("inspect.html").render(
        language="ja" if any("\u3040" <= c <= "\u30ff" for c in document.text[:5000]) else "en",
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        style=Markup(style),  # noqa: S704  our own file
        title=document.title,
        file=document.id,
        facts=totals_in_words(account.totals),
        warnings=[*notes, *document.warnings],
        kinds=get_args(BlockKind),
        summary=[_summary(page) for page in account.pages] if len(shown) > 1 else [],
        pages=[_page(page, seen[page.number], chunks, books[page.number], sizes, pictures) for page in shown],
        without_picture=f"at most {MOST_PICTURES} pages are; --page draws any one.",
    )


def totals_in_words(totals: Mapping[str, int]) -> str:
    """Return a document's sums in one line."""
    parts = [_count(totals["pages"], "page"), f"{totals['characters']:,} characters"]
    for name, words in (
        ("pages_scanned", "scanned without text"),
        ("pages_blank", "blank"),
        ("pages_ocr", "recognised"),
        ("pages_rotated", "turned"),
    ):
        if totals[name]:
            parts.append(f"{_count(totals[name], 'page')} {words}")
    kinds = {name.removeprefix("blocks_"): count for name, count in totals.items() if name.startswith("blocks_")}
    parts += [f"{kind} {count}" for kind, count in kinds.items()]
    parts.append(f"{_count(totals['table_rows'], 'table row')}")
    parts.append(f"{_count(totals['dropped_lines'], 'line')} left out")
    if totals["chunks"]:
        parts.append(f"{_count(totals['chunks'], 'passage')} of {totals['tokens']:,} tokens")
    return ", ".join(parts)


def notes_of(page: PageAccount) -> str:
    """Return what is unusual about a page, in words; "" where nothing is."""
    notes = [f"no text: {page.without_text}"] if page.without_text else []
    notes += ["recognised in the picture"] if page.ocr else []
    notes += [f"turned {page.rotation}°"] if page.rotation else []
    notes += [f"{_count(page.shortened, 'passage')} with a shortened title"] if page.shortened else []
    return "; ".join(notes)


def _blocks_of(page: PageAccount) -> str:
    """Return how many blocks of each kind begin on a page, in words."""
    return ", ".join(f"{kind} {count}" for kind, count in page.blocks.items())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _summary(page: PageAccount) -> dict[str, Any]:
    return {
        "page": page.page,
        "label": page.label,
        "characters": page.characters,
        "blocks": _blocks_of(page),
        "rows": page.table_rows or "",
        "dropped": page.dropped_lines or "",
        "chunks": page.chunks or "",
        "notes": notes_of(page),
    }


def _page(
    page: Page,
    blocks: Sequence[SeenBlock],
    chunks: Sequence[Chunk],
    books: PageAccount,
    sizes: Sequence[Sequence[float] | None],
    pictures: Path,
) -> dict[str, Any]:
    facts = [_count(books.characters, "character"), notes_of(books)]
    size = sizes[page.number - 1] if page.number <= len(sizes) else None
    return {
        "number": page.number,
        "label": page.label,
        "facts": "; ".join(filter(None, facts)),
        "dropped": page.dropped,
        "without_text": books.without_text,
        "drawing": _drawing(page, blocks, chunks, size, pictures)
        if size or page.dropped_boxes or _boxed(blocks)
        else None,
        "blocks": _texts(page, blocks, chunks),
    }


def _texts(page: Page, blocks: Sequence[SeenBlock], chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    """Return the page's blocks for the template; the section's path stands where it changes."""
    path: tuple[str, ...] | None = None
    made = []
    for seen in blocks:
        table = seen.block.table
        made.append(
            {
                "number": seen.number,
                "kind": seen.block.kind,
                "path": SECTION_SEPARATOR.join(seen.section) if seen.section != path else None,
                "stretches": [_stretch(stretch, chunks) for stretch in seen.stretches],
                "table": table,
                "rows": [row for row in table.rows if page.start <= row.start < page.end] if table else [],
            }
        )
        path = seen.section
    return made


def _stretch(stretch: Stretch, chunks: Sequence[Chunk]) -> dict[str, Any]:
    chunk = chunks[stretch.chunk] if stretch.chunk is not None else None
    return {
        "text": stretch.text,
        "turn": _TURNS[chunk.ordinal % 2] if chunk else "",
        "begins": stretch.begins,
        "name": f"passage {chunk.ordinal + 1} · {chunk.tokens} tokens" if chunk else "",
        "encoder_text": chunk.encoder_text if chunk else "",
    }


# -- the page as it is drawn -----------------------------------------------------------------------------------------


def _drawing(
    page: Page, blocks: Sequence[SeenBlock], chunks: Sequence[Chunk], size: Sequence[float] | None, pictures: Path
) -> dict[str, Any]:
    """Return the page's picture, the boxes on it, the line of the reading order and the passages' bars."""
    width, height = size or _A4
    boxes, bars, order = [], [], []
    for seen in blocks:
        for box in _boxes(seen, page):
            shape = _placed(box, height)
            top, tall = shape["y"], shape["height"]
            name = f"{seen.number}. {seen.block.kind}\n{SECTION_SEPARATOR.join(seen.section)}"
            boxes.append({**shape, "number": seen.number, "kind": seen.block.kind, "name": name})
            order += [f"{box.left - 7:.1f},{top:.1f}", f"{box.left - 7:.1f},{top + tall:.1f}"]
            bars += _bars(seen, chunks, box.left - _BAR_GAP, top, tall)
    return {
        "width": width,
        "height": height,
        "image": _data_uri(pictures / f"page-{page.number}.jpg"),
        "dropped": [
            _placed(box, height) | {"name": f"left out of the text: {text}"}
            for text, box in zip(page.dropped, page.dropped_boxes, strict=False)
        ],
        "boxes": boxes,
        "bars": bars,
        "order": " ".join(order),
    }


def _placed(box: Box, height: float) -> dict[str, Any]:
    """Return a box as SVG has it: from the upper left corner of a page of this height."""
    return {
        "x": box.left,
        "y": round(height - box.top, 1),
        "width": round(box.right - box.left, 1),
        "height": round(box.top - box.bottom, 1),
    }


def _bars(seen: SeenBlock, chunks: Sequence[Chunk], left: float, top: float, tall: float) -> list[dict[str, Any]]:
    """Return one bar for each passage in a box, each as tall as its share of the text."""
    length = sum(len(stretch.text) for stretch in seen.stretches) or 1
    bars, at = [], 0
    for stretch in seen.stretches:
        if stretch.chunk is not None:
            chunk = chunks[stretch.chunk]
            bars.append(
                {
                    "turn": _TURNS[chunk.ordinal % 2],
                    "x": round(left, 1),
                    "y": round(top + tall * at / length, 1),
                    "height": round(tall * len(stretch.text) / length, 1),
                    "name": f"passage {chunk.ordinal + 1}, {chunk.tokens} tokens\n\n{chunk.encoder_text}",
                }
            )
        at += len(stretch.text)
    return bars


def _boxes(seen: SeenBlock, page: Page) -> list[Box]:
    return [box for box in seen.block.boxes if box.page == page.number]


def _boxed(blocks: Sequence[SeenBlock]) -> bool:
    return any(seen.block.boxes for seen in blocks)


def _sizes(pictures: Path) -> list[list[float] | None]:
    file = pictures / SIZES
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def _data_uri(file: Path) -> str:
    if not file.exists():
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(file.read_bytes()).decode()
