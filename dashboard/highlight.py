"""Marking the words of the query in a passage, safely: the passage is escaped, only our own tags are added."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from indexing.bm25 import tokenize

_PIECE = re.compile(r"[^\W_]+")
LONGEST_SHOWN = 900  # characters of a passage, before it is opened


def marked(text: str, query: str, longest: int | None = LONGEST_SHOWN) -> Markup:
    """Return ``text`` as HTML with the words that BM25 shares with ``query`` in ``<mark>``.

    Of a text above ``longest`` characters only the first are shown; None shows it whole.
    """
    shown = text if longest is None or len(text) <= longest else text[:longest] + " …"
    wanted = set(tokenize(query))
    html = Markup("")
    position = 0
    for match in _PIECE.finditer(shown):
        if wanted.intersection(tokenize(match.group())):
            html += escape(shown[position : match.start()]) + Markup("<mark>{}</mark>").format(match.group())
            position = match.end()
    return html + escape(shown[position:])
