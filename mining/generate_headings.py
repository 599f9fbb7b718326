"""Queries from headings: the section path as an engineer would type it."""

from __future__ import annotations

import re
from itertools import groupby

from chunking.language import language
from evaluation.locate import number_and_title
from mining.drafts import Draft, Material, designation
from mining.generate_settings import GenerateSettings

_SHORT_TITLE = {"en": 2, "ja": 6}  # words, or characters: too little to ask for without its parent
_KIND_OF_ANNEX = re.compile(r"^\s*[(（](?:normative|informative|規定|参考)[)）]\s*", re.IGNORECASE)
_LEAST_TEXT = 40  # characters below the heading: less answers nothing


def headings(material: Material, settings: GenerateSettings) -> list[Draft]:
    """Ask for each section by its title; where that is short, with its parent's; where others have it, by document too.

    The whole text of the section answers. Titles that say nothing are skipped (``Vocabulary.is_empty``).
    """
    drafts = []
    for section, run in groupby(material.chunks, key=lambda chunk: chunk.section):
        chunks = list(run)
        if not section or sum(len(chunk.text) for chunk in chunks) < len(section[-1]) + _LEAST_TEXT:
            continue
        if material.vocabulary.is_empty(material.document.id, section[-1]):
            continue
        text = _as_typed(material, section)
        if text:
            drafts.append(Draft(text, chunks[0].start, chunks[-1].end, tuple(chunk.id for chunk in chunks)))
    return drafts


def _as_typed(material: Material, section: tuple[str, ...]) -> str:
    title = _without_number(section[-1])
    parts = [title]
    tongue = language(title)
    length = len(title) if tongue == "ja" else len(title.split())
    if len(section) > 1 and length <= _SHORT_TITLE[tongue]:
        above = _without_number(section[-2])
        told = set(title.casefold().split())
        if not material.vocabulary.is_empty(material.document.id, section[-2]) and told.isdisjoint(
            above.casefold().split()
        ):
            parts.insert(0, above)
    if material.vocabulary.is_shared(section[-1]):
        parts.insert(0, designation(material.document.title))
    return " ".join(part for part in parts if part) if any(character.isalpha() for character in title) else ""


def _without_number(heading: str) -> str:
    """Return a heading's title in its own letters; ``number_and_title`` folds them."""
    words = heading.split()
    length = len(number_and_title(heading)[1].split())
    title = " ".join(words[len(words) - length :]) if length else ""
    return _KIND_OF_ANNEX.sub("", title)
