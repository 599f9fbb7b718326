import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.locate import SquashedText, in_section


def test_a_quote_is_found_across_line_breaks_and_indentation() -> None:
    text = "x The pump\n   shall not\tstart. y"
    assert SquashedText(text).find_all("The pump shall not start.") == [(2, len(text) - 2)]


def test_compatibility_forms_and_soft_hyphens_do_not_count() -> None:
    text = "締付トルクは\uff11\uff12Nmとする。 \ufb01x the trans\u00admission"
    squashed = SquashedText(text)
    assert squashed.find_all("トルクは 12 Nm") == [(2, 10)]
    at = text.index("\ufb01x")
    assert squashed.find_all("fix the transmission") == [(at, len(text))]


def test_composed_and_decomposed_kana_are_equal() -> None:
    decomposed = unicodedata.normalize("NFD", "ガイド")
    assert len(decomposed) == 5
    assert SquashedText(decomposed).find_all("ガイド") == [(0, 5)]
    assert SquashedText("ガイド").find_all(decomposed) == [(0, 3)]
    assert SquashedText("\uff76\uff9e\uff72\uff84\uff9e").find_all("ガイド") == [(0, 5)]  # half-width


def test_every_occurrence_is_found_once() -> None:
    assert SquashedText("aa a").find_all("aa") == [(0, 2)]
    assert SquashedText("ab ab").find_all("ab") == [(0, 2), (3, 5)]
    assert SquashedText("ab").find_all(" \n") == []
    assert SquashedText("").find_all("a") == []


@given(st.text(max_size=60), st.integers(0, 60), st.integers(0, 60), st.sampled_from(["NFKC", "NFKD", "NFC"]))
def test_whatever_is_cut_from_a_text_is_found_in_it(text: str, a: int, b: int, form: str) -> None:
    start, end = sorted((min(a, len(text)), min(b, len(text))))
    # A cut before a combining character would change what normalising does to it.
    quote = " \n".join(unicodedata.normalize(form, character) for character in text[start:end])
    spans = SquashedText(text).find_all(quote)
    squashed = SquashedText(quote)
    if not squashed.find_all(quote):
        assert spans == []  # nothing but white space
        return
    assert spans
    for low, high in spans:
        assert SquashedText(text[low:high]).find_all(quote)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (("4. Extension Headers", "4.5. Fragment Header"), "4.5"),
        (("4. Extension Headers", "4.5. Fragment Header"), "4"),
        (("4. Extension Headers", "4.5. Fragment Header"), "fragment  HEADER"),
        (("4. Extension Headers", "4.5. Fragment Header"), "4.5 Fragment Header"),
        (("4. Extension Headers", "4.5. Fragment Header"), "§ 4.5"),
        (("4.5.1 Reassembly",), "4.5"),
        (("Section 3.4.2",), "3.4.2"),
        (("Appendix B. Examples",), "Appendix B"),
        (("Appendix B. Examples",), "B."),
        (("B.1 Examples",), "B.1"),
        (("第3章 保守",), "3"),
        (("第3章 保守",), "第3章"),
        (("\uff14\uff0e\uff12 概要",), "4.2"),
        (("Abstract",), "Abstract"),
    ],
)
def test_a_section_is_known_by_number_or_title(path: tuple[str, ...], wanted: str) -> None:
    assert in_section(path, wanted)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (("4.50 Other",), "4.5"),
        (("4.5 Fragment Header",), "4.5.1"),
        (("4.5 Fragment Header",), "4.5 Routing Header"),
        (("4.5 Fragment Header",), "Fragment"),
        (("A protocol for packets",), "A."),
        (("2024 report",), "20"),
        ((), "1"),
    ],
)
def test_other_sections_are_not(path: tuple[str, ...], wanted: str) -> None:
    assert not in_section(path, wanted)
