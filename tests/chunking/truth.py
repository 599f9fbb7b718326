"""How well documents are read, measured on pages whose truth was written down by eye from their pictures.

``truth/*.json`` holds facts about single pages of public documents, which are not in the repository;
``truth_held_out/*.json`` about pages that were drawn by lot and written down before the reader was tried on them:

- ``headings``: level and text of every heading that begins there, the level counted from the chapters down
- ``running``: what of the headers and footers has to go; ``label``: the page number printed there
- ``first``, ``last``: the words that the page's body begins and ends with, footnotes aside
- ``blocks``: how its blocks begin, in reading order, cells of tables and footnotes aside; ``order``: words in reading
  order that begin no block
- ``joined``: words that go over the end of a line and belong into one block
- ``code``: lines that must stay as they are; ``lists``, ``footnotes``, ``captions``: how the blocks of that kind begin
- ``contents``: whether the page is one of a table of contents or an index
- ``tables``: the cells of its tables
"""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pypdfium2

from chunking.document import Block, Document

SEED = 20261122  # of the lot
SETS = ("truth", "truth_held_out")


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many; adding two adds both counts."""

    right: int = 0
    total: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.right + other.right, self.total + other.total)

    @property
    def value(self) -> float:
        """The share, in 0..1; 1 of nothing."""
        return self.right / self.total if self.total else 1.0

    def __str__(self) -> str:
        return f"{self.right}/{self.total}"


@dataclass(slots=True)
class Scores:
    """What was found of what the truth names; ``faults`` says in words what was not.

    ``recall`` and ``precision`` are of headings with their level; ``running`` is of running lines that went, ``body``
    of pages that lost nothing else; ``order`` is of neighbouring blocks that follow each other as they should,
    ``starts`` of blocks that begin where they should; ``kinds`` is of code, lists, footnotes, captions and contents.
    """

    recall: Share = Share()
    precision: Share = Share()
    running: Share = Share()
    body: Share = Share()
    labels: Share = Share()
    order: Share = Share()
    starts: Share = Share()
    joined: Share = Share()
    kinds: Share = Share()
    faults: list[str] = field(default_factory=list)

    def add(self, other: Scores) -> None:
        """Add another document's or page's counts."""
        for name in MEASURES:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults


MEASURES = tuple(item.name for item in fields(Scores) if item.name != "faults")


def load(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return a set of truth: file name of a document → its pages."""
    folder = Path(__file__).with_name(name)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {record["document"]: record["pages"] for record in records}


def drawn_by_lot(lengths: dict[str, int]) -> dict[str, int]:
    """Return one page for each document, given how many pages it has: those that are held out."""
    lot = random.Random(SEED)
    return {name: lot.randrange(lengths[name]) + 1 for name in sorted(lengths)}


def score(document: Document, path: Path, pages: Sequence[dict[str, Any]]) -> Scores:
    """Compare what was read from the PDF at ``path`` with the truth about some of its pages."""
    scores = Scores()
    pdf = pypdfium2.PdfDocument(path)
    try:
        for page in pages:
            text_page = pdf[page["page"] - 1].get_textpage()
            scores.add(_score_page(document, page, text_page.get_text_range()))
            text_page.close()
    finally:
        pdf.close()
    return scores


def table(scores: dict[str, Scores]) -> str:
    """Return the scores as a table, a line for every document and one for all."""
    total = Scores()
    for one in scores.values():
        total.add(one)
    width = max(map(len, scores), default=0) + 2
    rows = [f"{'':{width}}" + "".join(f"{name:>11}" for name in MEASURES)]
    for name, one in [*scores.items(), ("all", total)]:
        rows.append(f"{name:{width}}" + "".join(f"{getattr(one, measure)!s:>11}" for measure in MEASURES))
    rows.append(f"{'':{width}}" + "".join(f"{getattr(total, measure).value:>11.3f}" for measure in MEASURES))
    return "\n".join([*rows, *total.faults])


def _score_page(document: Document, truth: dict[str, Any], drawn: str) -> Scores:
    page = document.pages[truth["page"] - 1]
    blocks = [block for block in document.blocks if block.start < page.end and page.start < block.end]
    text = document.text[page.start : page.end]
    begun = [block for block in blocks if block.start >= page.start]
    where = f"{document.id} page {page.number}"
    scores = Scores()

    expected = Counter((level, _plain(heading)) for level, heading in truth["headings"])
    found = Counter((block.level, _plain(_text(document, block))) for block in begun if block.kind == "heading")
    scores.recall = Share((expected & found).total(), expected.total())
    scores.precision = Share((expected & found).total(), found.total())
    scores.faults += [f"{where}: heading missed: {level} {words}" for level, words in expected - found]
    scores.faults += [f"{where}: no heading: {level} {words}" for level, words in found - expected]

    dropped = _plain(" ".join(page.dropped))
    scores.running = _count(scores, where, "still there", truth["running"], lambda words: _plain(words) in dropped)
    lost = Counter(_plain(drawn)) - Counter(_plain(text)) - Counter(dropped)
    whole = lost.total() < 8 and not _plain("".join(page.dropped)).replace(_plain("".join(truth["running"])), "")
    edges = _plain(text).find(_plain(truth["first"])), _plain(text).find(_plain(truth["last"]))
    scores.body = Share(whole and -1 not in edges and edges[0] <= edges[1], 1)
    if not scores.body.right:
        scores.faults.append(f"{where}: body lost: {lost.total()} characters, dropped {page.dropped}, {edges}")
    scores.labels = _count(scores, where, f"label is {page.label!r}, not", [truth["label"]], page.label.__eq__)

    scores.order = _order(scores, where, text, truth["blocks"] or truth["order"])
    starts = [_plain(_text(document, block)) for block in blocks]
    scores.starts = _count(scores, where, "begins no block", truth["blocks"], _any_begins(starts))
    whole_texts = [" ".join(_text(document, block).split()) for block in blocks]
    scores.joined = _count(
        scores, where, "not joined", truth.get("joined", ()), lambda words: any(words in one for one in whole_texts)
    )
    for kind, key in (("list", "lists"), ("footnote", "footnotes"), ("caption", "captions")):
        starts = [_plain(_text(document, block)) for block in blocks if block.kind == kind]
        scores.kinds += _count(scores, where, f"no {kind}", truth[key], _any_begins(starts))
    code = "\n".join(_text(document, block) for block in blocks if block.kind == "code")
    scores.kinds += _count(scores, where, "no code", truth["code"], lambda line: line in code)
    contents = any(block.kind == "contents" for block in blocks)
    scores.kinds += Share(contents == truth["contents"], 1)
    if contents != truth["contents"]:
        scores.faults.append(f"{where}: contents: {contents}")
    return scores


def _count(scores: Scores, where: str, fault: str, items: Iterable[str], right: Any) -> Share:
    results = {item: bool(right(item)) for item in items}
    scores.faults += [f"{where}: {fault}: {item}" for item, good in results.items() if not good]
    return Share(sum(results.values()), len(results))


def _order(scores: Scores, where: str, text: str, beginnings: Sequence[str]) -> Share:
    """Count the pairs of neighbours of which the second is found after the first."""
    text, at, right = _plain(text), 0, 0
    for i, words in enumerate(map(_plain, beginnings)):
        place = text.find(words, at)
        if place < 0:
            scores.faults.append(f"{where}: out of order: {beginnings[i]}")
        else:
            right += 1
            at = place + 1
    return Share(right, len(beginnings))


def _any_begins(starts: Sequence[str]) -> Any:
    return lambda words: any(start.startswith(_plain(words)) for start in starts)


def _text(document: Document, block: Block) -> str:
    return document.text[block.start : block.end]


def _plain(text: str) -> str:
    """Return letters and digits alone, in one case: some documents draw underscores and accents as lines."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text)).lower()
