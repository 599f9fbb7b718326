"""Queries from definitions: in sentences, in sections of terms, glossaries, and tables of abbreviations."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from chunking.document import Block
from chunking.language import language
from evaluation.locate import number_and_title
from mining.drafts import Draft, Material
from mining.generate_settings import GenerateSettings

_OF_TERMS = re.compile(
    r"\b(?:terms?|terminology|definitions?|glossary|vocabulary|abbreviations?|acronyms?|nomenclature|symbols)\b"
    r"|用語|定義|略語|略号|記号"
)
_LATIN = r"[^\W\d_][\w./()'’ -]{0,58}?[\w)]"
# What a sentence defines. "This means that …" defines nothing: see _NO_TERM.
_IN_SENTENCE = (
    re.compile(
        rf"(?:^|(?<=[.;:\n] )|(?<=\n))(?:(?:the term|the|an?)\s+)?[\"“'‘]?(?P<term>{_LATIN})[\"”'’]?\s+"
        r"(?:is|are)\s+defined\s+(?:as|to\s+be)\s+(?P<said>[^.;]{15,400})",
        re.IGNORECASE,
    ),
    re.compile(
        rf"[\"“](?P<term>{_LATIN})[\"”]\s+(?:means|refers\s+to|denotes|is\s+used\s+for)\s+(?P<said>[^.;]{{15,400}})"
    ),
    re.compile(
        r"\b(?P<term>[A-Z][A-Za-z0-9/-]{1,14})\s+(?:stands\s+for|means|is\s+short\s+for)\s+(?P<said>[^.;]{10,400})"
    ),
    re.compile(r"「?(?P<term>[^\s、。「」：:]{2,30})」?とは[、,]?\s*(?P<said>[^。]{8,300})"),
    re.compile(r"(?P<said>[^。\n]{8,300})を[、,]?「?(?P<term>[^\s、。「」]{2,20})」?と(?:いう|呼ぶ|定義する)"),
)
_DEFINING = re.compile(r"(?i)defined|means|refers|denotes|used for|stands|short for|とは|という|呼ぶ|定義する")
_LISTED = re.compile(
    r"^(?:[\s–—•*・-]|o\s)*(?P<term>[^\s:：|][^:：|\n]{0,58}?)\s*(?:[:：]|\s[–—]\s)\s*(?P<said>\S[^\n]{9,600})",
    re.MULTILINE,
)
_NO_TERM = re.compile(r"(?i)(?:this|that|it|its|which|what|these|those|there|they|such|note|example|where|if|when)\b")
_SHORTENED = re.compile(r"[A-Z][A-Z0-9/-]{1,9}s?")
_LEAST_LETTERS = 8  # of the cell that explains
_NOT_IN_TERMS = re.compile(r"[<>=\"“”|{}\\]|\b(?:that|which|the|of|a)$")
_LONGEST_TERM = 8  # words
_ASKED: dict[str, tuple[str, ...]] = {
    "en": ("definition of {}", "what is {}", "meaning of {}", "{} definition"),
    "ja": ("{}とは", "{}の定義", "{}の意味"),
}
_ASKED_SHORTENED = ("what does {} stand for", "{} meaning", "{} abbreviation")


def definitions(material: Material, settings: GenerateSettings) -> list[Draft]:
    """Ask what each defined term means, in one of several ways drawn by chance; the definition answers."""
    drafts: dict[str, Draft] = {}
    for term, start, end in _defined(material):
        term = " ".join(term.split()).strip(" \"“”'‘’「」,;")
        if not _is_term(term) or term.casefold() in drafts:
            continue
        chunks = material.holding(start, end)
        if chunks:
            drafts[term.casefold()] = Draft(_ask(term, settings.seed), start, end, chunks)
    return list(drafts.values())


def _defined(material: Material) -> Iterator[tuple[str, int, int]]:
    """Yield term, start and end of the definitions: those of sections of terms first, for they are the surest."""
    blocks = [block for block in material.document.blocks if block.kind in ("paragraph", "list", "table")]
    in_section = [block for block in blocks if _lists_terms(material.section_at(block.start))]
    for block in in_section:
        yield from _listed(material.document.text, block)
    for chunk in material.chunks:
        # "3.1.1 Assembly preload" below "3.1 Terms": the heading is the term, its text the definition.
        if len(chunk.section) > 1 and _lists_terms(chunk.section[:-1]) and not _lists_terms(chunk.section[-1:]):
            heading = chunk.section[-1].split()
            length = len(number_and_title(chunk.section[-1])[1].split())
            yield " ".join(heading[len(heading) - length :]) if length else "", chunk.start, chunk.end
    for block in blocks:
        if block.kind == "table":
            continue
        text = material.document.text[block.start : block.end]
        if not _DEFINING.search(text):
            continue
        for pattern in _IN_SENTENCE:
            for match in pattern.finditer(text):
                yield match["term"], block.start + match.start(), block.start + match.end()


def _listed(text: str, block: Block) -> Iterator[tuple[str, int, int]]:
    if block.table is not None:
        for row in block.table.rows:
            cells = [cell for cell in row.cells if cell.strip()]
            # "| 0x01 | 12 |" is a table of values, in whatever section it stands.
            if len(cells) >= 2 and row.start < row.end and sum(map(str.isalpha, cells[1])) >= _LEAST_LETTERS:
                yield cells[0], row.start, row.end
        return
    for match in _LISTED.finditer(text[block.start : block.end]):
        yield match["term"], block.start + match.start("term"), block.start + match.end()


def _lists_terms(section: tuple[str, ...]) -> bool:
    return any(_OF_TERMS.search(number_and_title(heading)[1]) for heading in section)


def _is_term(term: str) -> bool:
    if (
        not 2 <= len(term) <= 60
        or len(term.split()) > _LONGEST_TERM
        or _NO_TERM.match(term)
        or _NOT_IN_TERMS.search(term)
    ):
        return False
    return sum(character.isalpha() for character in term) >= max(2, len(term) // 2)


def _ask(term: str, seed: int) -> str:
    ways = _ASKED[language(term)]
    if _SHORTENED.fullmatch(term):
        ways = _ASKED_SHORTENED
    return random.Random(f"{seed}\0{term}").choice(ways).format(term)  # noqa: S311 - no secret
