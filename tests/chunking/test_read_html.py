"""HTML: what a reader sees, in blocks; scripts, styles, menus and comments left out; depth bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunking.document import Document, UnreadableError
from chunking.limits import ReadLimits
from chunking.read_html import read_html
from chunking.sections import sections

PAGE = """<!doctype html><html><head><title>Valves &amp; pumps</title><style>p{}</style></head><body>
<nav><a href="/">Home</a></nav><h1>Valves<a class="headerlink" href="#v">¶</a></h1>
<p>One <b>bold</b>word.<p>Two.<div>loose <p>inner</p> tail</div>
<ul><li>a<li>b <p>c</p></ul><script>alert("x")</script>
<table><thead><tr><th>Part</th><th>Torque</th></tr></thead>
<tbody><tr><td>M6 <b>bolt</b></td><td>9 Nm</td></tr></tbody></table>
<!-- not shown --><h2>Terms</h2><pre>
 x = 1
   y = 2
</pre>日本語<br>の文<table><tr><td><p>layout</p></td></tr></table></body></html>"""


def read(tmp_path: Path, data: str | bytes, limits: ReadLimits | None = None) -> Document:
    path = tmp_path / "a.html"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return read_html(path, "folder/name.html", limits or ReadLimits())


def test_blocks(tmp_path: Path) -> None:
    document = read(tmp_path, PAGE)
    assert document.title == "Valves & pumps"
    assert [(block.kind, block.level, document.text[block.start : block.end]) for block in document.blocks] == [
        ("heading", 1, "Valves"),
        ("paragraph", 0, "One boldword."),
        ("paragraph", 0, "Two."),
        ("paragraph", 0, "loose"),
        ("paragraph", 0, "inner"),
        ("paragraph", 0, "tail"),
        ("list", 0, "a"),
        ("list", 0, "b"),
        ("list", 0, "c"),
        ("table", 0, "Part | Torque\nM6 bolt | 9 Nm"),
        ("heading", 2, "Terms"),
        ("code", 0, " x = 1\n   y = 2"),
        ("paragraph", 0, "日本語 の文"),
        ("paragraph", 0, "layout"),
    ]
    assert [section.path for section in sections(document)] == [("Valves",), ("Valves", "Terms")]


def test_encodings(tmp_path: Path) -> None:
    page = '<html><head><meta charset="shift_jis"></head><body><p>日本語</p></body></html>'
    assert "日本語" in read(tmp_path, page.encode("shift_jis")).text
    assert "日本語" in read(tmp_path, page.replace("shift_jis", "utf-8")).text


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="nested more than 400 deep"):
        read(tmp_path, "<div>" * 2000 + "text")
    with pytest.raises(UnreadableError, match="no text"):
        read(tmp_path, "<html><script>x</script></html>")
    with pytest.raises(UnreadableError, match="NUL byte at byte 3"):
        read(tmp_path, b"<p>\0</p>")
    with pytest.raises(UnreadableError, match="more than 100 characters"):
        read(tmp_path, "<p>word</p>" * 100, ReadLimits(characters=100))
