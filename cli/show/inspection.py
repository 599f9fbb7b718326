"""What `specmine inspect` found, as people read it on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape

from chunking.accounting import DocumentAccount
from chunking.inspect_html import notes_of, totals_in_words
from cli.show.tables import shortened, table

_FIRST_WORDS = 90
_COUNTS = ["page", "characters", "rows", "out", "passages"]
_SHORT = {
    "heading": "h",
    "paragraph": "p",
    "list": "li",
    "table": "tab",
    "caption": "cap",
    "footnote": "fn",
    "contents": "toc",
}


def inspection(console: Console, result: Mapping[str, Any], books: DocumentAccount, page: int | None) -> None:
    """Show the document's pages, or the blocks of one page."""
    console.print(f"[bold]{escape(result['title'])}[/bold]", soft_wrap=True)
    if page is None:
        _pages(console, books)
    else:
        _blocks(console, result)
    for warning in result["warnings"]:
        console.print(f"[yellow]warning[/yellow] {escape(warning)}", soft_wrap=True)
    console.print(escape(totals_in_words(books.totals)), soft_wrap=True)
    if "html" in result:
        console.print(f"drawn in {escape(result['html'])}", soft_wrap=True)


def _pages(console: Console, books: DocumentAccount) -> None:
    columns = ["page", "printed", "characters", "blocks", "rows", "out", "passages", "notes"]
    rows = [
        [
            page.page,
            page.label,
            page.characters,
            " ".join(f"{count} {_SHORT.get(kind, kind)}" for kind, count in page.blocks.items()),
            page.table_rows or "",
            page.dropped_lines or "",
            page.chunks or "",
            notes_of(page),
        ]
        for page in books.pages
    ]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    console.print(table("", columns, rows, right=_COUNTS))
    told = ", ".join(f"{short} {kind}" for kind, short in _SHORT.items())
    console.print(f"[dim]blocks that begin on the page: {told}; out: running lines left out[/dim]", soft_wrap=True)


def _blocks(console: Console, result: Mapping[str, Any]) -> None:
    entry = result["pages"][0]
    label = f", printed {entry['label']}" if entry["label"] else ""
    columns = ["", "kind", "section", "text", "passages"]
    sections = [block["section"] for block in result["blocks"]]
    rows = [
        [
            block["number"],
            f"{block['kind']} {block['level']}" if block["level"] else block["kind"],
            block["section"] if block["section"] != before else "",
            shortened(block["text"], _FIRST_WORDS),
            ", ".join(str(ordinal + 1) for ordinal in block["chunks"]),
        ]
        for block, before in zip(result["blocks"], ["", *sections], strict=False)
    ]
    console.print(table(f"page {entry['page']}{label}", columns, rows, right=["", "passages"]))
    for line in result["dropped"]:
        console.print(f"[dim]left out: {escape(line)}[/dim]", soft_wrap=True)
