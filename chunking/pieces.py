"""The pieces that chunks are packed from: what is kept whole, and where what is too long is cut.

A block is cut at sentence ends (paragraphs, lists), at line ends (code and tables whose cells are not known) or
between rows (tables). What is still too long is cut by ``semchunk``, a row of a table between its cells. Every piece
knows which slices of the document it is made of, and what the encoders read of them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from semchunk.semchunk import chunk as cut_semantically

from chunking.document import Block, Document, Table
from chunking.encoder_text import clean, first_words, row_text
from chunking.tokens import TokenCounter
from chunking.wide import CJK

_SENTENCE = re.compile(
    r"[.!?][\"')\]”’]*\s+(?=[\"'(\[“‘]?[A-Z0-9\u3000-\u9fff])"
    r"|(?:[。！？]|．(?![0-9０-９]))+[」』）)”\"]*\s*"
    r"|\n(?=\s*(?:[-*•・‣◦–]|\(?(?:\d{1,3}|[a-zA-Z])[.)])\s)"  # the next item of a list
    r"|\n\s*\n"
)
_NOT_A_SENTENCE_END = re.compile(r"\b(?:e\.g|i\.e|cf|vs|etc|al|resp|Fig|Sec|Sect|No|Vol|Eq|Ref|approx|[A-Z])\.\s*$")
_LINE = re.compile(r"\n")
_WORD = re.compile(r"\s+")
_BOUNDED_WORD = re.compile(r"\S{1,1000}")
_JAPANESE_CLAUSE = re.compile(rf"(?<=[、，；：])(?=[{CJK}])")
_SHARE = 3  # what is too long is cut into parts of a third of the budget, which are then packed evenly
_REPLAYED = 8  # a caption, or a column's name, repeated with every chunk takes an eighth of the budget at most

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of a block. ``read`` is what encoders read of it, None for its own text; ``caption`` what they read
    before it unless the slice before is of the same block."""

    block: Block
    start: int
    end: int
    read: str | None = None
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is packed whole: neighbouring parts, the tokens they cost, and ``opening``, what they cost more as the
    first of a chunk (the caption that is read again)."""

    tokens: int
    parts: tuple[Part, ...]
    opening: int = 0

    @property
    def start(self) -> int:
        """Where its first part begins."""
        return self.parts[0].start

    @property
    def end(self) -> int:
        """Where its last part ends."""
        return self.parts[-1].end


def cost(pieces: Sequence[Piece]) -> int:
    """Return the tokens of neighbouring pieces as one chunk."""
    return sum(piece.tokens for piece in pieces) + (pieces[0].opening if pieces else 0)


# -- packing ---------------------------------------------------------------------------------------------------------


def pack(pieces: Sequence[Piece], budget: int) -> list[tuple[int, int]]:
    """Group neighbours into as few groups ``[i, j)`` of at most ``budget`` tokens as go, of lengths as even as can be.

    The number of groups is what filling each to the brim gives; the budget is then lowered as far as that number
    allows, so that no short remainder is left at the end. A piece above the budget is a group of its own.
    """
    groups = _fill(pieces, budget)
    low, high = max((piece.tokens + piece.opening for piece in pieces), default=0), budget
    while low < high:
        middle = (low + high) // 2
        if len(narrower := _fill(pieces, middle)) <= len(groups):
            groups, high = narrower, middle
        else:
            low = middle + 1
    return groups


def _fill(pieces: Sequence[Piece], budget: int) -> list[tuple[int, int]]:
    groups: list[tuple[int, int]] = []
    first, used = 0, 0
    for i, piece in enumerate(pieces):
        if i > first and used + piece.tokens > budget:
            groups.append((first, i))
            first = i
        used = used + piece.tokens if i > first else piece.tokens + piece.opening
    if pieces:
        groups.append((first, len(pieces)))
    return groups


def merged(pieces: Sequence[Piece]) -> Piece:
    """Return neighbours as one piece."""
    parts = tuple(part for piece in pieces for part in piece.parts)
    return Piece(sum(piece.tokens for piece in pieces), parts, pieces[0].opening)


def tail(document: Document, parts: Sequence[Part], most: int, after: int, counter: TokenCounter) -> list[Piece]:
    """Return the last sentences, lines and rows of ``parts`` that begin after ``after``, ``most`` tokens at most."""
    found: list[Piece] = []
    for part in reversed(parts if most else ()):
        if part.read is None:
            spans = sentences(document, replace(part.block, start=part.start, end=part.end))
            fine = _measured(document, part.block, spans, counter)
        else:
            fine = [Piece(counter.estimate(part.read), (part,), counter.estimate(part.caption))]
        for piece in reversed(fine):
            if piece.start <= after or cost([piece, *found]) > most:
                return found
            found.insert(0, piece)
    return found


# -- units: what a splitter keeps whole of a block ---------------------------------------------------------------------

Unit = Callable[[Document, Block], list[Span]]
"""Returns the spans of a block that are kept whole where they fit."""


def whole_block(document: Document, block: Block) -> list[Span]:
    """Keep the block whole."""
    return _spans(document.text, block.start, block.end, None)


def sentences(document: Document, block: Block) -> list[Span]:
    """Keep sentences and list items whole, and the lines of code and of tables whose cells are not known."""
    boundary = _LINE if block.kind in ("code", "table") else _SENTENCE
    return _spans(document.text, block.start, block.end, boundary)


def words(document: Document, block: Block) -> list[Span]:
    """Keep words whole."""
    return _spans(document.text, block.start, block.end, _WORD)


def _spans(text: str, start: int, end: int, boundary: re.Pattern[str] | None) -> list[Span]:
    """Return the non-blank spans between boundaries; the boundary's own characters stay with the span before it."""
    found = []
    at = start
    for match in boundary.finditer(text, start, end) if boundary else ():
        if boundary is _SENTENCE and _NOT_A_SENTENCE_END.search(text, max(at, match.end() - 12), match.end()):
            continue
        found.append((at, match.end()))
        at = match.end()
    found.append((at, end))
    return [trimmed for a, b in found if (trimmed := _trim(text, a, b))]


def _trim(text: str, start: int, end: int) -> Span | None:
    part = text[start:end]
    stripped = part.strip()
    if not stripped:
        return None
    begin = start + len(part) - len(part.lstrip())
    return begin, begin + len(stripped)


# -- from blocks to pieces -------------------------------------------------------------------------------------------


def pieces_of(
    document: Document, blocks: Iterable[Block], unit: Unit, budget: int, counter: TokenCounter
) -> list[Piece]:
    """Return the pieces of blocks in order, each of at most ``budget`` tokens, as far as one character fits.

    Tables are kept whole or cut between rows, whatever the unit. A caption is one piece with what it names, and so are
    the two parts of a sentence that goes on over the end of a page.
    """
    found: list[Piece] = []
    for block in blocks:
        if block.table is not None and block.table.rows:
            found.extend(_table_pieces(document, block, block.table, unit, budget, counter))
        else:
            found.extend(_text_pieces(document, block, unit, budget, counter))
    return _with_captions(document, _with_continued(found, budget), budget)


def _text_pieces(document: Document, block: Block, unit: Unit, budget: int, counter: TokenCounter) -> Iterator[Piece]:
    for piece in _measured(document, block, unit(document, block), counter):
        if piece.tokens <= budget:
            yield piece
        elif unit is whole_block:
            # Packed again, so that a long block is cut as seldom and as evenly as can be.
            fine = _fine(document, block, sentences(document, block), budget, counter)
            yield from (merged(fine[i:j]) for i, j in pack(fine, budget))
        else:
            yield from _fine(document, block, [(piece.start, piece.end)], budget, counter)


def _fine(document: Document, block: Block, spans: Sequence[Span], budget: int, counter: TokenCounter) -> list[Piece]:
    """Return the spans as pieces, cutting those that are above the budget."""
    result: list[Piece] = []
    for piece in _measured(document, block, spans, counter):
        if piece.tokens <= budget:
            result.append(piece)
            continue
        clauses = _spans(document.text, piece.start, piece.end, _JAPANESE_CLAUSE)
        cuts = [cut for span in clauses for cut in cut_long(document.text, *span, budget // _SHARE, counter)]
        result.extend(_measured(document, block, cuts, counter))
    return result


def _measured(document: Document, block: Block, spans: Sequence[Span], counter: TokenCounter) -> list[Piece]:
    counts = counter.estimate_batch([clean(document.text[start:end]) for start, end in spans])
    return [Piece(tokens, (Part(block, *span),)) for span, tokens in zip(spans, counts, strict=True)]


def cut_long(text: str, start: int, end: int, size: int, counter: TokenCounter) -> list[Span]:
    """Cut ``text[start:end]`` by semchunk into spans of at most ``size`` tokens, or of one character.

    It cuts at line ends, else after punctuation, else between words, else between characters. It is shown single blanks
    and line ends only, for it recurses once for every longer run of them; and words of bounded length.
    """
    size = max(1, size)
    shown: list[str] = []
    places: list[int] = []
    at = start
    for word in _BOUNDED_WORD.finditer(text, start, end):
        if shown:
            shown.append("\n" if "\n" in text[at : word.start()] else " ")
            places.append(at)
        shown.append(word.group())
        at = word.end()
        places.extend(range(word.start(), at))

    def count(part: str) -> int:
        return counter.estimate(part) if len(part) > 1 else 1  # it would cut a single character for ever

    found = cut_semantically("".join(shown), size, count, memoize=False, offsets=True)
    return [(places[a], places[b - 1] + 1) for a, b in cast("list[Span]", found[1])]


# -- tables ----------------------------------------------------------------------------------------------------------


def _table_pieces(
    document: Document, block: Block, table: Table, unit: Unit, budget: int, counter: TokenCounter
) -> list[Piece]:
    """Return the whole table, or its rows; a row's piece reaches to the next row, the first takes in the header."""
    caption = first_words(table.caption, budget // _REPLAYED, counter)
    opening = counter.estimate(caption)
    columns = [first_words(name, budget // _REPLAYED, counter) for name in table.header]
    reads = [row_text(columns, row.cells) for row in table.rows]
    ends = [*(row.start for row in table.rows[1:]), block.end]
    rows: list[Piece] = []
    start = block.start
    for row, end, read, tokens in zip(table.rows, ends, reads, counter.estimate_batch(reads), strict=True):
        span = _trim(document.text, start, end)
        start = end
        if span is None:
            continue
        if tokens <= budget - opening:
            rows.append(Piece(tokens, (Part(block, *span, read, caption),), opening))
        else:
            own = (max(row.start, span[0]), span[1])
            cells = _cell_pieces(document, block, columns, row.cells, own, caption, budget, counter)
            cells[0] = replace(cells[0], parts=(replace(cells[0].parts[0], start=span[0]),))
            rows.extend(cells)
    if rows:
        rows[0] = Piece(rows[0].tokens + opening, rows[0].parts)
    if unit is whole_block:
        return [merged(rows[i:j]) for i, j in pack(rows, budget)]
    return rows


def _cell_pieces(
    document: Document,
    block: Block,
    columns: Sequence[str],
    cells: Sequence[str],
    row: Span,
    caption: str,
    budget: int,
    counter: TokenCounter,
) -> list[Piece]:
    """Return the cells of a row that is too long, each under its column's name; a long cell is cut by semchunk.

    A row whose cells do not stand one after the other in the text (they are wrapped, side by side) is cut as text, and
    the columns' names are read before it.
    """
    spans = _cell_spans(document.text, cells, row)
    if spans is None:
        caption = first_words(" ".join(filter(None, (caption, " | ".join(columns)))), budget // 3, counter)
        spans = [(len(columns), row)]
    opening = counter.estimate(caption)
    result = []
    for column, span in spans:
        name = columns[column] if column < len(columns) else ""
        room = budget - opening - counter.estimate(f"{name}:")
        for start, end in cut_long(document.text, *span, room, counter):
            read = row_text([name], [document.text[start:end].strip("| \t\n")])
            result.append(Piece(counter.estimate(read), (Part(block, start, end, read, caption),), opening))
    return result


def _cell_spans(text: str, cells: Sequence[str], row: Span) -> list[tuple[int, Span]] | None:
    """Return the columns and where their cells stand, each reaching to the next; None where one is not in its place."""
    starts: list[int] = []
    at = row[0]
    for cell in cells:
        match = re.compile(r"\s+".join(map(re.escape, cell.split()))).search(text, at, row[1])
        if match is None:
            return None
        starts.append(match.start())
        at = match.end()
    bounds = [row[0], *starts[1:], row[1]]
    spans = [_trim(text, a, b) for a, b in itertools.pairwise(bounds)]
    return [(column, span) for column, span in enumerate(spans) if span] if starts else None


def _with_continued(pieces: Sequence[Piece], budget: int) -> list[Piece]:
    """Return the pieces with those joined that a page's end divides, where both fit the budget."""
    result: list[Piece] = []
    for piece in pieces:
        opening = piece.parts[0]
        if result and opening.block.continues and opening.start == opening.block.start:
            piece = _joined(result.pop(), piece, budget, result)
        result.append(piece)
    return result


# -- captions --------------------------------------------------------------------------------------------------------


def _with_captions(document: Document, pieces: Sequence[Piece], budget: int) -> list[Piece]:
    """Return the pieces with every caption joined to what it names, where both fit the budget."""
    result: list[Piece] = []
    waiting: Piece | None = None  # a caption that goes with what follows it
    for i, piece in enumerate(pieces):
        if waiting is not None:
            piece, waiting = _joined(waiting, piece, budget, result), None
        if piece.parts[-1].block.kind != "caption":
            result.append(piece)
        elif i + 1 < len(pieces) and (not result or _names_next(document, piece, result[-1], pieces[i + 1])):
            waiting = piece
        elif result:
            result.append(_joined(result.pop(), piece, budget, result))
        else:
            result.append(piece)
    return result


def _names_next(document: Document, caption: Piece, before: Piece, after: Piece) -> bool:
    """Whether a caption names what follows: the table that has it as its caption, else any table or listing."""
    words = clean(document.text[caption.parts[-1].start : caption.end])
    tables = [before.parts[-1].block.table, after.parts[0].block.table]
    named = [table is not None and clean(table.caption) == words for table in tables]
    return named[1] if any(named) else after.parts[0].block.kind in ("table", "code")


def _joined(first: Piece, second: Piece, budget: int, result: list[Piece]) -> Piece:
    """Return both as one piece if they fit; else append the first to the result and return the second."""
    both = merged((first, second))
    if both.tokens + both.opening <= budget:
        return both
    result.append(first)
    return second
