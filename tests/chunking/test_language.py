from __future__ import annotations

import pytest

from chunking.language import language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the torque of the M8 bolt?", "en"),
        ("締付トルクはいくつですか", "ja"),
        ("トルク設定", "ja"),
        ("ｼﾘｱﾙﾎﾟｰﾄ", "ja"),
        ("RFC 9110のCache-Controlヘッダー", "ja"),
        ("シリアルポートのBAUD_RATE設定", "ja"),
        # One borrowed character does not make a page Japanese.
        ("The symbol 株 marks the registered company in the table of contents on the first page", "en"),
        ("Écran à 60 Hz", "en"),
        ("", "en"),
        ("42 %", "en"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language(text) == expected
