"""Markdown: the text is the file; headings without their marks, lists, tables, code, front matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunking.document import Document
from chunking.limits import ReadLimits
from chunking.read_markdown import read_markdown

TEXT = """---
title: "The valve handbook"
tags: [a]
---
# Valves *and* pumps #

First paragraph
goes on.

- item one
  and more
- item two

  its second paragraph

Terms
-----

| part | torque |
|------|--------|
| M6   | 9 Nm   |

```c
int x;

int y;
```

> quoted
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_blocks(tmp_path: Path, end: str) -> None:
    text = TEXT.replace("\n", end)
    document = read(tmp_path, text)
    assert document.text == text
    assert document.title == "The valve handbook"
    found = [(b.kind, b.level, document.text[b.start : b.end].replace(end, "\n")) for b in document.blocks]
    assert found == [
        ("heading", 1, "Valves *and* pumps"),
        ("paragraph", 0, "First paragraph\ngoes on."),
        ("list", 0, "- item one\n  and more"),
        ("list", 0, "- item two"),
        ("list", 0, "its second paragraph"),
        ("heading", 2, "Terms"),
        ("table", 0, "| part | torque |\n|------|--------|\n| M6   | 9 Nm   |"),
        ("code", 0, "```c\nint x;\n\nint y;\n```"),
        ("paragraph", 0, "> quoted"),
    ]


def test_words_the_parser_has_no_block_for_are_kept(tmp_path: Path) -> None:
    deep = "> " * 30 + "quoted"
    document = read(tmp_path, f"A [link][1].\n\n[1]: https://example.org/\n\n---\n\n{deep}\n")
    found = [document.text[b.start : b.end] for b in document.blocks]
    assert found == ["A [link][1].", "[1]: https://example.org/", deep]


def test_titles_without_front_matter(tmp_path: Path) -> None:
    assert read(tmp_path, "# One\n\ntext").title == "One"
    assert read(tmp_path, "only text\n").title == "name"
    assert read(tmp_path, "---\n\ntext\n").title == "name"


def read(tmp_path: Path, text: str) -> Document:
    path = tmp_path / "a.md"
    path.write_bytes(text.encode())
    return read_markdown(path, "folder/name.md", ReadLimits())
