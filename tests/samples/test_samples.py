"""Every judged quote stands where the judgement says, in the Markdown and in the PDF made from it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

import pypdfium2
import pytest

from chunking.limits import ReadLimits
from chunking.read_pdf import read_pdf
from samples.corpus import FAMILIES, SPLITS, documents, judgements, queries
from samples.render import read_manuscript, render_all

HEADING = re.compile(r"^#{1,3} (?:Annex |附属書 ?)?([0-9A-Z]+(?:\.[0-9]+)*)\b.*$", re.MULTILINE)
ALL_QUERIES = [row for split in SPLITS for row in queries(split)]
ALL_JUDGEMENTS = [row for split in SPLITS for row in judgements(split)]


def squeezed(text: str) -> str:
    """Text without white space and table bars."""
    return "".join(text.replace("|", "").split())


@cache
def sections(document: str) -> dict[str, str]:
    """Section number → its own text without markup and white space, up to the next heading."""
    source = next(path for path in documents() if f"{path.stem}.pdf" == document)
    body = read_manuscript(source).body
    headings = list(HEADING.finditer(body))
    assert len(headings) == len(re.findall(r"^#", body, re.MULTILINE)), f"{document}: a heading without number"
    ends = [heading.start() for heading in headings[1:]] + [len(body)]
    numbers = [heading[1] for heading in headings]
    assert len(set(numbers)) == len(numbers), f"{document}: a section number twice"
    texts = [body[heading.end() : end] for heading, end in zip(headings, ends, strict=True)]
    plain = [squeezed(re.sub(r"[|*`]|^> ?|:?-{3,}:?", "", text, flags=re.MULTILINE)) for text in texts]
    return dict(zip(numbers, plain, strict=True))


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return render_all(tmp_path_factory.mktemp("pdf"))


@pytest.fixture(scope="module")
def printed(pdfs: list[Path]) -> dict[str, list[str]]:
    """Document → text of each page without white space, as extracted from the rendered PDF."""
    found = {}
    for path in pdfs:
        document = pypdfium2.PdfDocument(path)
        found[path.name] = [squeezed(page.get_textpage().get_text_range()) for page in document]
    return found


def test_ids_and_texts_of_queries_are_unique() -> None:
    for key in ("id", "text"):
        assert [value for value, count in Counter(str(row[key]) for row in ALL_QUERIES).items() if count > 1] == []


def test_every_line_of_every_family_belongs_to_a_split() -> None:
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FAMILIES.glob("*.queries.jsonl"))
    assert len(ALL_QUERIES) == lines
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in FAMILIES.glob("*.judgements.jsonl"))
    assert len(ALL_JUDGEMENTS) == lines


def test_every_query_is_judged_and_has_an_answer() -> None:
    answered = {row["query"] for row in ALL_JUDGEMENTS if row["grade"] == 2}
    assert {row["id"] for row in ALL_QUERIES} == answered
    assert {row["grade"] for row in ALL_JUDGEMENTS} == {1, 2}


def test_no_judged_section_lies_in_two_splits() -> None:
    of_split = {
        split: {(row["document"], row["section"]) for row in judgements(split)} for split in ("train", "dev", "test")
    }
    assert not of_split["train"] & of_split["dev"]
    assert not of_split["train"] & of_split["test"]
    assert not of_split["dev"] & of_split["test"]


def test_every_split_asks_about_every_family() -> None:
    for split in SPLITS:
        assert {row["id"][0] for row in queries(split)} == {row["id"][0] for row in ALL_QUERIES}


def test_no_group_lies_in_two_splits() -> None:
    groups = {split: {row["group"] for row in queries(split)} for split in SPLITS}
    assert sum(len(group) for group in groups.values()) == len(set.union(*groups.values()))


def test_there_are_enough_queries_of_each_split() -> None:
    counts = Counter(row["split"] for row in ALL_QUERIES)
    assert counts["train"] >= 130
    assert counts["dev"] >= 50
    assert counts["test"] >= 90
    assert counts["guard"] >= 60


def test_every_quote_stands_once_in_its_section() -> None:
    wrong = [
        (row["query"], row["section"], row["quote"])
        for row in ALL_JUDGEMENTS
        if not 15 <= len(row["quote"]) <= 300
        or sections(row["document"])[row["section"]].count(squeezed(row["quote"])) != 1
    ]
    assert wrong == []


def test_quotes_are_found_whole_on_a_printed_page(printed: dict[str, list[str]]) -> None:
    lost = [
        (row["query"], row["quote"])
        for row in ALL_JUDGEMENTS
        if not any(squeezed(row["quote"]) in page for page in printed[row["document"]])
    ]
    assert lost == []


def test_the_pdf_reader_sees_every_quote(pdfs: list[Path]) -> None:
    """A quote that the reader does not see would be an unmapped judgement; table bars count here."""

    def folded(text: str) -> str:
        return "".join(unicodedata.normalize("NFKC", text).split())

    read = {path.name: folded(read_pdf(path, path.name, ReadLimits()).text) for path in pdfs}
    lost = [(r["query"], r["quote"]) for r in ALL_JUDGEMENTS if folded(r["quote"]) not in read[r["document"]]]
    assert lost == []


def test_the_sample_is_long_enough(printed: dict[str, list[str]]) -> None:
    assert sum(len(pages) for pages in printed.values()) >= 120
    assert all(f"of{len(pages)}" in pages[-1] or f"/{len(pages)}" in pages[-1] for pages in printed.values())


def test_the_torque_table_repeats_its_header_over_the_page_break(printed: dict[str, list[str]]) -> None:
    pages = [page for page in printed["fs-4100-2024.pdf"] if "MAatµ=0.10" in page and "ThreadClassFM" in page]
    coarse = [page for page in pages if re.search(r"M(6|36)(8\.8|10\.9|12\.9)[0-9.]", page)]
    assert len(coarse) >= 2, "the table of 42 rows lies on two pages, each with its header row"


def test_sources_are_named_like_their_documents() -> None:
    names = {f"{path.stem}.pdf" for path in documents()}
    assert {row["document"] for row in ALL_JUDGEMENTS} <= names
    assert all(Path(name).name == name for name in names)


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="train, dev, test, guard"):
        queries("validation")
