"""Markdown (CommonMark and tables): the file is the text; the parser's line numbers say where its blocks lie."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from chunking.document import Block, BlockKind, Document, Page, Row, Table
from chunking.limits import ReadLimits
from chunking.read_text import decode

_LINE_END = re.compile(r"\r\n|\n|\r")
_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(?P<fields>(?:.*\r?\n){0,200}?)(?:---|\.\.\.)[ \t]*(?:\r?\n|$)")
_TITLE_FIELD = re.compile(r"""^title:\s*["']?(?P<title>.*?)["']?\s*$""", re.M)
_HEADING_MARKS = re.compile(r"[ \t]{0,3}(?:#{1,6}[ \t]+)?(?P<title>.*?)(?:[ \t]+#+)?[ \t]*")
_UNDERLINE = re.compile(r"[ \t]{0,3}(?:=+|-+)[ \t]*")
_KINDS: dict[str, BlockKind] = {
    "paragraph_open": "paragraph",
    "heading_open": "heading",
    "fence": "code",
    "code_block": "code",
    "html_block": "code",
    "table_open": "table",
}


def read_markdown(path: Path, document_id: str, limits: ReadLimits) -> Document:
    """Read a Markdown file. Front matter gives the title and is left out of the blocks. Raises UnreadableError."""
    data = path.read_bytes()
    text = decode(data, limits)
    front = _FRONT_MATTER.match(text)
    offset = front.end() if front else (1 if text.startswith("\ufeff") else 0)
    starts = [offset, *(match.end() for match in _LINE_END.finditer(text, offset)), len(text)]
    blocks = _blocks(MarkdownIt("commonmark").enable("table").parse(text[offset:]), text, starts)
    return Document(
        id=document_id,
        content_hash=hashlib.sha256(data).hexdigest(),
        title=_title(front["fields"] if front else "", text, blocks) or PurePosixPath(document_id).stem,
        text=text,
        pages=(Page(1, 0, len(text)),),
        blocks=tuple(blocks),
        metadata={"format": "markdown"},
    )


def _blocks(tokens: Sequence[Token], text: str, starts: Sequence[int]) -> list[Block]:
    blocks: list[Block] = []
    lines: set[int] = set()
    lists = 0
    for i, token in enumerate(tokens):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            lists += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            lists -= 1
        kind = _KINDS.get(token.type)
        if kind is None or token.map is None:
            continue
        start, end = starts[token.map[0]], starts[min(token.map[1], len(starts) - 1)]
        if kind == "heading":
            start, end = _heading_words(text, start, end)
        lead = len(text[start:end]) - len(text[start:end].lstrip())
        end = start + len(text[start:end].rstrip())
        if start + lead < end:
            level = int(token.tag[1:]) if kind == "heading" else 0
            table = _table(tokens[i:], text, starts) if kind == "table" else None
            shown: BlockKind = "list" if lists and kind == "paragraph" else kind
            blocks.append(Block(shown, 1, start + lead, end, level, table=table))
            lines.update(range(*token.map))
    return sorted([*blocks, *_rest(text, starts, lines)], key=lambda block: block.start)


def _table(tokens: Sequence[Token], text: str, starts: Sequence[int]) -> Table | None:
    """Return the table that the tokens begin with, None where it has no rows."""
    rows: list[tuple[int, list[str]]] = []
    for token in itertools.takewhile(lambda token: token.type != "table_close", tokens):
        if token.type == "tr_open" and token.map is not None:
            rows.append((token.map[0], []))
        elif token.type == "inline" and rows:
            rows[-1][1].append("".join(_words(token)).strip())
    header, *rest = rows
    found = []
    for line, cells in rest:
        part = text[starts[line] : starts[line + 1]]
        begin = starts[line] + len(part) - len(part.lstrip())
        found.append(Row(begin, starts[line] + len(part.rstrip()), tuple(cells)))
    return Table("", tuple(header[1]), tuple(found)) if found else None


def _words(token: Token) -> Iterator[str]:
    """Yield the words of inline markup."""
    for child in token.children or ():
        if child.children:
            yield from _words(child)
        else:
            yield " " if child.type in ("softbreak", "hardbreak") else child.content


def _rest(text: str, starts: Sequence[int], taken: set[int]) -> Iterator[Block]:
    """Yield the lines of words that the parser gives no block for: link definitions, and what is nested too deep."""
    for i, (start, end) in enumerate(itertools.pairwise(starts)):
        line = text[start:end]
        if i not in taken and any(map(str.isalnum, line)):
            lead = len(line) - len(line.lstrip())
            yield Block("paragraph", 1, start + lead, start + len(line.rstrip()))


def _heading_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of a heading's words, without the number signs or the line drawn below."""
    lines = _LINE_END.split(text[start:end].rstrip())
    if len(lines) > 1 and _UNDERLINE.fullmatch(lines[-1]):
        return start, start + len(text[start:end].rstrip()) - len(lines[-1])
    match = _HEADING_MARKS.fullmatch(lines[0])
    return (start + match.start("title"), start + match.end("title")) if match else (start, end)


def _title(fields: str, text: str, blocks: Sequence[Block]) -> str:
    if match := _TITLE_FIELD.search(fields):
        return match["title"]
    return next((text[block.start : block.end] for block in blocks if block.kind == "heading"), "")
