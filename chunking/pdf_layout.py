"""What the lines of a PDF are, once running ones are gone: contents, footnotes, tables, paragraphs, lists, code."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chunking.document import BlockKind
from chunking.pdf_headings import HeadingFinder
from chunking.pdf_lines import PdfLine
from chunking.pdf_tables import continued
from chunking.sections import is_contents_heading
from chunking.wide import WIDE

_LEADER = re.compile(r"(?:[.·…‥]\s*){3,}[\divxlc]*$|\s\d{1,4}$")
_ENTRY = re.compile(r"(?:^|\s)\d{1,4}(?:[–-]\d{1,4})?,?$")  # of an index, or the end of one: "76–78,"
_DOTTED = re.compile(r"(?:[.·…‥]\s*){3,}\s*[\divxlc]+$")
_BULLET = re.compile(r"[•●○◦▪■□–—*・‣⁃-]\s*\S|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)]\s+\S")
_NOTE_NUMBER = re.compile(r"\d{1,3}(?!\d)")
_NOTE_SIGN = re.compile(r"[†‡※]\s*\d*|\*{1,3}\d*\s?(?=[^\W\d])|注\s*\d")
_CAPTION = re.compile(
    r"(?:(?:figure|fig\.|table|listing)\s+|[図表]\s*)(?:[A-Z][.-]?)?\d{1,3}(?:[.–-]\d{1,3})*"
    r"(?P<mark>\s*[:.：](?=\s|$)|\s+[–—-](?=\s))?(?:\s+|$)",
    re.I,
)
_LIST_OF_PAGES = re.compile(r"(?:table of )?contents|(?:\w+ )?index|目\s*次|索\s*引", re.I)
_RULE_NAME = re.compile(r"[A-Za-z][\w-]*(?: [\w-]+){0,3}\s*(?::|::=|:=|→)(?: one of)?")
_SYMBOLS = re.compile(r"[\w'\"<>\[\]{}|()*+?/ ,;=&^~%!.-]{1,80}(?<![.,;])")
_SENTENCE_END = (".", "。", ":", "：", ";", "?", "!", "？", "！")


@dataclass
class Group:
    """Lines that make one block; ``repeated`` are the headers of its table that stand on later pages again."""

    kind: BlockKind
    lines: list[PdfLine] = field(default_factory=list)
    level: int = 0
    repeated: list[PdfLine] = field(default_factory=list)


def group_lines(pages: Sequence[list[PdfLine]], headings: Mapping[int, tuple[int, int]]) -> list[Group]:
    """Return the blocks of all pages in reading order, given what ``outline_headings`` found.

    The footnotes of a page stand after its text, or before the paragraph that goes on over the page's end.
    """
    every = [line for lines in pages for line in lines]
    finder = HeadingFinder(every, headings)
    shape = Shape(every)
    groups: list[Group] = []
    footnotes: list[Group] = []  # of the page before
    listing = False  # below a heading "Contents", up to the next that the outline names
    leaders = False
    for page in pages:
        leaders = _is_contents(page, leaders)
        lines, notes = (page, []) if leaders else _parted_footnotes(page, shape.body, bool(footnotes))
        i = 0
        while i < len(lines):
            length, level = headings.get(id(lines[i]), (0, 0))
            if leaders:
                length = 0
            elif length:
                finder.passed(lines[i], level)
                listing = is_contents_heading(lines[i].text)
            elif not (listing or _is_caption(lines[i]) or id(lines[min(i + 1, len(lines) - 1)]) in headings):
                length, level = finder.heading(lines, i)
            if lines[i].frame and not (leaders or listing):
                rows = next(list(same) for _, same in itertools.groupby(lines[i:], key=lambda line: id(line.frame)))
                table = continued(groups[-1].lines, rows) if groups and groups[-1].kind == "table" else None
                if table and _make_room(groups, footnotes):
                    groups[-1].repeated += [row for row in rows[:1] if row.text == table[0].text]
                    groups[-1].lines = table
                else:
                    groups += [*footnotes, Group("table", rows)]
                    footnotes = []
                i += len(rows)
                continue
            if length:
                group = Group("heading", lines[i : i + length], level)
            else:
                group = Group("contents" if leaders or listing else _kind(lines, i), [lines[i]])
            if groups and not _begins_block(groups[-1], group, shape) and _make_room(groups, footnotes):
                groups[-1].lines.append(lines[i])
            else:
                groups += [*footnotes, group]
                footnotes = []
            i += len(group.lines)
        groups += footnotes  # of a page after which comes one without text
        footnotes = notes
    groups += footnotes
    if all(group.kind == "contents" for group in groups):  # a document that is a list: that is what there is to find
        for group in groups:
            group.kind = "list"
    return groups


def _make_room(groups: list[Group], footnotes: list[Group]) -> bool:
    """Put the footnotes before the last group, which goes on. False if it began on an earlier page than they stand."""
    if footnotes and groups[-1].lines[0].page < footnotes[0].lines[0].page:
        return False
    groups[-1:-1] = footnotes
    footnotes.clear()
    return True


# -- footnotes -------------------------------------------------------------------------------------------------------


def _parted_footnotes(lines: list[PdfLine], body: float, goes_on: bool) -> tuple[list[PdfLine], list[Group]]:
    """Part a page's text from its footnotes, which stand at the foot of the page or of its columns.

    ``goes_on``: the page before has footnotes, so that the first of this page may begin without a mark.
    """
    if not any(line.size >= 0.95 * body for line in lines):
        return lines, []
    rest: list[PdfLine] = []
    notes: list[Group] = []
    for column in _parts_read_down(lines):
        kept = column[: _first_of_footnotes(column, body, goes_on)]
        small = column[len(kept) :]
        if small and not any(_stands_below(line, small[0]) for line in lines if line.size >= 0.95 * body):
            notes += _footnotes(small)
        else:
            kept = column
        rest += kept
    return (rest, notes) if rest else (lines, [])


def _parts_read_down(lines: Sequence[PdfLine]) -> list[list[PdfLine]]:
    """Return the lines in parts, each of which is read from the top down: a page's columns, for one."""
    parts: list[list[PdfLine]] = []
    for line in lines:
        if not parts or line.bottom > parts[-1][-1].top:
            parts.append([])
        parts[-1].append(line)
    return parts


def _stands_below(line: PdfLine, note: PdfLine) -> bool:
    return line.base < note.base and line.left < note.right and note.left < line.right


def _first_of_footnotes(lines: Sequence[PdfLine], body: float, goes_on: bool) -> int:
    """Return where the small type at the foot begins, from the first raised number or asterisk on."""
    first = len(lines)
    while first and lines[first - 1].size < 0.93 * body and not lines[first - 1].frame:
        first -= 1
    marked = (i for i in range(first, len(lines)) if _is_marked(lines[i]))
    first_marked = next(marked, None)
    if first_marked is None:
        return len(lines)
    return first if goes_on and not lines[first].text[0].isupper() else first_marked


def _footnotes(lines: Sequence[PdfLine]) -> list[Group]:
    notes: list[Group] = []
    for line in lines:
        if not notes or _is_marked(line) or _BULLET.match(line.text):
            notes.append(Group("footnote"))
        notes[-1].lines.append(line)
    return notes


def _is_marked(line: PdfLine) -> bool:
    """Whether a line begins with the mark of a footnote: a raised number, or a sign that is used for nothing else."""
    word = line.cells[0].words[0]
    raised = word.size < 0.9 * line.size and word.base > line.base + 0.1 * line.size
    return _NOTE_SIGN.match(line.text) is not None or (raised and _NOTE_NUMBER.match(line.text) is not None)


# -- contents --------------------------------------------------------------------------------------------------------


def _is_contents(lines: Sequence[PdfLine], goes_on: bool) -> bool:
    """Whether a page is one of a table of contents or an index: most lines end in a page number, with dots before it.

    Without dots where it says "Contents" or "Index" above them, or ``goes_on``: the page before is one. A third of the
    lines is then enough, for long entries take two.
    """
    lines = [line for line in lines if not line.frame]
    dotted = sum(1 for line in lines if _DOTTED.search(line.text))
    numbered = sum(1 for line in lines if _LEADER.search(line.text))
    announced = goes_on or any(_LIST_OF_PAGES.fullmatch(line.text) for line in lines[:4])
    entries = sum(1 for line in lines if _ENTRY.search(line.text) or _LEADER.search(line.text)) if announced else 0
    if announced and len(lines) >= 8 and entries * (3 if goes_on else 2) > len(lines):
        return True
    return len(lines) >= 4 and (dotted * 2 > len(lines) or (dotted >= 3 and numbered * 3 > len(lines) * 2))


# -- blocks ----------------------------------------------------------------------------------------------------------


class Shape:
    """How the lines of a document stand: their usual size, the distance between them and where they end."""

    def __init__(self, lines: Sequence[PdfLine]) -> None:
        sizes: Counter[float] = Counter()
        distances: dict[int, Counter[float]] = defaultdict(Counter)
        for line in lines:
            sizes[round(line.size, 1)] += len(line.text)
        for above, line in itertools.pairwise(lines):
            distance = above.base - line.base
            if above.page == line.page and 0.8 * line.size <= distance <= 2 * line.size:
                distances[round(line.size)][round(distance * 4) / 4] += 1
        self.body = max(sizes, key=sizes.__getitem__, default=10.0)
        self._leadings = {size: counts.most_common(1)[0][0] for size, counts in distances.items()}
        self._rights: dict[tuple[int, int], list[float]] = defaultdict(list)
        self._usual_rights: dict[tuple[int, int], float | None] = {}
        for line in lines:
            if len(line.text) > 20 and not line.frame and not line.monospaced:
                for page in (line.page, 0):
                    self._rights[page, round(line.left / 3)].append(line.right)

    def leading(self, line: PdfLine) -> float:
        """Return the usual distance between base lines of the line's size."""
        return self._leadings.get(round(line.size), 1.2 * line.size)

    def ends_short(self, line: PdfLine, following: PdfLine) -> bool:
        """Whether the next line's first word had room on this one: then the line was ended on purpose."""
        right = self._right(line)
        if right is None or line.hyphen:
            return False
        first = following.text.split(" ", 1)[0]
        characters = 2 if WIDE.match(first) else len(first) + 1
        needed = characters * (following.right - following.left) / len(following.text)
        return right - line.right > max(needed, 0.2 * (right - line.left))

    def fills(self, line: PdfLine) -> bool:
        """Whether a line goes as far to the right as those do that begin where it begins."""
        right = self._right(line)
        return right is not None and right - line.right < 2 * line.size

    def _right(self, line: PdfLine) -> float | None:
        """Return where lines end that begin where this one does: of its page if it has some, else of the document."""
        column = round(line.left / 3)
        on_page = self._usual_right(line.page, column, 6)
        return self._usual_right(0, column, 5) if on_page is None else on_page

    def _usual_right(self, page: int, column: int, enough: int) -> float | None:
        """Return where lines end that begin at a column, None where there are not enough. Page 0 is the document."""
        if (page, column) not in self._usual_rights:
            rights = [
                right for near in (column - 1, column, column + 1) for right in self._rights.get((page, near), ())
            ]
            usual = sorted(rights)[int(0.9 * (len(rights) - 1))] if len(rights) >= enough else None
            self._usual_rights[page, column] = usual
        return self._usual_rights[page, column]


def _kind(lines: Sequence[PdfLine], i: int) -> BlockKind:
    """Tell what kind of block begins at line ``i``."""
    line = lines[i]
    if line.frame:
        return "table"
    if _is_caption(line):
        return "caption"
    if line.monospaced or _opens_grammar(lines, i):
        return "code"
    return "list" if _BULLET.match(line.text) else "paragraph"


def _is_caption(line: PdfLine) -> bool:
    """Whether a line begins as a caption does: "Figure 3-1: ...", not as a sentence that begins with "Table 5"."""
    match = _CAPTION.match(line.text)
    if match is None:
        return False
    title = line.text[match.end() :]
    return bool(match["mark"]) or not title or (title[0].isupper() or not title[0].isascii())


def _opens_grammar(lines: Sequence[PdfLine], i: int) -> bool:
    """Whether a rule of a grammar begins: a name and a colon or an arrow, and what it stands for below, further in."""
    line, below = lines[i], lines[i + 1 : i + 2]
    return (
        _RULE_NAME.fullmatch(line.text) is not None
        and len(below) == 1
        and below[0].left > line.left + line.size
        and 0 < line.base - below[0].base < 2 * line.size
        and _SYMBOLS.fullmatch(below[0].text) is not None
    )


def _begins_block(group: Group, new: Group, shape: Shape) -> bool:
    """Whether the line of ``new``, of a kind by its own look, does not go on what ``group`` ends with."""
    last, line, kind = group.lines[-1], new.lines[0], new.kind
    if last.frame or line.frame:
        return last.frame is not line.frame
    if "contents" in (group.kind, kind):
        return group.kind != kind
    if "heading" in (group.kind, kind) or group.kind == "footnote":
        return True
    if kind == "caption":
        return group.kind not in ("paragraph", "list") or not _is_wrapped_reference(last, line, shape)
    if group.kind == "code":
        return _begins_after_code(group, line, kind, shape)
    if kind == "code" and not _is_code_within(last, line, shape):
        return True
    if line.page != last.page or line.bottom > last.top:  # a new page or column: a sentence may go on there
        ended = last.text.endswith(_SENTENCE_END) or shape.ends_short(last, line)
        return ended or not _goes_on(last, line, shape)
    distance = last.base - line.base
    leading = max(shape.leading(line), shape.leading(last))
    if not _same_type(last, line) or distance > 1.25 * leading or shape.ends_short(last, line):
        return True
    if _BULLET.match(line.text) and not last.hyphen and not _is_wrapped(group, line):
        return True
    return group.kind == "paragraph" and len(group.lines) > 1 and line.left - last.left > 0.9 * last.size


def _same_type(last: PdfLine, line: PdfLine) -> bool:
    """Whether two lines are of one size of type, or have parts that are: words of another font are set smaller.

    Words of code among others say nothing: their font's height is another at the same size.
    """
    if abs(last.size - line.size) <= 0.12 * last.size + 0.3:
        return True
    shares: list[set[int]] = []
    for one in (last, line):
        sizes: Counter[int] = Counter()
        words = [word for cell in one.cells for word in cell.words]
        for word in [word for word in words if not word.monospaced] or words:
            sizes[round(word.size)] += len(word.text)
        shares.append({size for size, count in sizes.items() if count * 5 >= sizes.total()})
    return bool(shares[0] & shares[1])


def _begins_after_code(group: Group, line: PdfLine, kind: BlockKind, shape: Shape) -> bool:
    """Whether a line is no more of the code, or of the grammar's rule, that ``group`` is."""
    last = group.lines[-1]
    if not group.lines[0].monospaced:
        deeper = line.left > group.lines[0].left + 0.5 * line.size and line.page == last.page
        return line.monospaced or not deeper or last.base - line.base > 2 * line.size
    if kind != "code" or not line.monospaced:
        return True
    return line.page != last.page or line.bottom > last.top or last.base - line.base > 2.6 * line.size


def _is_code_within(last: PdfLine, line: PdfLine, shape: Shape) -> bool:
    """Whether a line of code alone is a word of the paragraph above: set as its lines are, after one that is full."""
    below = line.page == last.page and 0 < last.base - line.base <= 1.25 * max(shape.leading(last), shape.leading(line))
    return below and abs(last.left - line.left) < 1 and not last.text.endswith(_SENTENCE_END) and shape.fills(last)


def _is_wrapped_reference(last: PdfLine, line: PdfLine, shape: Shape) -> bool:
    """Whether what looks like a caption is a reference within a sentence: "see / Table 5."."""
    near = line.page == last.page and 0 < last.base - line.base <= 1.25 * shape.leading(line)
    return near and not last.text.endswith(_SENTENCE_END) and not last.monospaced and shape.fills(last)


def _is_wrapped(group: Group, line: PdfLine) -> bool:
    """Whether what looks like a bullet is a wrapped word, such as "a)" or a dash within a paragraph."""
    last = group.lines[-1]
    return abs(line.left - last.left) < 1 and not last.text.endswith(_SENTENCE_END) and group.kind == "paragraph"


def _goes_on(last: PdfLine, line: PdfLine, shape: Shape) -> bool:
    first = line.text[0]
    if last.hyphen or first.islower():
        return True
    return not _BULLET.match(line.text) and (ord(first) > 0x3000 or shape.fills(last))
