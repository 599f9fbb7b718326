"""Headings: what has the form of one, what may follow what, contents, and the tree."""

from __future__ import annotations

import pytest

from chunking.document import Block, BlockKind, Document, Page
from chunking.read_text import split_lines
from chunking.sections import find_contents, follows, is_known_heading, normal_title, parse_numbered, sections


@pytest.mark.parametrize(
    ("line", "number", "level", "title"),
    [
        ("4.2.1.  Core Requirements", (4, 2, 1), 3, "Core Requirements"),
        ("7 SIP Messages", (7,), 1, "SIP Messages"),
        ("Appendix D.  Backward Compatibility", (1000 + 4,), 1, "Backward Compatibility"),
        ("Appendix C: Processing", (1003,), 1, "Processing"),
        ("Appendix I - TWAMP Light", (1009,), 1, "TWAMP Light"),
        ("A.4.5 Summary-LSAs", (1001, 4, 5), 3, "Summary-LSAs"),
        ("F. Multiple interfaces", (1006,), 1, "Multiple interfaces"),
        ("3.1 用語及び定義", (3, 1), 2, "用語及び定義"),
        ("３．１ 用語", (3, 1), 2, "用語"),
        ("第2章 総則", (2,), 2, "総則"),
    ],
)
def test_numbered_headings(line: str, number: tuple[int, ...], level: int, title: str) -> None:
    found = parse_numbered(line)
    assert found is not None
    assert (found.number, found.level, found.title) == (number, level, title)


@pytest.mark.parametrize(
    "line",
    ["A title without a number", "2020 was a year", "a) an item", "Section 4.2 describes the format", "A.ISI.EDU", "",
     "1. " + "long " * 60, "第3条は次のとおり改正する。"],
)  # fmt: skip
def test_what_is_no_numbered_heading(line: str) -> None:
    assert parse_numbered(line) is None


@pytest.mark.parametrize(
    ("last", "number", "expected"),
    [
        ((), (1,), True),
        ((4,), (4, 1), True),
        ((4, 2, 3), (4, 3), True),
        ((4, 2, 3), (5,), True),
        ((4, 2), (4, 4), True),  # 4.3 was missed
        ((4, 2), (4, 2), False),
        ((4, 2), (1,), False),  # a list that counts from one again
        ((4,), (9,), False),
        ((12, 3), (1001,), True),  # the first appendix
        ((1001, 2), (1002,), True),
        ((1001,), (13,), False),
    ],
)
def test_order(last: tuple[int, ...], number: tuple[int, ...], expected: bool) -> None:
    assert follows(last, number) is expected


def test_known_headings_and_plain_titles() -> None:
    assert all(
        map(is_known_heading, ["Abstract", "Authors' Addresses", "Normative References", "目次", "ACKNOWLEDGEMENTS"])
    )
    assert not is_known_heading("Abstract syntax of the protocol")
    assert normal_title("3.2.  Some Title ........... 14") == normal_title("3.2 some title") == "sometitle"


CONTENTS = """Title

Table of Contents

   1.  Introduction . . . . . . 3
     1.1.  Purpose  . . . . . . 4
   2.  A Long Title That
       Goes On  . . . . . . . . 5
   Authors' Addresses . . . . . 9

1.  Introduction

   Text.
"""


def test_contents_end_where_the_margin_or_the_first_entry_returns() -> None:
    lines, _ = split_lines(CONTENTS)
    contents = find_contents(lines)
    assert contents is not None
    assert lines[contents.first].text == "Table of Contents"
    assert lines[contents.last].text == "1.  Introduction"
    assert contents.numbers[1, 1] == "purpose"
    flush_left = CONTENTS.replace("   1.", "1.").replace("     1.1", "1.1").replace("   2.", "2.").replace(" . .", "")
    lines, _ = split_lines(flush_left.replace("   Auth", "Auth").replace("       Goes", "Goes"))
    contents = find_contents(lines)
    assert contents is not None
    assert [line.text for line in lines[contents.last :] if line.text][:2] == ["1.  Introduction", "   Text."]
    assert find_contents(split_lines("Contents\n\nof the box are listed below.\n\nOne.\n\nTwo.\n")[0]) is None


def test_contents_without_numbers_end_where_the_margin_returns() -> None:
    lines, _ = split_lines("Contents\n\n  Scope ..... 1\n  Terms ..... 2\n  Index ..... 9\n\nForeword\n\n  Text.\n")
    contents = find_contents(lines)
    assert contents is not None
    assert lines[contents.last].text == "Foreword"
    assert contents.titles == {"scope", "terms", "index"}


def make(*parts: tuple[BlockKind, int, str]) -> Document:
    text, blocks = "", []
    for kind, level, words in parts:
        blocks.append(Block(kind, 1, len(text), len(text) + len(words), level))
        text += words + "\n"
    return Document("d", "0", "D", text, (Page(1, 0, len(text)),), tuple(blocks))


def test_tree() -> None:
    document = make(
        ("paragraph", 0, "front"),
        ("heading", 1, "1 One"),
        ("heading", 2, "1.1 Sub"),
        ("paragraph", 0, "text of 1.1"),
        ("heading", 2, "1.2  Empty"),
        ("heading", 1, "2 Two"),
        ("paragraph", 0, "text of 2"),
    )
    found = [(section.path, len(section.headings), len(section.body)) for section in sections(document)]
    assert found == [
        ((), 0, 1),
        (("1 One", "1.1 Sub"), 2, 1),  # a heading without text of its own goes to its first subsection
        (("1 One", "1.2 Empty"), 1, 0),  # but not to a section beside it
        (("2 Two",), 1, 1),
    ]
