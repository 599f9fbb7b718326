"""Japanese characters: written without blanks between words, as wide as high."""

from __future__ import annotations

import re

CJK = "\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"  # for use within [ ] of a pattern
WIDE = re.compile(f"[{CJK}]")
