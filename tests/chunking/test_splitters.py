"""Chunks are exact slices in order, cover every word once, fit the budget and do not cross headings."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.document import Block, BlockKind, Document, Page, Parent, Row, Table, UnreadableError
from chunking.encoder_text import clean, prefix
from chunking.limits import ReadLimits
from chunking.markdown_table import markdown_header
from chunking.pieces import Piece, pack, sentences
from chunking.read_text import read_text
from chunking.splitters import SPLITTERS, ChunkSettings, chunk, shortened
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


def test_a_section_that_fits_is_one_chunk_whatever_the_overlap(counter: TokenCounter) -> None:
    document = make(*[("paragraph", 0, numbered(10, f"p{i}_")) for i in range(3)])
    assert len(chunk(document, ChunkSettings(max_tokens=32, overlap=10), counter)) == 1  # title 1 and 30: no 41


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
    items = [Piece(cost, ()) for cost in costs]
    groups = pack(items, budget)
    assert [i for first, last in groups for i in range(first, last)] == list(range(len(costs)))
    sums = [sum(costs[first:last]) for first, last in groups]
    assert all(total <= budget for total in sums)
    assert len(groups) <= 2 * sum(costs) // budget + 1  # two neighbouring groups never fit into one


def test_pack_leaves_no_short_remainder() -> None:
    items = [Piece(60, ())] * 4
    assert pack(items, 200) == [(0, 2), (2, 4)]  # not three and one


def test_a_long_title_and_path_take_a_third_of_the_budget_at_most(counter: TokenCounter) -> None:
    document = make(
        ("heading", 1, numbered(30, "outer")), ("heading", 2, numbered(5, "inner")), ("paragraph", 0, numbered(200)),
        title=numbered(8, "t"),
    )  # fmt: skip
    chunks = chunk(document, ChunkSettings(max_tokens=48), counter)
    assert all(c.encoder_text.startswith(f"{numbered(8, 't')}\n{numbered(5, 'inner')}\n") for c in chunks)
    assert shortened(chunks) == len(chunks)
    assert " ".join(c.text for c in chunks).split()[-200:] == numbered(200).split()
    long = prefix(numbered(50, "t"), (numbered(50, "h"),), 48, counter)
    assert counter.count(long) == 48 // 3  # 8 words of the heading, 8 of the title
    assert prefix("T", ("A", "B"), 48, counter) == "T\nA > B\n"


def test_encoder_text_has_no_ruling_lines_and_joins_lines() -> None:
    assert clean("+-+-+-+\n| a  | b |\n+-+-+-+") == "| a | b |"
    assert clean("two\n   lines") == "two lines"
    assert clean("日本語の\n  文です。") == "日本語の文です。"
    assert clean("日本語と\nEnglish") == "日本語と English"
    assert clean("Intro . . . . . . . 4") == "Intro 4"


def test_pages_of_a_chunk(counter: TokenCounter) -> None:
    text = "one two\n\nthree four"
    pages = (Page(1, 0, 7), Page(2, 7, 7), Page(3, 9, 19))
    blocks = (Block("paragraph", 1, 0, 7), Block("paragraph", 3, 9, 19))
    document = Document("d", "0", "T", text, pages, blocks)
    [found] = chunk(document, ChunkSettings(), counter)
    assert (found.first_page, found.last_page) == (1, 3)


def test_settings_are_checked_and_fingerprinted() -> None:
    with pytest.raises(ValueError, match="unknown splitter 'magic'; known: section, fixed"):
        ChunkSettings("magic")
    with pytest.raises(ValueError, match="max_tokens must be 32 to 8192, not 8"):
        ChunkSettings(max_tokens=8)
    with pytest.raises(ValueError, match=r"overlap must be 0 to a third of max_tokens \(80\), not 100"):
        ChunkSettings(overlap=100)
    assert ChunkSettings().fingerprint() == ChunkSettings().fingerprint() != ChunkSettings(max_tokens=200).fingerprint()


# -- tables ----------------------------------------------------------------------------------------------------------


def with_table(rows: list[list[str]], caption: str = "", before: str = "", header: bool = True) -> Document:
    """A paragraph, and a Markdown table of the columns Size and Torque, whose rows are ``| a | b |``."""
    text = f"{before}\n\n" if before else ""
    blocks = [Block("paragraph", 1, 0, len(before))] if before else []
    start = len(text)
    if header:
        text += "| Size | Torque |\n|---|---|\n"
    made = []
    for cells in rows:
        written = f"| {' | '.join(cells)} |"
        made.append(Row(len(text), len(text) + len(written), tuple(cells)))
        text += f"{written}\n"
    table = Table(caption, ("Size", "Torque"), tuple(made))
    blocks.append(Block("table", 1, start, len(text), table=table))
    return Document("d.md", "0", "T", text, (Page(1, 0, len(text)),), tuple(blocks))


def test_a_table_that_fits_is_read_by_its_columns(counter: TokenCounter) -> None:
    document = with_table([["M8", "25 N·m"], ["M10", ""]], caption="Table 3: Bolts", before="See below.")
    [c] = chunk(document, ChunkSettings(), counter)
    assert c.encoder_text == "T\nSee below.\nTable 3: Bolts\nSize: M8; Torque: 25 N·m\nSize: M10"
    assert c.text == document.text.strip()
    assert c.lead == ""


def test_a_long_table_is_cut_between_rows_and_its_header_is_replayed(counter: TokenCounter) -> None:
    rows = [[f"M{i}", f"{i} Nm"] for i in range(20)]
    document = with_table(rows, caption="Torques")
    # A row is "Size: M1; Torque: 1 Nm", 8 tokens; beside title and caption 46 hold 5 of them: 20 rows are 4 chunks.
    chunks = chunk(document, ChunkSettings(max_tokens=48), counter)
    assert [c.text.count("| M") for c in chunks] == [5, 5, 5, 5]
    assert chunks[0].text.startswith("| Size | Torque |\n|---|---|\n| M0 | 0 Nm |")
    assert [c.lead for c in chunks] == ["", *["| Size | Torque |\n|---|---|"] * 3]
    assert chunks[1].text.splitlines() == [f"| M{i} | {i} Nm |" for i in range(5, 10)]
    assert chunks[1].encoder_text.splitlines() == [
        "T",
        "Torques",
        *[f"Size: M{i}; Torque: {i} Nm" for i in range(5, 10)],
    ]
    assert {c.tokens for c in chunks} == {1 + 1 + 5 * 8}


def test_rows_are_repeated_whole_where_an_overlap_is_declared(counter: TokenCounter) -> None:
    document = with_table([[f"M{i}", f"{i} Nm"] for i in range(12)])
    for splitter in ("section", "sentence", "fixed"):
        chunks = chunk(document, ChunkSettings(splitter, max_tokens=49, overlap=16), counter)
        assert len(chunks) > 1
        for before, after in itertools.pairwise(chunks):
            repeated = document.text[after.start : before.end].splitlines()
            assert [line.count("|") for line in repeated] == [3, 3]  # 16 tokens: two rows of 8
            assert after.lead


def test_a_row_too_long_is_cut_between_its_cells(counter: TokenCounter) -> None:
    document = with_table([["M8", numbered(30, "a")], ["M10", numbered(30, "b")]])
    chunks = chunk(document, ChunkSettings(max_tokens=33), counter)
    assert "".join("".join(c.text.split()) for c in chunks) == "".join(document.text.split())
    read = [line for c in chunks for line in c.encoder_text.splitlines()[1:]]
    assert [line for line in read if line.startswith("Size")] == ["Size: M8", "Size: M10"]
    torques = [line.removeprefix("Torque: ") for line in read if line.startswith("Torque: ")]
    assert " ".join(torques) == f"{numbered(30, 'a')} {numbered(30, 'b')}"
    assert len(read) == len(torques) + 2


def test_a_row_whose_cells_are_scattered_is_cut_as_text_under_the_columns_names(counter: TokenCounter) -> None:
    document = with_table([["M8 long", numbered(40, "a")]])
    text = document.text.replace("M8 long", "long M8")  # as where both lines of two wrapped cells stand side by side
    chunks = chunk(replace(document, text=text), ChunkSettings(max_tokens=33), counter)
    assert len(chunks) > 1
    assert all(c.encoder_text.startswith("T\nSize | Torque\n") for c in chunks)


def test_a_table_without_its_header_in_the_text_leads_with_it(counter: TokenCounter) -> None:
    [c] = chunk(with_table([["M8", "25"]], header=False), ChunkSettings(), counter)
    assert c.lead == "| Size | Torque |\n|---|---|"
    document = with_table([["M8", "25"]])
    bare = Table("", (), document.blocks[0].table.rows)  # type: ignore[union-attr]
    [c] = chunk(replace(document, blocks=(replace(document.blocks[0], table=bare),)), ChunkSettings(), counter)
    assert (c.lead, c.encoder_text) == ("", "T\nM8; 25")
    assert markdown_header(("a|b", ""), 2) == "| a\\|b |  |\n|---|---|"


# -- captions, footnotes, contents -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "together"),
    [
        (("paragraph", "caption", "table"), (1, 2)),  # above its table
        (("table", "caption", "paragraph"), (0, 1)),  # below it
        (("paragraph", "caption", "paragraph"), (0, 1)),  # of a figure, which stands above it
        (("caption", "paragraph", "paragraph"), (0, 1)),  # nothing stands above it
    ],
)
def test_a_caption_stays_with_what_it_names(
    counter: TokenCounter, kinds: tuple[BlockKind, ...], together: tuple[int, int]
) -> None:
    document = make(*[(kind, 0, numbered(12, f"{kind}{i}_")) for i, kind in enumerate(kinds)])
    chunks = chunk(document, ChunkSettings(max_tokens=32), counter)  # two of three fit
    holding = [next(c.ordinal for c in chunks if c.start <= b.start < c.end) for b in document.blocks]
    assert holding[together[0]] == holding[together[1]]
    assert len(chunks) == 2


def test_between_two_tables_the_caption_goes_with_the_one_that_has_it(counter: TokenCounter) -> None:
    document = make(
        ("table", 0, numbered(14, "a")), ("caption", 0, "Table 1"), ("table", 0, numbered(14, "b"))
    )  # fmt: skip
    first = replace(document.blocks[0], table=Table("Table 1", (), (Row(0, 5, (numbered(14, "a"),)),)))
    document = replace(document, blocks=(first, *document.blocks[1:]))
    chunks = chunk(document, ChunkSettings(max_tokens=32), counter)
    assert [c.text.split()[0] for c in chunks] == ["a0", "b0"]
    assert chunks[0].encoder_text == f"T\nTable 1\n{numbered(14, 'a')}\nTable 1"


def test_footnotes_are_read_last_and_contents_not_at_all(counter: TokenCounter) -> None:
    document = make(
        ("heading", 1, "One"), ("paragraph", 0, "begins on this page"), ("footnote", 0, "1 a note"),
        ("paragraph", 0, "and ends on the next."), ("contents", 0, "1 One ... 1"), ("paragraph", 0, "More."),
    )  # fmt: skip
    first, second = chunk(document, ChunkSettings(), counter)
    assert first.encoder_text == "T\nOne\nbegins on this page\nand ends on the next.\n1 a note"
    assert first.text == "One\n\nbegins on this page\n\n1 a note\n\nand ends on the next."
    assert (second.text, second.section) == ("More.", ("One",))
    for splitter in SPLITTERS:
        assert not any("..." in c.text for c in chunk(document, ChunkSettings(splitter), counter))


# -- the other splitters ---------------------------------------------------------------------------------------------


def test_sentences_are_kept_whole_and_repeated_whole(counter: TokenCounter) -> None:
    said = [f"Sentence {i} has exactly these seven words." for i in range(9)]  # 8 tokens each
    document = make(
        ("heading", 1, "H"), ("paragraph", 0, " ".join(said)), ("heading", 1, "I"), ("paragraph", 0, "End.")
    )
    chunks = chunk(document, ChunkSettings("sentence", max_tokens=34, overlap=8), counter)  # 32 beside title and path
    assert [c.text.count("Sentence") for c in chunks] == [3, 4, 4, 1]
    assert [c.text.split()[1] for c in chunks[1:]] == ["2", "5", "8"]  # each begins with the last of the one before
    assert chunks[-1].text.endswith("I\n\nEnd.")
    japanese = "これは文である。これも「文だ。」と言う。続き３．５は数だ！終わり"
    assert [japanese[a:b] for a, b in sentences(make(("paragraph", 0, japanese)), Block("paragraph", 1, 0, 32))] == [
        "これは文である。", "これも「文だ。」", "と言う。", "続き３．５は数だ！", "終わり",
    ]  # fmt: skip


def test_small_passages_know_the_clause_that_is_shown(counter: TokenCounter) -> None:
    document = make(
        ("heading", 1, "One"), *[("paragraph", 0, numbered(30, f"p{i}_")) for i in range(3)],
        ("heading", 1, "Two"), ("paragraph", 0, "short"),
    )  # fmt: skip
    chunks = chunk(document, ChunkSettings("parents", max_tokens=120, child_tokens=40), counter)
    assert [c.section for c in chunks] == [("One",)] * 3 + [("Two",)]
    assert all(c.tokens <= 40 for c in chunks)
    end = document.blocks[3].end
    assert [c.parent for c in chunks] == [Parent(0, end, 1, 1)] * 3 + [Parent(end + 2, len(document.text) - 2, 1, 1)]


def test_a_clause_of_many_pages_is_shown_in_parts(counter: TokenCounter) -> None:
    document = make(*[("paragraph", 0, numbered(60, f"p{i}_")) for i in range(20)])  # no heading: all one clause
    chunks = chunk(document, ChunkSettings("parents", max_tokens=64, child_tokens=64), counter)
    parents = list(dict.fromkeys(c.parent for c in chunks))
    assert len(chunks) == 20
    assert len(parents) == -(-20 * 60 // (8 * 64))  # as few parts of 512 tokens as go
    assert [sum(c.parent == parent for c in chunks) for parent in parents] == [7, 7, 6]
