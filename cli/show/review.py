"""A candidate beside the judged passage, the differences easy to see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cli.show.tables import place, printable

HELP = "n negative · r also right · d duplicate · u cannot tell · s skip · q quit"
# Words, white space, and single characters of everything else; Japanese has no spaces, so every character stands alone.
_TOKEN = re.compile(r"[ぁ-ヿ㐀-鿿々〆]|[^\W_ぁ-ヿ㐀-鿿々〆]+|\s+|.")
_ALIKE = 0.4  # from here on, of 1 for equal texts, it helps to mark what differs: else everything would be marked


def pair(console: Console, entry: Mapping[str, Any], number: int, total: int) -> None:
    """Show one row of the queue: the query, the judged passage and the candidate, why it is in doubt, and the keys."""
    console.rule(f"{number} of {total}")
    console.print(Text(printable(entry["query_text"] or entry["query"]), style="bold"))
    console.print()
    judged, candidate = entry["judged"], entry["candidate"]
    texts = marked(_text(judged), _text(candidate))
    columns = Table(expand=True, show_lines=False, padding=(0, 1))
    columns.add_column("judged: answers the query", ratio=1, overflow="fold")
    columns.add_column("candidate: does it answer too?", ratio=1, overflow="fold")
    columns.add_row(_place(judged), _place(candidate))
    columns.add_row(*texts)
    console.print(columns)
    console.print(f"[dim]{entry['verdict']}: {escape(entry['reason'])}[/dim]")
    console.print(f"[bold]{HELP}[/bold]")


def marked(judged: str, candidate: str) -> tuple[Text, Text]:
    """Return both texts; where they are alike, what only one of them says is underlined and coloured."""
    judged, candidate = printable(judged), printable(candidate)
    first, second = _TOKEN.findall(judged), _TOKEN.findall(candidate)
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return Text(judged), Text(candidate)
    left, right = Text(), Text()
    for kind, a, b, c, d in matcher.get_opcodes():
        left.append("".join(first[a:b]), style="" if kind == "equal" else "underline cyan")
        right.append("".join(second[c:d]), style="" if kind == "equal" else "underline yellow")
    return left, right


def _text(passage: Mapping[str, Any] | None) -> str:
    """Return a passage as a reader sees it: under the header of a table that begins before it."""
    if passage is None:
        return ""
    return f"{passage['lead']}\n{passage['text']}" if passage["lead"] else str(passage["text"])


def _place(passage: Mapping[str, Any] | None) -> Text:
    if passage is None:
        return Text("(not in the index)", style="dim")
    return Text(place(passage["document"], passage["section"], passage["pages"]), style="bold")
