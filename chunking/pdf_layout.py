"""What the lines of a PDF are: running headers, contents, headings, paragraphs, lists, code."""

from __future__ import annotations

import itertools
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chunking.document import BlockKind
from chunking.pdf_lines import PdfLine
from chunking.pdf_tables import continued
from chunking.pdf_words import Bookmark
from chunking.sections import follows, is_contents_heading, is_known_heading, parse_numbered, reads_like_title

_LEADER = re.compile(r"(?:[.·…‥]\s*){3,}[\divxlc]*$|\s\d{1,4}$")
_DOTTED = re.compile(r"(?:[.·…‥]\s*){3,}\s*[\divxlc]+$")
_PAGE_NUMBER = re.compile(r"^(\d{1,4})\b|\b(\d{1,4})(?:\s*(?:/|of|von|sur|de)\s*\d{1,4})?$")
_LONE_NUMBER = re.compile(r"[ivxlc]{1,7}|(?:[A-Z]|\d{1,3})[-–]\d{1,3}|[-–—]\s*\d{1,4}\s*[-–—]", re.I)
_BULLET = re.compile(r"[•●○◦▪■□–—*・‣⁃-]\s*\S|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[.)]\s+\S")
_LABEL_LINE = re.compile(r"(?:chapter|appendix|part|annex)\s+[\dA-Z]{1,4}|第\s*\d+\s*[章部編]", re.I)
_NUMBER_PREFIX = re.compile(
    r"(?:chapter|appendix|part|annex|section|table|figure)?\s*(?:\d{1,3}|[A-Z])(?:\.\d{1,3})*\s*[.:]?\s+|第\s*\d+\s*[章部編節]\s*",
    re.I,
)
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
_WIDE = re.compile("[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef]")
_SENTENCE_END = (".", "。", ":", "：", ";", "?", "!", "？", "！")
_HEADING_WORDS = 160


@dataclass
class Group:
    """Lines that make one block; ``repeated`` are the headers of its table that stand on later pages again."""

    kind: BlockKind
    lines: list[PdfLine] = field(default_factory=list)
    level: int = 0
    repeated: list[PdfLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Running:
    """The running headers and footers of one page, from the top down, and the page number among them ("" if none)."""

    lines: list[PdfLine]
    label: str


def running_lines(pages: Sequence[list[PdfLine]]) -> list[Running]:
    """Find the running headers, footers and page numbers of every page.

    The highest or lowest line of a page is one when its text stands at the same height on three pages or more, or when
    it begins or ends with the page's number; the line next to it is asked when it was one.
    """
    edges = [_edges(lines) for lines in pages]
    repeated = Counter(place for edge in edges for side in edge for line in side for place in _places(line))
    offset = _page_number_offset(edges)

    def running(line: PdfLine) -> bool:
        if line.frame:  # a header that its table repeats on every page
            return False
        whole, *cells = _places(line)
        if repeated[whole] >= 3 or _LONE_NUMBER.fullmatch(line.text):
            return True
        if any(repeated[cell] >= max(3, len(pages) / 3) for cell in cells):  # beside the chapter's name, for one
            return True
        return offset is not None and line.page + offset in _numbers(line.text)

    found = []
    for top, bottom in edges:
        lines = {id(line): line for side in (top, bottom) for line in itertools.takewhile(running, side)}
        in_order = sorted(lines.values(), key=lambda line: -line.base)
        found.append(Running(in_order, next(filter(None, (_label(line, offset) for line in in_order)), "")))
    return found


def _label(line: PdfLine, offset: int | None) -> str:
    """Return the page number that a running line shows, as it is written, or ""."""
    if offset is not None and line.page + offset in _numbers(line.text):
        return str(line.page + offset)
    return next((cell.text.strip("-–— ") for cell in line.cells if _LONE_NUMBER.fullmatch(cell.text)), "")


def _edges(lines: Sequence[PdfLine]) -> tuple[list[PdfLine], list[PdfLine]]:
    """Return the line at the top and that at the bottom, each with a second one if that stands close to it."""
    by_height = sorted(lines, key=lambda line: line.base)
    return _close(by_height[::-1]), _close(by_height)


def _close(lines: Sequence[PdfLine]) -> list[PdfLine]:
    near = len(lines) > 1 and abs(lines[0].base - lines[1].base) < 1.6 * lines[0].size
    return list(lines[: 2 if near else 1])


def _places(line: PdfLine) -> list[tuple[str, int, int]]:
    """Return the text and place of the line, and of each of its cells if it has several."""
    height = round(line.base / 4)
    cells = [(cell.text, height, round(cell.left / 4)) for cell in line.cells] if len(line.cells) > 1 else []
    return [(line.text, height, -1), *cells]


def _numbers(text: str) -> list[int]:
    return [int(number) for match in _PAGE_NUMBER.finditer(text) for number in match.groups() if number]


def _page_number_offset(edges: Sequence[tuple[list[PdfLine], list[PdfLine]]]) -> int | None:
    """Return printed page number minus page index, if at least a third of the pages (and three) agree on it."""
    outermost = [[line for side in edge for line in side] for edge in edges]
    votes = Counter(
        offset for lines in outermost for offset in {n - line.page for line in lines for n in _numbers(line.text)}
    )
    if not votes:
        return None
    offset, count = votes.most_common(1)[0]
    return offset if count >= max(3, len(edges) / 3) else None


def group_lines(pages: Sequence[list[PdfLine]], headings: Mapping[int, tuple[int, int]]) -> list[Group]:
    """Return the blocks of all pages in reading order, given what ``outline_headings`` found.

    The footnotes of a page stand after its text, or before the paragraph that goes on over the page's end.
    """
    every = [line for lines in pages for line in lines]
    finder = _HeadingFinder(every, bool(headings))
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
            elif not listing:
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
    """Part a page's text from its footnotes: the small type at its foot, from the first raised number or asterisk on.

    ``goes_on``: the page before has footnotes, so that the first of this page may begin without a mark.
    """
    first = len(lines)
    while first and lines[first - 1].size < 0.93 * body and not lines[first - 1].frame:
        first -= 1
    marked = [i for i in range(first, len(lines)) if _is_marked(lines[i])]
    if not marked or not any(line.size >= 0.95 * body for line in lines[:first]):
        return lines, []
    if not goes_on or lines[first].text[0].isupper():
        first = marked[0]
    notes: list[Group] = []
    for i in range(first, len(lines)):
        if i in marked or not notes or _BULLET.match(lines[i].text):
            notes.append(Group("footnote"))
        notes[-1].lines.append(lines[i])
    return lines[:first], notes


def _is_marked(line: PdfLine) -> bool:
    """Whether a line begins with the mark of a footnote: a raised number, or a sign that is used for nothing else."""
    word = line.cells[0].words[0]
    raised = word.size < 0.9 * line.size and word.base > line.base + 0.1 * line.size
    return _NOTE_SIGN.match(line.text) is not None or (raised and _NOTE_NUMBER.match(line.text) is not None)


# -- contents --------------------------------------------------------------------------------------------------------


def _is_contents(lines: Sequence[PdfLine], goes_on: bool) -> bool:
    """Whether a page is one of a table of contents or an index: most lines end in a page number, with dots before it.

    Without dots where it says "Contents" or "Index" above them, or ``goes_on``: the page before is one.
    """
    lines = [line for line in lines if not line.frame]
    dotted = sum(1 for line in lines if _DOTTED.search(line.text))
    numbered = sum(1 for line in lines if _LEADER.search(line.text))
    announced = goes_on or any(_LIST_OF_PAGES.fullmatch(line.text) for line in lines[:4])
    if announced and len(lines) >= 8 and numbered * 5 > len(lines) * 3:
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
        for line in lines:
            if len(line.text) > 20 and not line.frame and not line.monospaced:
                for page in (line.page, 0):
                    self._rights[page, round(line.left / 3)].append(line.right)
        for rights in self._rights.values():
            rights.sort()

    def leading(self, line: PdfLine) -> float:
        """Return the usual distance between base lines of the line's size."""
        return self._leadings.get(round(line.size), 1.2 * line.size)

    def ends_short(self, line: PdfLine, following: PdfLine) -> bool:
        """Whether the next line's first word had room on this one: then the line was ended on purpose."""
        right = self._right(line)
        if right is None or line.hyphen:
            return False
        first = following.text.split(" ", 1)[0]
        characters = 2 if _WIDE.match(first) else len(first) + 1
        needed = characters * (following.right - following.left) / len(following.text)
        return right - line.right > max(needed, 0.2 * (right - line.left))

    def fills(self, line: PdfLine) -> bool:
        """Whether a line goes as far to the right as those do that begin where it begins."""
        right = self._right(line)
        return right is not None and right - line.right < 2 * line.size

    def _right(self, line: PdfLine) -> float | None:
        """Return where lines end that begin where this one does: of its page if it has some, else of the document."""
        column = round(line.left / 3)
        for page, enough in ((line.page, 6), (0, 5)):
            rights = [
                right for near in (column - 1, column, column + 1) for right in self._rights.get((page, near), ())
            ]
            if len(rights) >= enough:
                return sorted(rights)[int(0.9 * (len(rights) - 1))]
        return None


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
    if kind == "code":
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
    """Whether two lines are of one size of type, or have parts that are: words of another font are set smaller."""
    if abs(last.size - line.size) <= 0.12 * last.size + 0.3:
        return True
    shares: list[set[int]] = []
    for one in (last, line):
        sizes: Counter[int] = Counter()
        for cell in one.cells:
            for word in cell.words:
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


# -- headings --------------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    return re.sub(r"\W", "", unicodedata.normalize("NFKC", text)).lower()


def _unnumbered(text: str) -> str:
    return _plain(_NUMBER_PREFIX.sub("", text.strip(), count=1))


def outline_headings(pages: Sequence[list[PdfLine]], outline: Sequence[Bookmark]) -> dict[int, tuple[int, int]]:
    """Find the lines that the outline's entries name: ``id`` of the first line → (number of lines, level)."""
    found: dict[int, tuple[int, int]] = {}
    taken: set[int] = set()
    tops = [bookmark for bookmark in outline if bookmark.level == 1]
    titled = len(outline) > 3 * len(tops) and len({top.page for top in tops}) == 1  # all else is below the title
    for bookmark in outline:
        wanted = {_plain(bookmark.title), _unnumbered(bookmark.title)} - {""}
        candidates = []
        for lines in pages[bookmark.page - 1 : bookmark.page + 1]:
            candidates += [(lines, i, n) for i, n in _matches(lines, wanted) if id(lines[i]) not in taken]
            if candidates:
                break
        if not candidates:
            continue
        lines, i, length = max(candidates, key=lambda candidate: candidate[0][candidate[1]].size)
        while i and id(lines[i - 1]) not in taken and _LABEL_LINE.fullmatch(lines[i - 1].text):
            i, length = i - 1, length + 1  # "Chapter 4" stands on a line of its own above
        taken.update(id(line) for line in lines[i : i + length])
        found[id(lines[i])] = (length, max(1, bookmark.level - titled))
    return found


def _matches(lines: Sequence[PdfLine], wanted: set[str]) -> Iterator[tuple[int, int]]:
    longest = max(map(len, wanted), default=0)
    for i in range(len(lines)):
        joined = ""
        for length in range(1, min(4, len(lines) - i) + 1):
            if lines[i + length - 1].frame:
                break
            joined += " " + lines[i + length - 1].text
            if len(_plain(joined)) > longest + 20:
                break
            if _plain(joined) in wanted or _unnumbered(joined) in wanted:
                yield i, length
                break


class _HeadingFinder:
    """Decides by number and look which lines are headings, where there is no outline or below its lowest entries."""

    def __init__(self, lines: Sequence[PdfLine], outlined: bool) -> None:
        sizes: Counter[float] = Counter()
        for line in lines:
            sizes[round(line.size, 1)] += len(line.text)
        self._body = sizes.most_common(1)[0][0] if sizes else 10.0
        self._bold_body = sum(len(line.text) for line in lines if line.bold) * 2 > sum(len(line.text) for line in lines)
        larger = {size for size, count in sizes.items() if size > 1.15 * self._body and count >= 4}
        self._ranks = {size: rank for rank, size in enumerate(sorted(larger, reverse=True)[:6], 1)}
        self._outlined = outlined
        self._uniform = not any(self._distinct(line) for line in lines)
        self._last: tuple[int, ...] = ()
        self._level = 0
        self._shift = 0  # how much deeper the outline's levels are than the numbers' own

    def passed(self, line: PdfLine, level: int) -> None:
        """Take note of a heading that the outline gave."""
        self._level = level
        if numbered := parse_numbered(line.text):
            self._last, self._shift = numbered.number, level - numbered.level

    def heading(self, lines: Sequence[PdfLine], i: int) -> tuple[int, int]:
        """Return how many lines a heading beginning at line ``i`` takes and its level, (0, 0) if none begins there."""
        line = lines[i]
        if (
            line.frame
            or line.monospaced
            or not self._alone(lines, i)
            or not (self._distinct(line) or self._typewritten(lines, i))
        ):
            return 0, 0
        length = 1
        while i + length < len(lines) and length < 4 and self._same_heading(lines[i + length - 1], lines[i + length]):
            length += 1
        text = " ".join(part.text for part in lines[i : i + length])
        if len(text) > _HEADING_WORDS:
            return 0, 0
        numbered = parse_numbered(text)
        if numbered and reads_like_title(numbered.title) and follows(self._last, numbered.number):
            level = numbered.level + self._shift
            if self._outlined and level <= self._level and self._level:
                return 0, 0
            self._last = numbered.number
            return length, max(1, level)
        rank = self._ranks.get(round(line.size, 1), 0)
        if self._outlined or numbered or not (rank or is_known_heading(text)) or not reads_like_title(text):
            return 0, 0
        return length, rank or 1

    def _distinct(self, line: PdfLine) -> bool:
        return line.size > 1.05 * self._body or (line.bold and not self._bold_body and line.size >= 0.9 * self._body)

    def _typewritten(self, lines: Sequence[PdfLine], i: int) -> bool:
        """Whether a line may be a heading where all look alike: by its number, with a blank line above and below."""
        if not self._uniform or parse_numbered(lines[i].text) is None:
            return False
        above, below = lines[i - 1 : i], lines[i + 1 : i + 2]
        gaps = [a.base - b.base for a, b in itertools.pairwise([*above, lines[i], *below])]
        return all(gap < 0 or gap > 1.6 * self._body for gap in gaps)

    def _alone(self, lines: Sequence[PdfLine], i: int) -> bool:
        """Whether the line above ends its own block: bold words within a paragraph are no heading."""
        if i == 0:
            return True
        above = lines[i - 1]
        return (
            above.bottom - lines[i].top > 0.15 * self._body
            or lines[i].bottom > above.top
            or above.size != lines[i].size
        )

    def _same_heading(self, line: PdfLine, following: PdfLine) -> bool:
        alike = abs(line.size - following.size) < 0.3 and line.bold == following.bold
        near = -0.5 * line.size < line.bottom - following.top < 0.6 * line.size
        return alike and near and parse_numbered(following.text) is None


def guess_title(pages: Sequence[list[PdfLine]]) -> str:
    """Return the words set largest on the first page that has text, or "" if they are no larger than the rest."""
    sizes = [line.size for lines in pages for line in lines]
    lines = next((lines for lines in pages if lines), [])
    largest = max((line.size for line in lines), default=0.0)
    if not lines or largest < 1.2 * statistics.median(sizes):
        return ""
    return " ".join(line.text for line in lines if line.size > largest - 0.5)[:200]
