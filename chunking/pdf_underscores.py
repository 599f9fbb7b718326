"""Underscores that a PDF draws as short lines, as TeX does: the words beside them are one, "Packed_Decimal"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from chunking.pdf_rules import SHORTEST, Rule
from chunking.pdf_words import PdfPage, Word, turned_right

_WIDEST = 10.0  # points
_SIDE = 0.3  # times the font size: an underscore ends so near to the words beside it
_HEIGHT = 0.25  # times the font size: an underscore stands so near to the base line


def with_underscores(page: PdfPage) -> PdfPage:
    """Return the page with words joined between which a short stroke stands on their base line, and without strokes."""
    short = [rule for rule in page.rules if max(rule.right - rule.left, rule.top - rule.bottom) <= _WIDEST]
    if not short:
        return page
    joined: list[Word] = []
    used: set[int] = set()
    strokes: dict[int, dict[int, list[tuple[Rule, int]]]] = {}  # by turns and left end, each with its rule's id
    for word in page.words:
        last = joined[-1] if joined else None
        if last is not None and _beside(last, word):
            turns = word.quarter_turns
            if turns not in strokes:
                strokes[turns] = _by_left_end(short, turns)
            between = _between(last, word, strokes[turns])
            if between is not None:
                used.add(between)
                joined[-1] = replace(last, text=f"{last.text}_{word.text}", right=word.right, hyphen=word.hyphen)
                continue
        joined.append(word)
    lines = [rule for rule in page.rules if max(rule.right - rule.left, rule.top - rule.bottom) >= SHORTEST]
    return replace(page, words=joined, rules=[rule for rule in lines if id(rule) not in used])


def _beside(last: Word, word: Word) -> bool:
    gap = word.left - last.right
    level = word.quarter_turns == last.quarter_turns and abs(word.base - last.base) < 0.1 * last.size
    return level and 0 < gap < 1.2 * last.size


def _by_left_end(short: Sequence[Rule], turns: int) -> dict[int, list[tuple[Rule, int]]]:
    found: dict[int, list[tuple[Rule, int]]] = defaultdict(list)
    for rule in short:
        upright = Rule(*turned_right(rule.left, rule.bottom, rule.right, rule.top, turns))
        if upright.horizontal:
            found[round(upright.left)].append((upright, id(rule)))
    return found


def _between(last: Word, word: Word, strokes: dict[int, list[tuple[Rule, int]]]) -> int | None:
    """Return the id of the short line that fills the gap between two words."""
    near, side = round(last.right), _SIDE * last.size
    for at in range(near - 3, near + 4):
        for rule, which in strokes.get(at, ()):
            fills = abs(rule.left - last.right) < side and abs(rule.right - word.left) < side
            if fills and abs((rule.bottom + rule.top) / 2 - last.base) < _HEIGHT * last.size:
                return which
    return None
