"""The family of splitters: how a document is cut into chunks that fit what the encoders can read.

The token budget holds for all that an encoder reads of a chunk: title, section path and text (see
``chunking.encoder_text``). A chunk's own text is always an exact slice of the document; together the chunks cover every
block but those of contents, each character once apart from the declared overlap.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from chunking.document import Block, Chunk, Document, Parent, chunk_id
from chunking.encoder_text import clean, prefix, whole_prefix
from chunking.markdown_table import markdown_header
from chunking.pieces import Part, Piece, Span, Unit, cost, pack, pieces_of, sentences, tail, whole_block, words
from chunking.sections import sections
from chunking.tokens import TokenCounter

SMALLEST_CHUNK, LARGEST_CHUNK = 32, 8192  # tokens
_VERSION = 3  # counted up when the same settings would cut differently


@dataclass(frozen=True)
class ChunkSettings:
    """How documents are cut. ``max_tokens`` bounds what the encoder reads, title and section path included.

    ``overlap`` is how many tokens of the chunk before are repeated at most. ``child_tokens`` bounds the passages of
    ``parents`` in place of ``max_tokens``.
    """

    splitter: str = "section"
    max_tokens: int = 240
    overlap: int = 0
    child_tokens: int = 120

    def __post_init__(self) -> None:
        if self.splitter not in SPLITTERS:
            raise ValueError(f"unknown splitter {self.splitter!r}; known: {', '.join(SPLITTERS)}")
        if not SMALLEST_CHUNK <= self.max_tokens <= LARGEST_CHUNK:
            raise ValueError(f"max_tokens must be {SMALLEST_CHUNK} to {LARGEST_CHUNK}, not {self.max_tokens}")
        if not SMALLEST_CHUNK <= self.child_tokens <= LARGEST_CHUNK:
            raise ValueError(f"child_tokens must be {SMALLEST_CHUNK} to {LARGEST_CHUNK}, not {self.child_tokens}")
        if not 0 <= self.overlap <= self.budget // 3:
            bound = "child_tokens" if self.budget < self.max_tokens else "max_tokens"
            raise ValueError(f"overlap must be 0 to a third of {bound} ({self.budget // 3}), not {self.overlap}")

    @property
    def budget(self) -> int:
        """The most tokens of what the encoder reads of a chunk."""
        return min(self.child_tokens, self.max_tokens) if self.splitter == "parents" else self.max_tokens

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that decides where the cuts fall, but the tokenizers."""
        return hashlib.sha256(json.dumps({"version": _VERSION, **asdict(self)}, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one chunk lies, in which section, and the parts of blocks that its encoder text is made of."""

    section: tuple[str, ...]
    start: int
    end: int
    parts: tuple[Part, ...]
    parent: Span | None = None


Splitter = Callable[[Document, ChunkSettings, TokenCounter], Iterator[Cut]]


def chunk(document: Document, settings: ChunkSettings, counter: TokenCounter) -> list[Chunk]:
    """Cut a document into chunks, in reading order.

    Every chunk's ``encoder_text`` has at most ``settings.budget`` tokens by the true count of every tokenizer.
    Raises ValueError if not even one character fits.
    """
    cuts = list(SPLITTERS[settings.splitter](document, settings, counter))
    texts = encoder_texts(document, cuts, settings, counter)
    counts = counter.count_batch(texts)
    while any(tokens > settings.budget for tokens in counts):
        halves = [_halves(document, cut, tokens, settings) for cut, tokens in zip(cuts, counts, strict=True)]
        if not any(len(pair) > 1 for pair in halves):
            raise ValueError(f"{document.id}: one character takes more than {settings.budget} tokens")
        cuts = _without_contained([half for pair in halves for half in pair])
        texts = encoder_texts(document, cuts, settings, counter)
        counts = counter.count_batch(texts)
    starts = [page.start for page in document.pages]
    return [
        _chunk(document, ordinal, cut, text, tokens, starts)
        for ordinal, (cut, text, tokens) in enumerate(zip(cuts, texts, counts, strict=True))
    ]


def _chunk(document: Document, ordinal: int, cut: Cut, encoder_text: str, tokens: int, page_starts: list[int]) -> Chunk:
    text = document.text[cut.start : cut.end]
    first_page, last_page = _pages(document, cut.start, cut.end, page_starts)
    return Chunk(
        id=chunk_id(document.id, cut.start, cut.end, text),
        document=document.id,
        title=document.title,
        ordinal=ordinal,
        section=cut.section,
        first_page=first_page,
        last_page=last_page,
        start=cut.start,
        end=cut.end,
        text=text,
        encoder_text=encoder_text,
        tokens=tokens,
        lead=_lead(cut),
        parent=Parent(*cut.parent, *_pages(document, *cut.parent, page_starts)) if cut.parent else None,
    )


def _pages(document: Document, start: int, end: int, page_starts: list[int]) -> tuple[int, int]:
    """Return the numbers of the pages that a span begins and ends on."""
    first, last = (document.pages[max(0, bisect_right(page_starts, at) - 1)].number for at in (start, end - 1))
    return first, last


def _lead(cut: Cut) -> str:
    """Return the header of the table that the chunk begins in the rows of."""
    table = cut.parts[0].block.table if cut.parts and cut.parts[0].start == cut.start else None
    if table is None or not any(table.header) or not table.rows or cut.start < table.rows[0].start:
        return ""
    return markdown_header(table.header, len(table.header))


def _halves(document: Document, cut: Cut, tokens: int, settings: ChunkSettings) -> list[Cut]:
    """Cut in two what the true count finds too long, where the estimate was short: near the middle."""
    if tokens <= settings.budget or cut.end - cut.start < 2:
        return [cut]
    middle = (cut.start + cut.end) // 2
    if len(cut.parts) > 1:
        at = min((part.start for part in cut.parts[1:]), key=lambda start: abs(start - middle))
    else:
        space = re.compile(r"\s").search(document.text, middle, cut.end - 1)
        at = space.end() if space and document.text[space.end() : cut.end].strip() else middle
    before, after = _divided(cut.parts, at)
    return [replace(cut, end=at, parts=before), replace(cut, start=at, parts=after)]


def _divided(parts: Sequence[Part], at: int) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Divide parts at a place in the text; what is read of a part across it is divided in the same proportion."""
    before = [part for part in parts if part.end <= at]
    after = [part for part in parts if part.start >= at]
    for part in parts:
        if part.start < at < part.end:
            read = part.read or ""
            share = len(read) * (at - part.start) // (part.end - part.start)
            first, second = (None, None) if part.read is None else (read[:share], read[share:])
            before.append(replace(part, end=at, read=first))
            after.insert(0, replace(part, start=at, read=second))
    return tuple(before), tuple(after)


def _without_contained(cuts: Sequence[Cut]) -> list[Cut]:
    """Leave out cuts that lie within another: the half of a window may be no more than the next one's overlap."""
    kept: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.start, -cut.end)):
        if not kept or cut.end > kept[-1].end:
            kept.append(cut)
    return kept


def shortened(chunks: Iterable[Chunk]) -> int:
    """Count the chunks whose title or section path did not fit whole into what the encoder reads."""
    return sum(not c.encoder_text.startswith(whole_prefix(c.title, c.section)) for c in chunks)


def encoder_texts(document: Document, cuts: Sequence[Cut], settings: ChunkSettings, counter: TokenCounter) -> list[str]:
    """Return what the encoders read for every cut."""
    paths = {cut.section for cut in cuts}
    prefixes = {path: prefix(document.title, path, settings.budget, counter) for path in paths}
    return [prefixes[cut.section] + _body(document, cut.parts) for cut in cuts]


def _body(document: Document, parts: Sequence[Part]) -> str:
    """Return what the encoders read of the parts: one after the other, footnotes last, each table below its caption."""
    lines: list[str] = []
    block: Block | None = None
    for part in _joined(sorted(parts, key=lambda part: part.block.kind == "footnote")):
        if part.caption and part.block is not block and part.caption not in "\n".join(lines):
            lines.append(part.caption)
        text = clean(document.text[part.start : part.end]) if part.read is None else part.read
        if lines and part.block.continues and part.start == part.block.start:
            text = clean(f"{lines.pop()}\n{text}")
        lines.append(text)
        block = part.block
    return "\n".join(filter(None, lines))


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Join neighbouring parts of one block that are read as they stand, so that they read on without a break."""
    last: Part | None = None
    end = 0
    for part in parts:
        if last is not None and last.block is part.block and last.read is None and part.read is None:
            end = part.end
            continue
        if last is not None:
            yield replace(last, end=end)
        last, end = part, part.end
    if last is not None:
        yield replace(last, end=end)


# -- the family ------------------------------------------------------------------------------------------------------


def split_by_section(document: Document, settings: ChunkSettings, counter: TokenCounter) -> Iterator[Cut]:
    """Pack whole blocks up to the budget, never over a heading; only a block that is too long is cut.

    A heading's line belongs to its section's first chunk. With ``overlap``, a chunk begins with the last whole
    sentences or rows of the one before it in the same section.
    """
    for cuts in _cut_sections(document, settings, counter):
        yield from cuts


def split_into_children(document: Document, settings: ChunkSettings, counter: TokenCounter) -> Iterator[Cut]:
    """Cut as ``section`` does, but into passages of ``child_tokens``, each of which knows the clause it is a part of.

    The clause is the section, its subsections not included; one longer than ``_LONGEST_PARENT`` times ``max_tokens``
    is shown in parts, as a document without headings is.
    """
    for cuts in _cut_sections(document, settings, counter):
        counts = counter.estimate_batch([document.text[cut.start : cut.end] for cut in cuts])
        children = [Piece(tokens, cut.parts) for tokens, cut in zip(counts, cuts, strict=True)]
        for i, j in pack(children, _LONGEST_PARENT * settings.max_tokens):
            parent = (cuts[i].start, cuts[j - 1].end)
            yield from (replace(cut, parent=parent) for cut in cuts[i:j])


def _cut_sections(document: Document, settings: ChunkSettings, counter: TokenCounter) -> Iterator[list[Cut]]:
    """Yield the cuts of every section: pieces packed evenly, headings with the first of them."""
    for path, headings, body in _stretches(document):
        budget = settings.budget - counter.count(prefix(document.title, path, settings.budget, counter))
        pieces = pieces_of(document, body, whole_block, budget, counter)
        if settings.overlap and cost(pieces) > budget:  # a section that fits is one chunk and repeats nothing
            budget -= settings.overlap
            pieces = pieces_of(document, body, whole_block, budget, counter)
        if not pieces:
            yield [Cut(path, headings[0].start, headings[-1].end, ())] if headings else []
            continue
        cuts: list[Cut] = []
        start = headings[0].start if headings else pieces[0].start
        parts: tuple[Part, ...] = ()
        for i, j in pack(pieces, budget):
            repeated = tail(document, parts, settings.overlap, start, counter)
            parts = tuple(part for piece in (*repeated, *pieces[i:j]) for part in piece.parts)
            start = parts[0].start if cuts else start
            cuts.append(Cut(path, start, parts[-1].end, parts))
        yield cuts


def _stretches(document: Document) -> Iterator[tuple[tuple[str, ...], list[Block], list[Block]]]:
    """Yield path, headings and body of every section, divided where contents stand in between, which no chunk holds."""
    contents = [block.start for block in document.blocks if block.kind == "contents"]
    for section in sections(document):
        stretch: tuple[list[Block], list[Block]] = ([], [])
        last = None
        for block in (*section.headings, *section.body):
            if last is not None and bisect_right(contents, last.start) < bisect_right(contents, block.start):
                yield section.path, *stretch
                stretch = ([], [])
            stretch[block.kind != "heading"].append(block)
            last = block
        yield section.path, *stretch


def split_by_sentence(document: Document, settings: ChunkSettings, counter: TokenCounter) -> Iterator[Cut]:
    """Pack whole sentences (and rows of tables, lines of code) up to the budget, without regard to sections.

    With ``overlap``, a chunk begins with the last whole sentences of the one before. A chunk's section is the one it
    begins in.
    """
    return _windows(document, settings, counter, sentences)


def split_fixed(document: Document, settings: ChunkSettings, counter: TokenCounter) -> Iterator[Cut]:
    """Cut windows of the whole budget between words (and rows of tables), without regard to sections or sentences.

    Each repeats ``overlap`` tokens of the one before. A window's section is the one it begins in.
    """
    return _windows(document, settings, counter, words)


def _windows(document: Document, settings: ChunkSettings, counter: TokenCounter, unit: Unit) -> Iterator[Cut]:
    """Fill every window to the brim with units; the next begins with those of its last that fit the overlap.

    No window reaches over contents.
    """
    shortest = settings.budget - settings.budget // 3 - settings.overlap  # whatever the prefix
    budgets: dict[tuple[str, ...], int] = {}
    pieces: list[Piece] = []
    places: list[tuple[int, tuple[str, ...]]] = []  # of each piece: its stretch between contents, and its section
    contents = [block.start for block in document.blocks if block.kind == "contents"]
    for path, headings, body in _stretches(document):
        found = pieces_of(document, [*headings, *body], unit, shortest, counter)
        pieces += found
        places += [(bisect_right(contents, piece.start), path) for piece in found]
        budgets[path] = settings.budget - counter.count(prefix(document.title, path, settings.budget, counter))
    first = 0
    while first < len(pieces):
        stretch, path = places[first]
        end, used = first, pieces[first].opening
        while end < len(pieces) and places[end][0] == stretch and used + pieces[end].tokens <= budgets[path]:
            used += pieces[end].tokens
            end += 1
        end = max(end, first + 1)
        parts = tuple(part for piece in pieces[first:end] for part in piece.parts)
        yield Cut(path, pieces[first].start, pieces[end - 1].end, parts)
        lowest, first = first + 1, end
        while settings.overlap and end < len(pieces) and first > lowest and places[first - 1][0] == places[end][0]:
            repeats, whole = cost(pieces[first - 1 : end]), cost(pieces[first - 1 : end + 1])
            if repeats > settings.overlap or whole > budgets[places[first - 1][1]]:
                break
            first -= 1


_LONGEST_PARENT = 8

SPLITTERS: dict[str, Splitter] = {
    "section": split_by_section,
    "fixed": split_fixed,
    "sentence": split_by_sentence,
    "parents": split_into_children,
}
