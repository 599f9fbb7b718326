"""Marking the words of the query in a passage, safely: the passage is escaped, only our own tags are added."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from indexing.bm25 import tokenize

_PIECE = re.compile(r"[^\W_]+")
_SHOWN = 900


def marked(text: str, query: str) -> Markup:
    """Return the first part of ``text`` as HTML with the words that BM25 shares with ``query`` in ``<mark>``."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + " …"
    wanted = set(tokenize(query))
    html = Markup("")
    position = 0
    for match in _PIECE.finditer(shown):
        if wanted.intersection(tokenize(match.group())):
            html += escape(shown[position : match.start()]) + Markup("<mark>{}</mark>").format(match.group())
            position = match.end()
    return html + escape(shown[position:])
