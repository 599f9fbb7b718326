"""Cutting documents into chunks that fit what the encoders can read.

What the encoder reads is the title, the section path and the text with white space collapsed and ruling lines left out;
the token budget holds for all of it. A chunk's own text is always an exact slice of the document.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from chunking.document import SECTION_SEPARATOR, Block, Chunk, Document, chunk_id
from chunking.sections import Section, sections
from chunking.tokens import TokenCounter

_VERSION = 1  # counted up when the same settings would cut differently

_RULING = re.compile(r"[-+=_*~#]{4,}|\.{4,}|(?:\. ){4,}")
_CJK = "\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
_CJK_EDGE = re.compile(rf"[{_CJK}]")
_SENTENCE = re.compile(r"[.!?][\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9\u3000-\u9fff])|[。！？．]+[」』）)\"]*\s*|\n")
_NOT_A_SENTENCE_END = re.compile(r"\b(?:e\.g|i\.e|cf|vs|etc|al|resp|Fig|Sec|Sect|No|Vol|Eq|Ref|approx|[A-Z])\.\s*$")
_LINE = re.compile(r"\n")
_WORD = re.compile(r"\s+|(?<=[、，,;:；])")
_LONGEST_WORD = 100  # characters; WordPiece reads a longer word as one unknown token


@dataclass(frozen=True)
class ChunkSettings:
    """How documents are cut. ``max_tokens`` bounds what the encoder reads, title and section path included.

    ``overlap`` is how many tokens of the chunk before are repeated at most.
    """

    splitter: str = "section"
    max_tokens: int = 240
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.splitter not in SPLITTERS:
            raise ValueError(f"unknown splitter {self.splitter!r}; known: {', '.join(SPLITTERS)}")
        if not 32 <= self.max_tokens <= 8192:
            raise ValueError(f"max_tokens must be 32 to 8192, not {self.max_tokens}")
        if not 0 <= self.overlap <= self.max_tokens // 3:
            raise ValueError(f"overlap must be 0 to a third of max_tokens ({self.max_tokens // 3}), not {self.overlap}")

    def fingerprint(self) -> str:
        """Return the SHA-256 of everything that decides where the cuts fall, but the tokenizers."""
        return hashlib.sha256(json.dumps({"version": _VERSION, **asdict(self)}, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Piece:
    """The smallest thing that is not cut: a block, a sentence, a line or a word, with the tokens it costs."""

    start: int
    end: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Where one chunk lies, in which section, and the blocks' parts that its encoder text is made of."""

    section: tuple[str, ...]
    start: int
    end: int
    parts: tuple[tuple[int, int], ...]


Splitter = Callable[[Document, ChunkSettings, TokenCounter], Iterator[Cut]]


def chunk(document: Document, settings: ChunkSettings, counter: TokenCounter) -> list[Chunk]:
    """Cut a document into chunks, in reading order.

    Every chunk's ``encoder_text`` has at most ``settings.max_tokens`` tokens by the true count of every tokenizer.
    Raises ValueError if not even one character fits.
    """
    cuts = list(SPLITTERS[settings.splitter](document, settings, counter))
    texts = encoder_texts(document, cuts, settings, counter)
    counts = counter.count_batch(texts)
    while any(tokens > settings.max_tokens for tokens in counts):
        halves = [_halves(document, cut, tokens, settings) for cut, tokens in zip(cuts, counts, strict=True)]
        if not any(len(pair) > 1 for pair in halves):
            raise ValueError(f"{document.id}: one character takes more than {settings.max_tokens} tokens")
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
    return Chunk(
        id=chunk_id(document.id, cut.start, cut.end, text),
        document=document.id,
        title=document.title,
        ordinal=ordinal,
        section=cut.section,
        first_page=document.pages[max(0, bisect_right(page_starts, cut.start) - 1)].number,
        last_page=document.pages[max(0, bisect_right(page_starts, cut.end - 1) - 1)].number,
        start=cut.start,
        end=cut.end,
        text=text,
        encoder_text=encoder_text,
        tokens=tokens,
    )


def _halves(document: Document, cut: Cut, tokens: int, settings: ChunkSettings) -> list[Cut]:
    """Cut in two what the true count finds too long, where the estimate was short: near the middle, between words."""
    if tokens <= settings.max_tokens or cut.end - cut.start < 2:
        return [cut]
    middle = (cut.start + cut.end) // 2
    space = re.compile(r"\s").search(document.text, middle, cut.end - 1)
    at = space.end() if space and document.text[space.end() : cut.end].strip() else middle
    before = tuple((a, min(b, at)) for a, b in cut.parts if a < at)
    after = tuple((max(a, at), b) for a, b in cut.parts if b > at)
    return [Cut(cut.section, cut.start, at, before), Cut(cut.section, at, cut.end, after)]


def _without_contained(cuts: Sequence[Cut]) -> list[Cut]:
    """Leave out cuts that lie within another: the half of a window may be no more than the next one's overlap."""
    kept: list[Cut] = []
    for cut in sorted(cuts, key=lambda cut: (cut.start, -cut.end)):
        if not kept or cut.end > kept[-1].end:
            kept.append(cut)
    return kept


def shortened(chunks: Iterable[Chunk]) -> int:
    """Count the chunks whose title or section path did not fit whole into what the encoder reads."""
    return sum(not c.encoder_text.startswith(_whole_prefix(c.title, c.section)) for c in chunks)


def encoder_texts(document: Document, cuts: Sequence[Cut], settings: ChunkSettings, counter: TokenCounter) -> list[str]:
    """Return what the encoders read for every cut."""
    paths = {cut.section for cut in cuts}
    prefixes = {path: prefix(document.title, path, settings, counter) for path in paths}
    bodies = ("\n".join(filter(None, (clean(document.text[a:b]) for a, b in cut.parts))) for cut in cuts)
    return [prefixes[cut.section] + body for cut, body in zip(cuts, bodies, strict=True)]


def clean(text: str) -> str:
    """Return the text as encoders read it: ruling lines out, lines joined (Japanese without a space), blanks single."""
    joined: list[str] = []
    for line in _RULING.sub(" ", text).splitlines():
        words = " ".join(line.split())
        if words and joined and not (_CJK_EDGE.match(joined[-1][-1]) and _CJK_EDGE.match(words[0])):
            joined.append(" ")
        if words:
            joined.append(words)
    return "".join(joined)


def _whole_prefix(title: str, section: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in (clean(title), clean(SECTION_SEPARATOR.join(section))) if line)


def prefix(title: str, section: tuple[str, ...], settings: ChunkSettings, counter: TokenCounter) -> str:
    """Return title and section path, cut down to a third of the budget if need be.

    Outer sections go first, then the end of the title, then the end of the innermost heading.
    """
    limit = settings.max_tokens // 3
    path = list(section)
    while counter.count(whole := _whole_prefix(title, tuple(path))) > limit and len(path) > 1:
        path.pop(0)
    if counter.count(whole) <= limit:
        return whole
    heading = _first_words("".join(path), limit // 2, counter)
    return _whole_prefix(_first_words(title, limit - counter.count(heading), counter), (heading,))


def _first_words(text: str, limit: int, counter: TokenCounter) -> str:
    """Return the longest beginning of the text, in words or else characters, of at most ``limit`` tokens."""
    text = clean(text)[: limit * 20]
    ends = [match.start() for match in re.finditer(r"\s", text)] + [len(text)]
    if counter.count(text[: ends[0]]) > limit:
        ends = list(range(len(text) + 1))
    kept = bisect_right(ends, limit, key=lambda end: counter.count(text[:end]))
    return text[: ends[kept - 1]] if kept else ""


# -- pieces ----------------------------------------------------------------------------------------------------------


def _spans(text: str, start: int, end: int, boundary: re.Pattern[str]) -> list[tuple[int, int]]:
    """Return the non-blank spans between boundaries; the boundary's own characters stay with the span before it."""
    spans = []
    at = start
    for match in boundary.finditer(text, start, end):
        if boundary is _SENTENCE and _NOT_A_SENTENCE_END.search(text, max(at, match.end() - 12), match.end()):
            continue
        spans.append((at, match.end()))
        at = match.end()
    spans.append((at, end))
    return [trimmed for a, b in spans if (trimmed := _trim(text, a, b))]


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    part = text[start:end]
    stripped = part.strip()
    if not stripped:
        return None
    begin = start + len(part) - len(part.lstrip())
    return begin, begin + len(stripped)


def _words(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the words; one longer than any word is, as in Japanese or base64, is cut into parts of bounded length."""
    return [
        (a, min(a + _LONGEST_WORD, last))
        for first, last in _spans(text, start, end, _WORD)
        for a in range(first, last, _LONGEST_WORD)
    ]


def pieces(text: str, blocks: Sequence[Block], budget: int, counter: TokenCounter) -> list[Piece]:
    """Return the pieces of the blocks: whole blocks where they fit the budget, else sentences or lines, else words.

    The parts of a block that does not fit are packed again, so that it is cut as seldom and as evenly as can be.
    """
    found = _measured(text, [(block.start, block.end) for block in blocks], counter)
    result: list[Piece] = []
    for block, piece in zip(blocks, found, strict=True):
        if piece.tokens <= budget:
            result.append(piece)
            continue
        boundary = _SENTENCE if block.kind in ("paragraph", "list") else _LINE
        parts = _fine(text, _spans(text, piece.start, piece.end, boundary), budget, counter)
        for i, j in pack(parts, budget):
            result.append(Piece(parts[i].start, parts[j - 1].end, sum(part.tokens for part in parts[i:j])))
    return result


def _fine(text: str, spans: Sequence[tuple[int, int]], budget: int, counter: TokenCounter) -> list[Piece]:
    """Measure the spans, cutting those over the budget into words and those still over it in halves."""
    result = []
    for piece in _measured(text, spans, counter):
        if piece.tokens <= budget:
            result.append(piece)
        elif len(words := _words(text, piece.start, piece.end)) > 1:
            result.extend(_fine(text, words, budget, counter))
        elif piece.end - piece.start > 1:
            middle = (piece.start + piece.end) // 2
            result.extend(_fine(text, [(piece.start, middle), (middle, piece.end)], budget, counter))
        else:
            result.append(piece)
    return result


def _measured(text: str, spans: Sequence[tuple[int, int]], counter: TokenCounter) -> list[Piece]:
    counts = counter.estimate_batch([clean(text[start:end]) for start, end in spans])
    return [Piece(start, end, tokens) for (start, end), tokens in zip(spans, counts, strict=True)]


def pack(items: Sequence[Piece], budget: int) -> list[tuple[int, int]]:
    """Group neighbours into as few groups ``[i, j)`` of at most ``budget`` tokens as go, of lengths as even as can be.

    The number of groups is what filling each to the brim gives; the budget is then lowered as far as that number
    allows, so that no short remainder is left at the end.
    """
    groups = _fill(items, budget)
    low, high = max((item.tokens for item in items), default=0), budget
    while low < high:
        middle = (low + high) // 2
        if len(narrower := _fill(items, middle)) <= len(groups):
            groups, high = narrower, middle
        else:
            low = middle + 1
    return groups


def _fill(items: Sequence[Piece], budget: int) -> list[tuple[int, int]]:
    groups: list[tuple[int, int]] = []
    first, used = 0, 0
    for i, item in enumerate(items):
        if i > first and used + item.tokens > budget:
            groups.append((first, i))
            first, used = i, 0
        used += item.tokens
    if first < len(items):
        groups.append((first, len(items)))
    return groups


# -- the family ------------------------------------------------------------------------------------------------------


def split_by_section(document: Document, settings: ChunkSettings, counter: TokenCounter) -> Iterator[Cut]:
    """Pack whole blocks up to the budget, never over a heading; only a block that is too long is cut.

    A heading's line belongs to its section's first chunk. With ``overlap``, a chunk begins with the last pieces of
    the one before it in the same section.
    """
    for section in sections(document):
        budget = settings.max_tokens - counter.count(prefix(document.title, section.path, settings, counter))
        items = pieces(document.text, section.body, budget - settings.overlap, counter)
        if not items:
            yield Cut(section.path, section.headings[0].start, section.headings[-1].end, ())
            continue
        lowest = 0  # a chunk begins after the one before it does, or it would hold it whole
        for i, j in pack(items, budget - settings.overlap):
            first = _overlapped(items, i, lowest, settings.overlap)
            lowest = i + 1
            start = section.headings[0].start if first == 0 and section.headings else items[first].start
            parts = tuple((piece.start, piece.end) for piece in items[first:j])
            yield Cut(section.path, start, items[j - 1].end, _joined(parts, section))


def _overlapped(items: Sequence[Piece], first: int, lowest: int, overlap: int) -> int:
    """Return where a chunk begins, at ``lowest`` or later, so that up to ``overlap`` tokens before ``first`` repeat."""
    while first > lowest and items[first - 1].tokens <= overlap > 0:
        first -= 1
        overlap -= items[first].tokens
    return first


def _joined(parts: Sequence[tuple[int, int]], section: Section) -> tuple[tuple[int, int], ...]:
    """Join neighbouring parts of one block, so that its encoder text reads on without a break."""
    ends = {block.end for block in section.body}
    joined: list[tuple[int, int]] = []
    for start, end in parts:
        if joined and joined[-1][1] not in ends:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return tuple(joined)


def split_fixed(document: Document, settings: ChunkSettings, counter: TokenCounter) -> Iterator[Cut]:
    """Cut windows of the whole budget at word ends, without regard to sections, each repeating ``overlap`` tokens.

    A window's section is the one it begins in. Here for comparison with ``section``.
    """
    words: list[Piece] = []
    paths: list[tuple[str, ...]] = []
    for section in sections(document):
        for block in (*section.headings, *section.body):
            found = _fine(
                document.text, _words(document.text, block.start, block.end), settings.max_tokens // 3, counter
            )
            words.extend(found)
            paths.extend([section.path] * len(found))
    first = 0
    while first < len(words):
        path = paths[first]
        budget = settings.max_tokens - counter.count(prefix(document.title, path, settings, counter))
        end, used = first, 0
        while end < len(words) and (end == first or used + words[end].tokens <= budget):
            used += words[end].tokens
            end += 1
        yield Cut(path, words[first].start, words[end - 1].end, ((words[first].start, words[end - 1].end),))
        if end == len(words):
            return
        first = _overlapped(words, end, first + 1, settings.overlap)


SPLITTERS: dict[str, Splitter] = {"section": split_by_section, "fixed": split_fixed}
