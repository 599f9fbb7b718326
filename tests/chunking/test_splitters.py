"""Chunks are exact slices in order, cover every word once, fit the budget and do not cross headings."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.document import Block, BlockKind, Document, Page, UnreadableError
from chunking.limits import ReadLimits
from chunking.read_text import read_text
from chunking.splitters import SPLITTERS, ChunkSettings, Piece, chunk, clean, pack, prefix, shortened
from chunking.tokens import TokenCounter


def make(*parts: tuple[BlockKind, int, str], title: str = "T") -> Document:
    text, blocks = "", []
    for kind, level, words in parts:
        blocks.append(Block(kind, 1, len(text), len(text) + len(words), level))
        text += words + "\n\n"
    return Document("d.txt", "0", title, text, (Page(1, 0, len(text)),), tuple(blocks))


def numbered(count: int, word: str = "w") -> str:
    return " ".join(f"{word}{i}" for i in range(count))


words = st.sampled_from(
    ["alpha", "beta.", "γάμμα", "日本語の文。", "x" * 130, "+-+-+-+-+", "1.", "o", "|", "e.g.", "End."]
)
line = st.lists(words, min_size=1, max_size=14).map(" ".join)
paragraph = st.builds(
    lambda indent, lines: "\n".join(indent + text for text in lines),
    st.sampled_from(["", "   "]),
    st.lists(line, min_size=1, max_size=6),
)
heading = st.builds(lambda a, b, text: f"{a}.{b}  {text}", st.integers(1, 9), st.integers(1, 9), line)
texts = st.lists(st.one_of(paragraph, paragraph, heading, st.just("\f"), line), min_size=1, max_size=14).map(
    "\n\n".join
)


@settings(max_examples=60, deadline=None)
@given(texts, st.sampled_from(sorted(SPLITTERS)), st.integers(32, 90), st.integers(0, 10))
def test_invariants(tmp_path_factory, both, check_chunks, text, splitter, max_tokens, overlap) -> None:  # type: ignore[no-untyped-def]
    path: Path = tmp_path_factory.getbasetemp() / "generated.txt"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        document = read_text(path, "generated.txt", ReadLimits())
    except UnreadableError:
        return
    chosen = ChunkSettings(splitter, max_tokens, overlap)
    chunks = chunk(document, chosen, both)
    check_chunks(document, chunks, chosen, both)
    assert chunk(document, chosen, both) == chunks
    if splitter == "section" and not overlap:
        for c in chunks:
            inside = [block.kind for block in document.blocks if c.start <= block.start < c.end]
            assert "heading" not in itertools.dropwhile(lambda kind: kind == "heading", inside)


def test_blocks_are_packed_and_headings_begin_a_chunk(counter: TokenCounter) -> None:
    document = make(
        ("heading", 1, "One"), ("paragraph", 0, numbered(20)), ("paragraph", 0, numbered(20, "x")),
        ("heading", 1, "Two"), ("paragraph", 0, "short"),
    )  # fmt: skip
    chunks = chunk(document, ChunkSettings(max_tokens=45), counter)
    assert [c.section for c in chunks] == [("One",), ("Two",)]
    assert chunks[0].text == f"One\n\n{numbered(20)}\n\n{numbered(20, 'x')}"
    assert chunks[0].encoder_text == f"T\nOne\n{numbered(20)}\n{numbered(20, 'x')}"
    assert chunks[0].tokens == 1 + 1 + 20 + 20
    assert chunks[1].encoder_text == "T\nTwo\nshort"
    assert len(chunk(document, ChunkSettings(max_tokens=41), counter)) == 3  # 42 no longer fit


def test_a_long_block_is_cut_at_sentence_ends_as_evenly_as_can_be(counter: TokenCounter) -> None:
    sentences = [f"Sentence {i} has exactly these seven words." for i in range(10)]  # 7 words and a full stop
    document = make(("paragraph", 0, " ".join(sentences)))
    chunks = chunk(document, ChunkSettings(max_tokens=61), counter)  # title 1, so 60 // 8 = 7 sentences at most
    assert [c.text for c in chunks] == [" ".join(sentences[:5]), " ".join(sentences[5:])]
    english = make(("paragraph", 0, "See e.g. Smith et al. Nothing ends there. " + numbered(40, "W")))
    assert chunk(english, ChunkSettings(max_tokens=50), counter)[0].text.endswith("Nothing ends there.")


def test_japanese_is_cut_at_its_sentence_ends(both: TokenCounter) -> None:
    sentences = [f"これは第{i}番の文であり、区切りの位置を試すために書かれている。" for i in range(6)]
    chunks = chunk(make(("paragraph", 0, "".join(sentences))), ChunkSettings(max_tokens=64), both)
    assert len(chunks) > 1
    assert all(c.text.endswith("。") for c in chunks)
    assert "".join(c.text for c in chunks) == "".join(sentences)


def test_tables_and_code_are_cut_between_lines(counter: TokenCounter) -> None:
    rows = [f"row {i} has. Full stops" for i in range(30)]
    chunks = chunk(make(("table", 0, "\n".join(rows))), ChunkSettings(max_tokens=40), counter)
    assert [line for c in chunks for line in c.text.split("\n")] == rows


def test_what_no_blank_divides_is_cut_all_the_same(both: TokenCounter) -> None:
    document = make(("paragraph", 0, "x" * 5000))
    chunks = chunk(document, ChunkSettings(max_tokens=40), both)
    assert "".join(c.text for c in chunks) == "x" * 5000
    assert max(c.tokens for c in chunks) <= 40


def test_overlap_repeats_whole_pieces_of_the_same_section(counter: TokenCounter) -> None:
    document = make(
        *[("paragraph", 0, numbered(10, f"p{i}_")) for i in range(4)], ("heading", 1, "H"), ("paragraph", 0, "z")
    )
    chunks = chunk(document, ChunkSettings(max_tokens=32, overlap=10), counter)
    assert [c.text.split("\n\n")[0][:3] for c in chunks] == ["p0_", "p1_", "H"]
    assert chunks[1].start < chunks[0].end <= chunks[1].end


def test_overlap_never_swallows_the_chunk_before(counter: TokenCounter) -> None:
    document = make(*[("paragraph", 0, numbered(count, name)) for count, name in ((28, "a"), (5, "b"), (28, "c"))])
    chunks = chunk(document, ChunkSettings(max_tokens=41, overlap=10), counter)  # 41 less title and overlap: 30
    assert [c.text.split()[0] for c in chunks] == ["a0", "b0", "c0"]  # c could repeat all of b


def test_fixed_windows_fill_the_budget_and_overlap(counter: TokenCounter) -> None:
    document = make(("paragraph", 0, numbered(100)))
    chunks = chunk(document, ChunkSettings("fixed", max_tokens=41, overlap=10), counter)  # 40 words beside the title
    assert [c.text.split()[0] for c in chunks] == ["w0", "w30", "w60"]
    assert [len(c.text.split()) for c in chunks] == [40, 40, 40]


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), max_size=30), st.integers(50, 120))
def test_pack(costs: list[int], budget: int) -> None:
    items = [Piece(i, i + 1, cost) for i, cost in enumerate(costs)]
    groups = pack(items, budget)
    assert [i for first, last in groups for i in range(first, last)] == list(range(len(costs)))
    sums = [sum(costs[first:last]) for first, last in groups]
    assert all(total <= budget for total in sums)
    assert len(groups) <= 2 * sum(costs) // budget + 1  # two neighbouring groups never fit into one


def test_pack_leaves_no_short_remainder() -> None:
    items = [Piece(i, i + 1, 60) for i in range(4)]
    assert pack(items, 200) == [(0, 2), (2, 4)]  # not three and one


def test_a_long_title_and_path_take_a_third_of_the_budget_at_most(counter: TokenCounter) -> None:
    document = make(
        ("heading", 1, numbered(30, "outer")), ("heading", 2, numbered(5, "inner")), ("paragraph", 0, numbered(200)),
        title=numbered(8, "t"),
    )  # fmt: skip
    settings_ = ChunkSettings(max_tokens=48)
    chunks = chunk(document, settings_, counter)
    assert all(c.encoder_text.startswith(f"{numbered(8, 't')}\n{numbered(5, 'inner')}\n") for c in chunks)
    assert shortened(chunks) == len(chunks)
    assert " ".join(c.text for c in chunks).split()[-200:] == numbered(200).split()
    long = prefix(numbered(50, "t"), (numbered(50, "h"),), settings_, counter)
    assert counter.count(long) == 48 // 3  # 8 words of the heading, 8 of the title
    assert prefix("T", ("A", "B"), settings_, counter) == "T\nA > B\n"


def test_encoder_text_has_no_ruling_lines_and_joins_lines() -> None:
    assert clean("+-+-+-+\n| a  | b |\n+-+-+-+") == "| a | b |"
    assert clean("two\n   lines") == "two lines"
    assert clean("日本語の\n  文です。") == "日本語の文です。"
    assert clean("日本語と\nEnglish") == "日本語と English"
    assert clean("Intro . . . . . . . 4") == "Intro 4"


def test_pages_of_a_chunk() -> None:
    text = "one two\n\nthree four"
    pages = (Page(1, 0, 7), Page(2, 7, 7), Page(3, 9, 19))
    blocks = (Block("paragraph", 1, 0, 7), Block("paragraph", 3, 9, 19))
    document = Document("d", "0", "T", text, pages, blocks)
    assert SPLITTERS.keys() == {"section", "fixed"}
    from chunking.splitters import Cut, _chunk

    found = _chunk(document, 0, Cut((), 0, 19, ()), "x", 1, [page.start for page in pages])
    assert (found.first_page, found.last_page) == (1, 3)


def test_settings_are_checked_and_fingerprinted() -> None:
    with pytest.raises(ValueError, match="unknown splitter 'magic'; known: section, fixed"):
        ChunkSettings("magic")
    with pytest.raises(ValueError, match="max_tokens must be 32 to 8192, not 8"):
        ChunkSettings(max_tokens=8)
    with pytest.raises(ValueError, match=r"overlap must be 0 to a third of max_tokens \(80\), not 100"):
        ChunkSettings(overlap=100)
    assert ChunkSettings().fingerprint() == ChunkSettings().fingerprint() != ChunkSettings(max_tokens=200).fingerprint()
