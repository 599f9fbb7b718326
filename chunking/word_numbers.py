"""The numbers that Word shows before headings and list items but does not keep in the text: they are counted here."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from docx.document import Document as WordDocument
from docx.oxml.ns import qn

_LEVELS = 9
_DEEPEST_STYLE = 20  # styles based on styles; a ring of them ends here
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


class WordNumbers:
    """Counts the numbered paragraphs of a document, which must be asked for in their order."""

    def __init__(self, word: WordDocument) -> None:
        self._styles = {style.style_id: style.element for style in word.styles}
        numbering = getattr(_numbering_part(word), "element", None)
        lists = [] if numbering is None else list(numbering)
        abstract = {e.get(qn("w:abstractNumId")): e for e in lists if e.tag == qn("w:abstractNum")}
        self._lists: dict[str, Any] = {}  # the number of a list → the definition of its levels
        self._starts: dict[tuple[str, int], int] = {}
        for element in lists:
            reference = element.find(qn("w:abstractNumId")) if element.tag == qn("w:num") else None
            if reference is not None and reference.get(qn("w:val")) in abstract:
                key = element.get(qn("w:numId"))
                self._lists[key] = abstract[reference.get(qn("w:val"))]
                for change in element.iter(qn("w:startOverride")):
                    self._starts[key, _integer(change.getparent(), "w:ilvl")] = _integer(change, "w:val")
        self._counts: dict[Any, dict[int, int]] = defaultdict(dict)
        self._restarted: set[tuple[str, int]] = set()

    def outline_level(self, paragraph: Any) -> int:
        """Return the level of a heading from 1, or 0 for other text."""
        for properties in self._properties(paragraph):
            level = properties.find(qn("w:outlineLvl"))
            if level is not None:
                return (_integer(level, "w:val") + 1) % (_LEVELS + 1)  # the tenth is that of running text
        return 0

    def next(self, paragraph: Any) -> str:
        """Return what Word shows before the paragraph, "" if it is not numbered."""
        key, level = self._numbering(paragraph)
        definition = self._lists.get(key)
        if definition is None or not 0 <= level < _LEVELS:
            return ""
        levels = {_integer(e, "w:ilvl"): e for e in definition if e.tag == qn("w:lvl")}
        if level not in levels:
            return ""
        counts = self._counts[definition]
        start = _value(levels[level], "w:start", "1")
        if (key, level) in self._starts and (key, level) not in self._restarted:
            self._restarted.add((key, level))
            counts[level] = self._starts[key, level]
        else:
            counts[level] = counts[level] + 1 if level in counts else _as_integer(start)
        for deeper in [each for each in counts if each > level]:
            del counts[deeper]
        if _value(levels[level], "w:numFmt", "decimal") == "bullet":
            return "•"
        text = _value(levels[level], "w:lvlText", "")
        for i in range(level + 1):
            if i in levels:
                count = counts.get(i, _as_integer(_value(levels[i], "w:start", "1")))
                text = text.replace(f"%{i + 1}", _written(count, _value(levels[i], "w:numFmt", "decimal")))
        return text.strip()

    def _numbering(self, paragraph: Any) -> tuple[str, int]:
        """Return the list that a paragraph belongs to and its level there, ("", 0) if none."""
        key, level = None, None
        for properties in self._properties(paragraph):
            numbering = properties.find(qn("w:numPr"))
            if numbering is None:
                continue
            found, at = numbering.find(qn("w:numId")), numbering.find(qn("w:ilvl"))
            key = found.get(qn("w:val")) if key is None and found is not None else key
            level = _integer(at, "w:val") if level is None and at is not None else level
            if key is not None and level is not None:
                break
        return key or "", level or 0

    def _properties(self, paragraph: Any) -> list[Any]:
        """Return the properties of the paragraph, of its style and of those that this is based on."""
        own = paragraph.find(qn("w:pPr"))
        found = [] if own is None else [own]
        named = None if own is None else own.find(qn("w:pStyle"))
        for _ in range(_DEEPEST_STYLE):
            style = self._styles.get(named.get(qn("w:val"))) if named is not None else None
            if style is None:
                break
            properties = style.find(qn("w:pPr"))
            found += [] if properties is None else [properties]
            named = style.find(qn("w:basedOn"))
        return found


def _numbering_part(word: WordDocument) -> Any:
    try:
        return word.part.numbering_part
    except (KeyError, NotImplementedError):  # a document without lists: python-docx raises either
        return None


def _value(element: Any, name: str, default: str) -> str:
    child = element.find(qn(name))
    value = child.get(qn("w:val")) if child is not None else None
    return default if value is None else str(value)


def _integer(element: Any, name: str) -> int:
    return _as_integer(element.get(qn(name), "0"))


def _as_integer(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0


def _written(count: int, style: str) -> str:
    if style in ("lowerLetter", "upperLetter") and count > 0:  # a to z, then aa to zz
        letters = chr(ord("a") + (count - 1) % 26) * min((count - 1) // 26 + 1, 10)
        return letters.upper() if style == "upperLetter" else letters
    if style in ("lowerRoman", "upperRoman"):
        roman = ""
        for value, letters in _ROMAN:
            times, count = divmod(count, value)
            roman += letters * min(times, 10)
        return roman.upper() if style == "upperRoman" else roman
    return f"{count:02d}" if style == "decimalZero" else str(count)
