"""What the generators that need no model make of documents whose queries can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Block, Chunk, Document, Row, Table
from mining.drafts import Draft, Material, Vocabulary, designation, terms
from mining.generate_models import clean
from mining.generate_settings import EndpointSettings, GenerateSettings, Seq2SeqSettings
from mining.generators import GENERATORS

SETTINGS = GenerateSettings()
Section = tuple[tuple[str, ...], str]


def document(name: str, title: str, sections: Sequence[Section]) -> tuple[Document, list[Chunk]]:
    """A document of one passage for each section: its heading and one paragraph, or list where lines begin with –."""
    text, blocks, chunks = "", [], []
    for ordinal, (path, body) in enumerate(sections):
        start = len(text)
        text += f"{path[-1]}\n\n"
        kind = "list" if body.startswith("–") else "paragraph"
        blocks.append(Block(kind, 1, len(text), len(text) + len(body)))
        text += body
        chunk = Chunk(f"{name}{ordinal}", name, title, ordinal, path, 1, 1, start, len(text), text[start:], "", 1)
        chunks.append(chunk)
        text += "\n\n"
    return Document(name, "", title, text, (), tuple(blocks)), chunks


def materials(*documents: tuple[Document, list[Chunk]]) -> list[Material]:
    vocabulary = Vocabulary(chunk for _, chunks in documents for chunk in chunks)
    return [Material(read, chunks, vocabulary) for read, chunks in documents]


def texts(drafts: Sequence[Draft]) -> list[str]:
    return [draft.text for draft in drafts]


BODY = "Flange bolts shall be tightened to 25 Nm with a calibrated wrench, in three steps."


def test_a_heading_is_asked_with_its_parent_where_it_is_short_and_by_document_where_others_have_it() -> None:
    path = ("5 Tightening",)
    one = document("a", "FS 4100:2019 Bolted joints", [((*path, "5.1 Order of tightening the flange"), BODY)])
    other = document("b", "FS 4100:2024 Bolted joints", [((*path, "5.2 Wrenches"), BODY), (("6 Cover screws",), BODY)])
    third = document("c", "HPU-200 Hydraulic power unit", [(("3 Cover screws",), BODY), (("4 Oil",), "Short.")])
    made = [texts(GENERATORS["headings"](material, SETTINGS)) for material in materials(one, other, third)]
    assert made == [
        ["Order of tightening the flange"],
        ["Tightening Wrenches", "FS 4100:2024 Cover screws"],
        ["HPU-200 Cover screws"],
    ]


def test_headings_that_unrelated_documents_share_are_empty_and_those_of_editions_are_not() -> None:
    def spec(name: str, subject: str) -> tuple[Document, list[Chunk]]:
        own = [((f"{number} {subject} requirement {number}",), BODY) for number in range(2, 9)]
        return document(name, f"{subject} specification", [(("1 Preamble of the standard",), BODY), *own])

    unrelated = materials(*(spec(name, name * 5) for name in "abcd"))
    editions = materials(*(spec(name, "pump") for name in "abcd"))
    asked = "Preamble of the standard"
    assert not any(asked in text for m in unrelated for text in texts(GENERATORS["headings"](m, SETTINGS)))
    assert all(any(asked in text for text in texts(GENERATORS["headings"](m, SETTINGS))) for m in editions)


def test_a_heading_that_stands_in_three_places_of_its_document_is_empty() -> None:
    sections = [((f"{number} Part {number} of the machine", f"{number}.1 General"), BODY) for number in (1, 2, 3)]
    assert GENERATORS["headings"](materials(document("a", "A", sections))[0], SETTINGS) == []
    assert len(GENERATORS["headings"](materials(document("a", "A", sections[:2]))[0], SETTINGS)) == 2


def test_the_whole_section_answers_its_heading() -> None:
    read, chunks = document("a", "A", [(("1 Flange bolts of pumps",), BODY), (("1 Flange bolts of pumps",), BODY)])
    draft = GENERATORS["headings"](materials((read, chunks))[0], SETTINGS)[0]
    assert (draft.start, draft.end, draft.chunks) == (chunks[0].start, chunks[1].end, ("a0", "a1"))


@pytest.mark.parametrize(
    ("sentence", "term"),
    [
        ("The term preload is defined as the force in the bolt after it was tightened.", "preload"),
        ("In this text “residual preload” means the force that stays in the bolt.", "residual preload"),
        ("LFP stands for cells with a lithium iron phosphate cathode.", "LFP"),
        ("「定格トルク」とは、定格電圧において連続して発生できるトルクである。", "定格トルク"),
        ("停止状態から動き始めるときに許される最大のトルクを起動トルクという。", "起動トルク"),
    ],
)
def test_what_a_sentence_defines_is_asked_for(sentence: str, term: str) -> None:
    read, chunks = document("a", "A", [(("4 Forces",), sentence)])
    (draft,) = GENERATORS["definitions"](materials((read, chunks))[0], SETTINGS)
    assert term in draft.text
    assert term in read.text[draft.start : draft.end]
    assert draft.chunks == ("a0",)


@pytest.mark.parametrize("sentence", ["This means that the bolt shall be replaced.", "It is defined as stated above."])
def test_what_defines_nothing_is_not_asked_for(sentence: str) -> None:
    assert GENERATORS["definitions"](materials(document("a", "A", [(("4 Forces",), sentence)]))[0], SETTINGS) == []


def test_sections_of_terms_give_their_entries_headings_and_rows() -> None:
    listed = "– cell: smallest unit with a pair of electrodes\n\n– 開度：全閉を 0 %、全開を 100 % として表した位置"
    read, chunks = document(
        "a", "A", [(("2 Terms and definitions",), listed), (("2 Terms and definitions", "2.1 Embedding"), BODY)]
    )
    row = read.text.index("– cell")
    table = Table("", ("", ""), (Row(row, row + 9, ("SoC", "state of charge")), Row(row, row + 9, ("0x01", "12"))))
    blocks = (*read.blocks, Block("table", 1, row, row + 9, table=table))
    with_table = Document("a", "", "A", read.text, (), blocks)
    asked = " ".join(texts(GENERATORS["definitions"](materials((with_table, chunks))[0], SETTINGS)))
    assert all(term in asked for term in ("cell", "開度", "Embedding", "SoC"))
    assert "0x01" not in asked


def test_inverse_cloze_asks_for_the_rare_terms_of_the_most_telling_sentence_without_its_numbers() -> None:
    common = [((f"{n} Clause {n}",), "The unit shall be stopped and the unit shall be locked.") for n in range(30)]
    telling = "The unit shall be stopped. The galvanised anchor plates shall be embedded 120 mm in the foundation."
    read, chunks = document("a", "A", [*common, (("40 Anchors",), telling)])
    draft = GENERATORS["inverse_cloze"](materials((read, chunks))[0], SETTINGS)[-1]
    assert draft.text == "galvanised anchor plates embedded mm in foundation"
    assert read.text[draft.start : draft.end] == telling.split(". ")[1].rstrip(".")


def test_japanese_passages_are_asked_for_by_their_nouns() -> None:
    read, chunks = document("a", "A", [(("1 騒音",), "距離 1 m における騒音は、定格負荷で 70 dB 以下とする。")])
    (draft,) = GENERATORS["inverse_cloze"](materials((read, chunks))[0], SETTINGS)
    assert set(draft.text.split()) <= set(terms(chunks[0].text))
    assert "定格負荷" in draft.text
    assert "70" not in draft.text


def test_a_document_is_named_by_its_designation() -> None:
    assert designation("FS 4100:2019 Bolted joints in machine frames") == "FS 4100:2019"
    assert designation("LNK-Bus/R LNK-Bus/R field protocol: radio") == "LNK-Bus/R field protocol"
    assert designation("EVA-30 電動バルブアクチュエータ") == "EVA-30"


@given(st.lists(st.sampled_from("abcdefgh"), max_size=30), st.integers(0, 40), st.integers(0, 5))
def test_a_draw_keeps_order_and_is_the_same_for_the_same_seed(entries: list[str], count: int, seed: int) -> None:
    (material,) = materials(document("a", "A", [(("1 B",), BODY)]))
    numbered = list(enumerate(entries))
    drawn = material.draw(numbered, count, seed)
    assert drawn == sorted(drawn)
    assert len(drawn) == min(count, len(entries))
    assert drawn == material.draw(numbered, count, seed)


@given(st.text(max_size=200), st.text(max_size=200))
def test_spans_of_drafts_lie_in_the_document(first: str, second: str) -> None:
    read, chunks = document("a", "A", [(("1 Terms",), first or "x"), (("1 Terms", "1.1 Cell"), second or "y")])
    (material,) = materials((read, chunks))
    for name in ("headings", "definitions", "inverse_cloze"):
        for draft in GENERATORS[name](material, SETTINGS):
            assert 0 <= draft.start < draft.end <= len(read.text)
            assert draft.chunks
            assert draft.text.strip()


def test_what_a_model_writes_is_cleaned() -> None:
    written = (
        '1. "torque of M12 bolts"\n- torque of M12 bolts\nQuery: pre\x1b[31mload\x00 limits\n\n<script>\n42\n'
        + "x" * 300
    )
    assert clean(written, 5) == ["torque of M12 bolts", "pre [31mload limits"]
    assert clean(written, 1) == ["torque of M12 bolts"]


@given(st.text())
def test_cleaned_queries_are_short_printable_lines(written: str) -> None:
    for query in clean(written, 3):
        assert 3 <= len(query) <= 200
        assert query.isprintable() or "\u3000" in query


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"generators": ("headlines",)}, "unknown generator 'headlines'"),
        ({"generators": ("headings", "headings")}, "stands twice"),
        ({"generators": ("endpoint",)}, r"needs the table \[generate.endpoint\]"),
        ({"generators": ("seq2seq",)}, r"needs the table \[generate.seq2seq\]"),
        ({"depth": 0}, "depth must be 1 to 100, not 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given_settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GenerateSettings(**given_settings)  # type: ignore[arg-type]


def test_a_key_is_never_a_setting() -> None:
    with pytest.raises(ValueError, match="never the key itself"):
        EndpointSettings("http://localhost:1/v1", "m", key_variable="sk-abcdef")
    with pytest.raises(ValueError, match="the key belongs into the environment"):
        EndpointSettings("http://user:secret@localhost/v1", "m")
    with pytest.raises(ValueError, match="such as http://localhost"):
        EndpointSettings("localhost:8000", "m")
    with pytest.raises(ValueError, match="per_passage must be 1 to 20"):
        Seq2SeqSettings("m", per_passage=0)
