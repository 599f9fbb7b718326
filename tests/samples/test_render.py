"""The PDF says what the Markdown says, page by page, and looks the same each time."""

from __future__ import annotations

from pathlib import Path

import pypdf
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samples.render import render

FRONT = "---\ntitle: Test of pipes\nnumber: TS 7\nedition: Second edition\nlanguage: {language}\n---\n\n"


def pdf(directory: Path, body: str, language: str = "en") -> Path:
    source = directory / "source.md"
    source.write_text(FRONT.format(language=language) + body, encoding="utf-8")
    return render(source, directory / "out" / "target.pdf")


def pages(path: Path) -> list[str]:
    """Text of the pages without any white space, so that line breaks do not count."""
    document = pypdfium2.PdfDocument(path)
    return ["".join(page.get_textpage().get_text_range().split()) for page in document]


def test_title_page_then_contents_then_body(tmp_path: Path) -> None:
    title, contents, body = pages(pdf(tmp_path, "Foreword.\n\n# 1 Scope\n\n## 1.1 Use\n\nFor water only.\n"))
    assert "TS7" in title
    assert "Testofpipes" in title
    assert "Foreword." in title
    assert "Contents" in contents
    assert "1.1Use" in contents
    assert "Forwateronly." in body
    assert "TS7Secondedition" in body


def test_footer_counts_all_pages(tmp_path: Path) -> None:
    body = "".join(f"# Annex {letter} (normative) Part\n\nText.\n\n" for letter in "ABCDE")
    found = pages(pdf(tmp_path, body))
    total = 2 + 5
    assert len(found) == total
    assert all(f"Page{number}of{total}" in text for number, text in enumerate(found, start=1))


def test_running_header_names_the_chapter_of_the_page(tmp_path: Path) -> None:
    body = "# 1 First\n\nText.\n\n# Annex A (normative) Second\n\n" + "Sentence of the annex.\n\n" * 80
    found = pages(pdf(tmp_path, body))
    assert len(found) > 4
    # The heading itself stands on the first page only; on later ones the words can come from the header alone.
    assert all("AnnexA(normative)Second" in text for text in found[4:])


def test_header_row_is_repeated_on_each_page_of_a_long_table(tmp_path: Path) -> None:
    rows = "".join(f"| Z-{number} | part {number} |\n" for number in range(120))
    path = pdf(tmp_path, f"# 1 Parts\n\n**Table 1 — Parts**\n\n| Part number | Name of part |\n|---|---|\n{rows}")
    with_rows = [text for text in pages(path) if "Z-" in text]
    assert len(with_rows) >= 3
    assert all("PartnumberNameofpart" in text for text in with_rows)
    joined = "".join(with_rows)
    assert [joined.count(f"Z-{number}part{number}") for number in (0, 60, 119)] == [1, 1, 1]


def test_outline_follows_the_headings(tmp_path: Path) -> None:
    path = pdf(tmp_path, "# 1 Scope\n\n## 1.1 Use\n\n### 1.1.1 Indoors\n\nText.\n\n# 2 Terms\n\nText.\n")
    reader = pypdf.PdfReader(path)

    def titles(entries: list[object]) -> list[object]:
        return [titles(entry) if isinstance(entry, list) else entry["/Title"] for entry in entries]  # type: ignore[index]

    assert titles(list(reader.outline)) == ["1 Scope", ["1.1 Use", ["1.1.1 Indoors"]], "2 Terms"]
    assert reader.metadata is not None
    assert reader.metadata.title == "TS 7 Test of pipes"


def test_same_markdown_gives_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    body = "# 1 Scope\n\nAt 20 °C, µ ≥ 0.1.\n\n- one\n- two\n\n```\nF = m * a\n```\n"
    assert pdf(tmp_path / "a", body).read_bytes() == pdf(tmp_path / "b", body).read_bytes()


def test_lists_code_notes_and_warnings_are_printed(tmp_path: Path) -> None:
    body = (
        "# 1 All\n\nSteps:\n\n3. close `V1`\n4. open **V2**\n   - slowly\n\n"
        "NOTE 1 small\n\n> WARNING stand\n> back\n\n```\nQ = 2 * A\n```\n"
    )
    text = pages(pdf(tmp_path, body))[-1]
    for words in ("3.closeV1", "4.openV2", "–slowly", "NOTE1small", "WARNINGstandback", "Q=2*A"):
        assert words in text


def test_japanese_is_extracted_by_both_libraries_and_is_visible(tmp_path: Path) -> None:
    path = pdf(tmp_path, "# 1 適用範囲\n\n使用圧力は 0.5 MPa 以下とする。\n", language="ja")
    assert "使用圧力は0.5MPa以下とする。" in pages(path)[-1]
    assert "使用圧力は" in pypdf.PdfReader(path).pages[-1].extract_text()
    assert "目次" in pages(path)[1]
    # Without an embedded font the line would be blank: count dark pixels in the body of the page.
    picture = pypdfium2.PdfDocument(path)[2].render(scale=1).to_pil().convert("L")
    body = picture.crop((60, 110, picture.width - 60, picture.height - 60))
    assert sum(body.histogram()[:128]) > 200


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# 1 Scope\n", "front matter"),
        ("---\ntitle: A\nnumber: B\nedition: C\n---\n\n# 1\n", "title, number, edition and language"),
        (FRONT.format(language="fr") + "# 1 Scope\n", "en or ja"),
        (FRONT.format(language="en") + "# 1 Scope\n\n<b>html</b>\n", "not laid out"),
        (FRONT.format(language="en") + "#### 1.1.1.1 Deep\n", "deeper than three"),
        (FRONT.format(language="en") + "# 1 Scope\n\nA \U0001f600 face.\n", "no glyph"),
    ],
)
def test_markdown_outside_the_rules_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    source = tmp_path / "bad.md"
    source.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=reason):
        render(source, tmp_path / "bad.pdf")


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 90), min_size=10, max_size=40))
def test_no_paragraph_is_cut_by_a_page_break(tmp_path_factory: pytest.TempPathFactory, lengths: list[int]) -> None:
    texts = [f"P{number}x " + "specification " * length + "end" for number, length in enumerate(lengths)]
    found = pages(pdf(tmp_path_factory.mktemp("whole"), "# 1 Text\n\n" + "\n\n".join(texts) + "\n"))
    for text in texts:
        assert sum("".join(text.split()) in page for page in found) == 1
