"""What must hold for every document, splitter and setting, on documents of every kind of block."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from chunking.document import Block, BlockKind, Document, Page, Row, Table
from chunking.encoder_text import clean
from chunking.pieces import cut_long
from chunking.splitters import SPLITTERS, ChunkSettings, chunk
from chunking.tokens import TokenCounter

WORDS = [
    "alpha",
    "beta.",
    "γάμμα;",
    "日本語の文。",
    "長さ、",
    "。",
    "x" * 130,
    "+-+-+-+-+",
    "1.",
    "o",
    "|",
    "e.g.",
    "(End.",
]
word = st.one_of(st.sampled_from(WORDS), st.text("abc.、。-,", min_size=1, max_size=12))
line = st.lists(word, min_size=1, max_size=14).map(" ".join)
body = st.lists(line, min_size=1, max_size=6).map("\n".join)
cell = st.one_of(st.just(""), word, line)
KINDS: list[BlockKind] = ["paragraph", "list", "code", "caption", "footnote", "contents", "table", "heading"]


@dataclass
class Writer:
    """Writes a document block by block."""

    text: str = ""
    blocks: list[Block] = field(default_factory=list)
    pages: list[int] = field(default_factory=lambda: [0])

    def block(self, kind: BlockKind, words: str, level: int = 0) -> None:
        start = len(self.text)
        self.text += words
        self.blocks.append(Block(kind, len(self.pages), start, len(self.text), level))
        self.text += "\n\n"

    def table(self, caption: str, header: list[str], rows: list[list[str]], shown: bool, plain: bool) -> None:
        """Write a table with its header or without; if not plain, with scattered cells and lines between the rows."""
        start = len(self.text)
        if shown and any(header):
            self.text += "| " + " | ".join(header) + " |\n|---|\n"
        made = []
        for cells in rows:
            at = len(self.text)
            self.text += "| " + " | ".join(cells if plain else reversed(cells)) + " |"
            made.append(Row(at, len(self.text), tuple(cells)))
            self.text += "\n" if plain else "\n+---+\n"
        table = Table(caption, tuple(header), tuple(made))
        self.blocks.append(Block("table", len(self.pages), start, len(self.text), table=table))
        self.text += "\n"

    def document(self) -> Document:
        bounds = [*self.pages, len(self.text)]
        pages = tuple(Page(i, a, b) for i, (a, b) in enumerate(itertools.pairwise(bounds), 1))
        return Document("generated", "0", "A title", self.text, pages, tuple(self.blocks))


@st.composite
def documents(draw: Any) -> Document:
    writer = Writer()
    for kind in draw(st.lists(st.sampled_from([*KINDS, "rows", "rows", "page"]), min_size=1, max_size=14)):
        if kind == "page":
            writer.pages.append(len(writer.text))
        elif kind == "rows":
            width = draw(st.integers(1, 4))
            cells = st.lists(cell, min_size=width, max_size=width)
            header = draw(st.one_of(st.just([]), st.lists(word, min_size=width, max_size=width)))
            caption = draw(st.one_of(st.just(""), line))
            if caption and draw(st.booleans()):
                writer.block("caption", caption)
            rows = draw(st.lists(cells, min_size=1, max_size=8))
            writer.table(caption, header, rows, draw(st.booleans()), draw(st.booleans()))
        else:
            writer.block(kind, draw(line if kind == "heading" else body), draw(st.integers(1, 3)) * (kind == "heading"))
    return writer.document()


chosen = st.builds(
    lambda splitter, size, share: ChunkSettings(splitter, size, size // 3 * share // 4, max(32, size // 2)),
    st.sampled_from(sorted(SPLITTERS)),
    st.integers(64, 120),
    st.integers(0, 2),
)


@settings(max_examples=300, deadline=None)
@given(documents(), chosen)
def test_every_document_is_covered_in_order_within_the_budget(
    both: TokenCounter, check_chunks: Any, document: Document, chosen: ChunkSettings
) -> None:
    chunks = chunk(document, chosen, both)
    check_chunks(document, chunks, chosen, both)
    assert all((c.parent is not None) == (chosen.splitter == "parents") for c in chunks)
    assert chunk(document, chosen, both) == chunks
    for block in document.blocks:
        if block.kind == "contents":
            assert not any(c.start < block.end and block.start < c.end for c in chunks)


@settings(max_examples=150, deadline=None)
@given(documents(), chosen)
def test_words_are_repeated_only_as_the_overlap_allows(
    counter: TokenCounter, document: Document, chosen: ChunkSettings
) -> None:
    plain = all(block.table is None for block in document.blocks)  # rows are measured as they are read
    for before, after in itertools.pairwise(chunk(document, chosen, counter)):
        repeated = document.text[after.start : before.end] if after.start < before.end else ""
        assert not plain or counter.estimate(clean(repeated)) <= chosen.overlap


@settings(max_examples=150, deadline=None)
@given(documents(), chosen)
def test_tables_are_cut_between_rows_and_later_parts_lead_with_the_header(
    counter: TokenCounter, document: Document, chosen: ChunkSettings
) -> None:
    chunks = chunk(document, chosen, counter)
    for table, c in itertools.product([b for b in document.blocks if b.table], chunks):
        if not table.start <= c.start < table.end or table.table is None:
            continue
        before = [row for row in table.table.rows if row.start <= c.start]
        assert bool(c.lead) == bool(before and table.table.header)
        if before and c.start > before[-1].start:  # only a row that is too long for a chunk is cut
            row = " ".join((table.table.caption, *table.table.header, *before[-1].cells))
            assert counter.estimate(f"A title {row}") + len(before[-1].cells) * 2 + chosen.overlap > chosen.budget // 2


def test_a_character_of_many_tokens_is_not_cut_for_ever() -> None:
    of_bytes = Tokenizer(BPE({character: i for i, character in enumerate(sorted(ByteLevel.alphabet()))}, []))
    of_bytes.pre_tokenizer = ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    counter = TokenCounter([of_bytes])
    assert counter.count("日") == 3
    assert cut_long("a日本", 0, 3, 1, counter) == [(0, 1), (1, 2), (2, 3)]


@settings(max_examples=200, deadline=None)
@given(body, st.integers(1, 12))
def test_what_is_too_long_is_cut_into_exact_slices(both: TokenCounter, text: str, size: int) -> None:
    spans = cut_long(text, 0, len(text), size, both)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(both.estimate(text[a:b]) <= size or b - a == 1 for a, b in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
