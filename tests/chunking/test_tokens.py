"""Token counts are true, uncapped, and the largest of all tokenizers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.tokens import TokenCounter, write_estimate


def test_count_is_the_number_of_words_even_beyond_the_files_own_truncation(counter: TokenCounter) -> None:
    assert counter.count("one two three") == 3
    assert counter.count("word " * 500) == 500
    assert counter.count("") == 0


def test_the_greediest_tokenizer_decides(both: TokenCounter) -> None:
    assert both.count("a b c d") == 4 + 3  # four characters and three blanks, against four words
    assert both.count("abcdefgh") == 8 // 2
    assert both.count_batch(["abcdef", "a.b.c"]) == [6 // 2, 5]  # a . b . c


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab .,\n日本", max_size=60), max_size=5))
def test_word_by_word_is_exact_for_a_tokenizer_that_splits_at_blanks(counter: TokenCounter, texts: list[str]) -> None:
    assert counter.estimate_batch(texts) == counter.count_batch(texts)


def test_the_estimate_is_six_letters_to_a_token(tmp_path: Path) -> None:
    write_estimate(tmp_path / "estimate.json")
    counter = TokenCounter.load([tmp_path / "estimate.json"])
    assert counter.count("requirements of valves\n") == 2 + 1 + 1  # requir|ements, of, valves
    assert counter.count("25 Nm.") == 2 + 1 + 1
    assert counter.count("油圧") == 2


def test_a_file_that_is_no_tokenizer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a tokenizer\.json"):
        TokenCounter.load([path])
    with pytest.raises(ValueError, match="at least one"):
        TokenCounter.load([])
