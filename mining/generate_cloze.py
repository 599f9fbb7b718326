"""Queries by inverse cloze (Lee, Chang & Toutanova, ACL 2019): what a passage's most telling sentence is about.

There the sentence is asked for and taken out of the passage that answers it. Here the document side is frozen: the
passage's vector holds the sentence, and a query that repeats it is answered by matching words and teaches nothing. So
the sentence is cut down to its rare terms, in their order, which is also how people type. Numbers are left out: they
are what is asked for, not what one knows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from chunking.document import Chunk
from chunking.language import language
from mining.drafts import Draft, Material, Vocabulary, terms
from mining.generate_settings import GenerateSettings

_SENTENCE = re.compile(r"[^.!?。！？\n]+(?:[.!?](?!\s|$)[^.!?。！？\n]*|\n(?!\n)[^.!?。！？\n]*)*")
_ENDS = frozenset(".!?。！？")
_LENGTH = {"en": (40, 400), "ja": (15, 200)}  # characters of a sentence that says something, and only one thing
_TERMS = {"en": (3, 7), "ja": (2, 5)}
_COMMON = 0.1  # a term of a tenth of all passages tells none of them apart


def inverse_cloze(material: Material, settings: GenerateSettings) -> list[Draft]:
    """Ask for the rare terms of the most informative sentence of each passage; the sentence answers.

    Passages under headings that all documents share (references, addresses, licences) are left out.
    """
    drafts = []
    for chunk in material.chunks:
        if chunk.section and material.vocabulary.is_customary(chunk.section[-1]):
            continue
        best = max(_candidates(chunk, material.vocabulary), default=None)
        if best is not None:
            _, start, end, text = best
            drafts.append(Draft(text, start, end, (chunk.id,)))
    return drafts


def _candidates(chunk: Chunk, vocabulary: Vocabulary) -> Iterator[tuple[float, int, int, str]]:
    """Yield (mean information of its terms, start, end, query) of the sentences that can be asked for."""
    for match in _SENTENCE.finditer(chunk.text):
        sentence = match[0].strip()
        # Headings, captions and cells of tables end otherwise.
        if chunk.text[match.end() : match.end() + 1] not in _ENDS and not sentence.endswith((";", "；")):
            continue
        tongue = language(sentence)
        shortest, longest = _LENGTH[tongue]
        letters = sum(character.isalpha() for character in sentence)
        if not shortest <= len(sentence) <= longest or 2 * letters < len(sentence) or "|" in sentence:
            continue
        fewest, most = _TERMS[tongue]
        found = list(dict.fromkeys(terms(sentence)))
        telling = [term for term in found if vocabulary.share(term) < _COMMON or vocabulary.size < 1 / _COMMON]
        if len(telling) < fewest:
            continue
        rarest = sorted(telling, key=lambda term: (vocabulary.share(term), term))[:most]
        information = math.fsum(-math.log(max(vocabulary.share(term), 1e-9)) for term in rarest) / len(rarest)
        text = " ".join(term for term in found if term in rarest)
        start = chunk.start + match.start() + len(match[0]) - len(match[0].lstrip())
        yield information, start, start + len(sentence), text
