"""Plain text: decoding, pages, running lines, titles, headings, kinds of blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.read_text import decode, read_text
from chunking.splitters import ChunkSettings, chunk
from chunking.stored import load, save
from chunking.tokens import TokenCounter


def read(tmp_path: Path, data: str | bytes, name: str = "folder/some_name.txt") -> Document:
    path = tmp_path / "document.txt"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_text(path, name, ReadLimits())


def kinds(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


RFC = """


Internet Engineering Task Force (IETF)                          A. Author
Request for Comments: 9999                                    Example Org
Category: Informational                                          May 2030


           The Example Protocol: A Title That Takes
                     Two Centred Lines

Abstract

   What it is.

Table of Contents

   1.  Introduction
     1.1.  A Title Too Long for One
           Line
   2.  Details
   Appendix A.  More
   Acknowledgements

1.  Introduction

   First words.

1.1.  A Title Too Long for One
      Line

   1.  A list item at the start.

   2.  Another one.

2.  Details

   0 1 2 3
   +-+-+-+-+
   |  Type |
   +-+-+-+-+

   o  a bullet
   o  another that
      goes on

Acknowledgements

   Thanks.
"""


def test_an_rfc(tmp_path: Path) -> None:
    document = read(tmp_path, RFC)
    assert document.title == "RFC 9999: The Example Protocol: A Title That Takes Two Centred Lines"
    assert document.text == RFC
    headings = [
        (block.level, document.text[block.start : block.end].split()) for block in document.blocks if block.level
    ]
    assert headings == [
        (1, ["Abstract"]),
        (1, ["1.", "Introduction"]),
        (2, "1.1. A Title Too Long for One Line".split()),
        (1, ["2.", "Details"]),
        (1, ["Acknowledgements"]),
    ]
    shown = "".join(text for _, text in kinds(document))
    assert "Appendix A" not in shown  # the table of contents is in no block
    assert [kind for kind, _ in kinds(document)][-6:] == ["heading", "table", "list", "list", "heading", "paragraph"]
    assert document.text[document.blocks[-3].start : document.blocks[-3].end].endswith("goes on")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"abc\0def", "NUL byte at byte 3"),
        (b"ok \xff\xfe", "byte 3 is 0xff"),
        ("text".encode("utf-16"), "NUL byte"),
        ("日本語".encode("shift_jis"), "not UTF-8: byte 0 is 0x93"),
        (b" \r\n\t\x0c \n", "only white space"),
        (b"\x01\x02\x03 a b \x04\x05", "control characters"),
    ],
)
def test_what_is_no_text_is_refused_with_the_place(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        decode(data, ReadLimits())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_text_is_the_file_whatever_ends_its_lines(tmp_path: Path, end: str) -> None:
    words = end.join(["1. Heading", "", "First paragraph", "goes on.", "", "Second one."])
    document = read(tmp_path, "\ufeff" + words)
    assert document.text == "\ufeff" + words
    assert kinds(document) == [
        ("heading", "1. Heading"), ("paragraph", f"First paragraph{end}goes on."), ("paragraph", "Second one.")
    ]  # fmt: skip


def test_form_feeds_divide_pages_and_running_lines_are_in_no_block(tmp_path: Path) -> None:
    page = "RFC 0000              Title             May 1999\n\n   Words of page {0}.\n\nAuthor        [Page {0}]\n\f"
    document = read(tmp_path, "".join(page.format(number) for number in range(1, 5)) + "\fThe end.")
    assert [text for _, text in kinds(document)] == [*(f"Words of page {n}." for n in range(1, 5)), "The end."]
    assert [block.page for block in document.blocks] == [1, 2, 3, 4, 6]
    assert [page.number for page in document.pages if page.start == page.end] == [5]  # nothing between two form feeds
    assert [document.text[p.start : p.end].count("Words") for p in document.pages] == [1, 1, 1, 1, 0, 0]


SENTENCE = "The receiver shall discard every fragment that it cannot place, and"


def paginated(pages: int, feed: str) -> str:
    """An RFC as it was printed: a header and a foot on every page, a sentence broken over every page's end."""
    body = f"{{0}}.  Section {{0}}\n\n   {SENTENCE}\n"
    foot = "\n\nDoe                       Standards Track                   [Page {0}]\n" + feed
    head = "RFC 9999                 Fragments                 May 2001\n\n\n"
    rest = "   count it; part {0} is lost.\n\n"
    text = body.format(1)
    for number in range(1, pages):
        text += foot.format(number) + head + rest.format(number) + body.format(number + 1)
    return text + "   end.\n" + foot.format(pages)


@pytest.mark.parametrize("feed", ["\f", "", "\n\n"])
def test_running_lines_are_in_no_block_though_the_form_feeds_were_lost(tmp_path: Path, feed: str) -> None:
    text = paginated(12, feed)
    document = read(tmp_path, text)
    assert document.text == text
    found = [words for _, words in kinds(document)]
    assert not any("[Page" in words or "RFC 9999" in words for words in found)
    assert [words for kind, words in kinds(document) if kind == "heading"] == [
        f"{n}.  Section {n}" for n in range(1, 13)
    ]
    assert sum(words.endswith("is lost.") for words in found) == 11
    assert sum(len(page.dropped) for page in document.pages) == 12 + 11
    if feed == "\f":
        assert document.pages[1].dropped[0].split() == "RFC 9999 Fragments May 2001".split()
        assert document.pages[1].dropped[1].split() == "Doe Standards Track [Page 2]".split()


@pytest.mark.parametrize("feed", ["\f", ""])
def test_a_sentence_goes_on_over_the_end_of_a_page(tmp_path: Path, feed: str, counter: TokenCounter) -> None:
    document = read(tmp_path, paginated(12, feed))
    continuing = [document.text[block.start : block.end] for block in document.blocks if block.continues]
    assert continuing == [f"count it; part {number} is lost." for number in range(1, 12)]
    save(tmp_path / "stored", document, [])
    assert load(tmp_path / "stored")[0] == document
    for splitter in ("section", "sentence", "fixed"):
        chunks = chunk(document, ChunkSettings(splitter, 64), counter)
        assert all(chunk.text == document.text[chunk.start : chunk.end] for chunk in chunks)
        read_by_encoders = "\n".join(chunk.encoder_text for chunk in chunks)
        assert "[Page" not in read_by_encoders and "RFC 9999" not in read_by_encoders
        if splitter != "fixed":  # which cuts between any two words
            for number in range(1, 12):
                assert f"{SENTENCE} count it; part {number} is lost." in read_by_encoders


@pytest.mark.parametrize("begins", ["   - an item", "      indented more", "2.  Heading"])
def test_what_begins_anew_after_a_page_does_not_continue(tmp_path: Path, begins: str) -> None:
    text = paginated(4, "\f").replace("   count it; part 2 is lost.", begins)
    document = read(tmp_path, text)
    assert sum(block.continues for block in document.blocks) == 3 - 1


def test_a_sentence_that_ends_like_a_page_foot_is_kept(tmp_path: Path) -> None:
    words = "The foot of a page reads\nSomebody  [Page 3]\nas everybody knows."
    assert kinds(read(tmp_path, f"1. Feet\n\n{words}\n")) == [("heading", "1. Feet"), ("paragraph", words)]


def test_files_that_do_not_wrap_have_a_paragraph_a_line(tmp_path: Path) -> None:
    lines = ["文がある。" * 60, "別の段落。" * 60, "短い行。"]
    assert [text for _, text in kinds(read(tmp_path, "\n".join(lines)))] == lines


def test_titles(tmp_path: Path) -> None:
    assert read(tmp_path, "Handbook\n\nIt begins here.").title == "Handbook"
    assert read(tmp_path, "It is a sentence.\n\nMore.").title == "some_name"
    assert read(tmp_path, " " * 26 + "A Centred Title\n\nText of it.").title == "A Centred Title"


def test_a_numbered_list_at_the_margin_is_no_heading(tmp_path: Path) -> None:
    text = "1. Scope\n\nText.\n\n2. Terms\n\nSteps:\n\n1. Open the valve\n\n2. Close it again.\n\n3. Use\n\nText.\n"
    headings = [text for kind, text in kinds(read(tmp_path, text)) if kind == "heading"]
    assert headings == ["1. Scope", "2. Terms", "3. Use"]


def test_limit_of_characters() -> None:
    with pytest.raises(UnreadableError, match="11 characters of text, more than the limit of 10"):
        decode(b"hello world", ReadLimits(characters=10))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    try:
        document = read_text(path, "any.txt", ReadLimits())
    except UnreadableError:
        return
    assert document.text.encode() == data
    for before, block in zip(document.blocks, document.blocks[1:], strict=False):
        assert before.end <= block.start < block.end
    assert document.pages[0].start == 0
    assert document.pages[-1].end <= len(text)
