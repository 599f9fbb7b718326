"""The language of a text, by its script: enough to know whether a cross-encoder can judge it."""

from __future__ import annotations

import re

# Hiragana, katakana, half-width katakana, and the Han characters with their extensions.
_JAPANESE = re.compile(r"[぀-ヿㇰ-ㇿｦ-ﾟ㐀-䶿一-鿿豈-﫿々〆]")
_LETTER = re.compile(r"[^\W\d_]")
# One borrowed character in an English page must not make it Japanese; Japanese engineers' sentences hold many Latin
# letters (シリアルポートのBAUD_RATE設定), so the bound is low.
_JAPANESE_SHARE = 0.1


def language(text: str) -> str:
    """Return "ja" when at least a tenth of the letters are kana or Han characters, else "en"."""
    japanese = len(_JAPANESE.findall(text))
    return "ja" if japanese and japanese >= _JAPANESE_SHARE * len(_LETTER.findall(text)) else "en"
