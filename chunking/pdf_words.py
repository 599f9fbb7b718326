"""Words with their place and look, page by page, from a PDF: pdfium first, pypdf where pdfium cannot open it."""

from __future__ import annotations

import ctypes
import itertools
import math
import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium

from chunking.document import UnreadableError
from chunking.limits import ReadLimits
from chunking.pdf_open import open_pdf
from chunking.pdf_rules import Rule, page_rules
from chunking.pdf_streams import refuse_bombs
from chunking.pdfium_calls import address, angle, font_info, font_of, loose_box, origin, text_object_of
from chunking.progress import at_page
from chunking.wide import WIDE

_MOST_BOOKMARKS = 20_000
_DEEPEST_BOOKMARK = 12
_WORD = re.compile("([^\\s\x02\ufffe]+)([\x02\ufffe]?)")  # pdfium writes U+0002 or U+FFFE for a hyphen at a line's end
_BOLD = re.compile(r"bold|black|heavy|medi(?!um)|demi|cmbx|-bd|-w[6-9]", re.I)
_MONOSPACED = re.compile(r"mono|nimbusmon|courier|consol|typewriter|cmtt|code", re.I)
_END = 2048  # bytes at the end of a file within which "startxref" stands
_LONGEST_NAME = 128  # bytes of a font's name
_FIXED_PITCH = 1  # PDF 32000-1, table 123: font flags
_FORCE_BOLD = 1 << 18
# Ligatures, and the radicals that some Japanese fonts give instead of the characters: the rest of NFKC would turn
# 10² into 102.
_COMPATIBLE = re.compile("[\ufb00-\ufb06\u2e80-\u2fdf\uf900-\ufaff\u00a0]")
_SIGN_FONT = re.compile(r"(?:[A-Z]{6}\+)?wasy", re.I)
_TICK_CODE = "\x08"
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ud800-\udfff\ue000-\uf8ff\ufffe\uffff]"
)


@dataclass(slots=True)  # not frozen: that makes one five times as slow to make, and there are hundreds on a page
class Word:
    """A word: its box in points (y grows upwards), base line, and look; ``hyphen``: it goes on in the next line.

    ``quarter_turns`` is how often it was turned left by 90 degrees; the box is that of the word turned upright. Nobody
    changes one once it is made.
    """

    text: str
    left: float
    right: float
    bottom: float
    top: float
    base: float
    bold: bool
    monospaced: bool
    hyphen: bool
    quarter_turns: int = 0
    font: str = ""

    @property
    def size(self) -> float:
        """The height of the first character's font, in points."""
        return self.top - self.bottom


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of the PDF's outline; ``level`` is 1 at the top."""

    title: str
    level: int
    page: int


@dataclass(frozen=True)
class PdfPage:
    """A page: its words as drawn and, where pdfium read it, its visible box (left, bottom, right, top) in points.

    ``label`` is what the PDF calls the page; ``rotation`` by how many degrees it is turned right for display; ``rules``
    are its ruling lines.
    """

    words: list[Word]
    box: tuple[float, float, float, float] | None = None
    label: str = ""
    rotation: int = 0
    rules: list[Rule] = field(default_factory=list)

    def displayed(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """Turn and move a box as it is drawn to where it stands on the displayed page, from its lower left corner."""
        page_left, page_bottom, page_right, page_top = self.box or (0.0, 0.0, 0.0, 0.0)
        left, bottom, right, top = turned_right(left, bottom, right, top, self.rotation // 90)
        corner = turned_right(page_left, page_bottom, page_right, page_top, self.rotation // 90)
        return left - corner[0], bottom - corner[1], right - corner[0], top - corner[1]


@dataclass(frozen=True)
class PdfContent:
    """What a PDF holds: its pages, the outline, its own title, and what was damaged."""

    pages: list[PdfPage]
    outline: list[Bookmark]
    title: str
    warnings: list[str]


def read_content(path: Path, limits: ReadLimits) -> PdfContent:
    """Read the words of all pages. Raises UnreadableError."""
    with path.open("rb") as file:
        head = file.read(1024)
    if b"%PDF-" not in head:
        raise UnreadableError(f"not a PDF: the file begins with {ascii(head[:8])[1:]}")
    refuse_bombs(path, limits)
    try:
        document, warnings = open_pdf(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pdfium.FPDF_ERR_PASSWORD:
            raise UnreadableError("encrypted: it opens only with a password") from None
        if error.err_code == pdfium.FPDF_ERR_SECURITY:
            raise UnreadableError("encrypted by a method that is not known") from None
        return _read_with_pypdf(path, limits, str(error))
    with document:
        _check_pages(len(document), limits)
        content = PdfContent([], _outline(document), document.get_metadata_value("Title"), warnings)
        characters = 0
        for number in range(1, len(document) + 1):
            at_page(number)
            try:
                page = _read_page(document, number)
            except pypdfium2.PdfiumError as error:
                content.warnings.append(f"page {number} is damaged: {error}")
                page = PdfPage([])
            content.pages.append(page)
            characters += sum(len(word.text) for word in page.words)
            if characters > limits.characters:
                raise UnreadableError(f"more than {limits.characters} characters of text", page=number)
    at_page(None)
    return content


def _check_pages(pages: int, limits: ReadLimits) -> None:
    if not pages:
        raise UnreadableError("the PDF has no pages")
    if pages > limits.pages:
        raise UnreadableError(f"{pages} pages, more than the limit of {limits.pages}")


def _outline(document: pypdfium2.PdfDocument) -> list[Bookmark]:
    bookmarks = []
    for entry in itertools.islice(document.get_toc(max_depth=_DEEPEST_BOOKMARK), _MOST_BOOKMARKS):
        destination = entry.get_dest()
        page = destination.get_index() if destination else None
        title = printable(entry.get_title())
        if page is not None and title:
            bookmarks.append(Bookmark(title, entry.level + 1, page + 1))
    return bookmarks


def printable(text: str) -> str:
    """Return the text without control characters, ligatures and compatibility radicals, blanks single."""
    text = _COMPATIBLE.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return " ".join(_UNPRINTABLE.sub("", text).split())


def _read_page(document: pypdfium2.PdfDocument, number: int) -> PdfPage:
    page = document[number - 1]
    try:
        text_page = page.get_textpage()
        try:
            words = _words(text_page)
        finally:
            text_page.close()
        label = printable(document.get_page_label(number - 1))
        return PdfPage(words, page.get_bbox(), label, page.get_rotation(), page_rules(page) if words else [])
    finally:
        page.close()


def _words(text_page: pypdfium2.PdfTextPage) -> list[Word]:
    count = text_page.count_chars()
    text = text_page.get_text_range() if count else ""
    if len(text) != count:  # characters without a Unicode value are left out: take them one by one, so that places fit
        text = "".join(chr(pdfium.FPDFText_GetUnicode(text_page, i)) for i in range(count))
    # The calls for every word are most of what reading costs: their arguments are made once, and what all characters of
    # a text object have in common is asked once.
    page = address(text_page.raw)
    begin, end, x, y = pdfium.FS_RECTF(), pdfium.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
    to_begin, to_end, to_x, to_y = map(ctypes.addressof, (begin, end, x, y))
    looks: dict[int, tuple[bool, bool, str]] = {}  # by the address of the font
    text_object = bottom_there = None
    bold, monospaced, name, quarter_turns, base_there = False, False, "", 0, 0.0
    words = []
    for match in _WORD.finditer(text):
        written, hyphen = match.groups()
        first, behind = match.span(1)
        word = written if written.isascii() and written.isprintable() else printable(written)
        word = word or _tick(page, first, written)
        if not word:
            continue
        loose_box(page, first, to_begin)
        loose_box(page, behind - 1, to_end)
        left, bottom, right, top = begin.left, begin.bottom, end.right, begin.top
        drawn_by = text_object_of(page, first)
        if drawn_by != text_object or bottom != bottom_there or not drawn_by:
            text_object, bottom_there = drawn_by, bottom
            font = font_of(drawn_by) if drawn_by else 0
            if font not in looks:
                looks[font] = _look(page, first)
            bold, monospaced, name = looks[font]
            turned = angle(page, first)
            quarter_turns = -round(turned / (math.pi / 2)) % 4 if turned else 0  # pdfium gives the angle clockwise
            origin(page, first, to_x, to_y)
            base_there = y.value
        base = base_there
        if quarter_turns:
            left, bottom, _, top = turned_right(begin.left, begin.bottom, begin.right, begin.top, quarter_turns)
            _, _, right, _ = turned_right(end.left, end.bottom, end.right, end.top, quarter_turns)
            origin(page, first, to_x, to_y)
            _, base, _, _ = turned_right(x.value, y.value, x.value, y.value, quarter_turns)
        # Japanese fonts are of fixed pitch as a rule, and set prose.
        pitched = monospaced and not WIDE.search(word)
        words.append(Word(word, left, right, bottom, top, base, bold, pitched, bool(hyphen), quarter_turns, name))
    return words


def _tick(text_page: int, character: int, written: str) -> str:
    """Return a tick where a character is that of TeX's font of signs, which has no Unicode values, else ""."""
    drawn = written == _TICK_CODE and _SIGN_FONT.match(_look(text_page, character)[2])
    return "✓" if drawn else ""


def _look(text_page: int, character: int) -> tuple[bool, bool, str]:
    """Return whether a character's font is bold and of fixed pitch, by its flags or its name, and the name."""
    written, flags = ctypes.create_string_buffer(_LONGEST_NAME), ctypes.c_int()
    font_info(text_page, character, ctypes.addressof(written), _LONGEST_NAME, ctypes.addressof(flags))
    return _look_of(written.value, flags.value)


@lru_cache(maxsize=1024)
def _look_of(font: bytes, flags: int) -> tuple[bool, bool, str]:
    """Return whether a font is bold and of fixed pitch, by its flags or its name, and the name."""
    name = font.decode("utf-8", "replace")
    bold = bool(flags & _FORCE_BOLD) or _BOLD.search(name) is not None
    return bold, bool(flags & _FIXED_PITCH) or _MONOSPACED.search(name) is not None, name


def turned_right(
    left: float, bottom: float, right: float, top: float, quarter_turns: int
) -> tuple[float, float, float, float]:
    """Turn a box (left, bottom, right, top) right by so many times 90 degrees around the page's origin."""
    for _ in range(quarter_turns % 4):
        left, bottom, right, top = bottom, -right, top, -left
    return left, bottom, right, top


def _read_with_pypdf(path: Path, limits: ReadLimits, reason: str) -> PdfContent:
    """Read what pdfium refuses: pypdf mends some broken files. It tells no places; lines are set one below another."""
    import pypdf  # here, because few documents need it and workers start the faster without

    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("encrypted: it opens only with a password")
        pages = len(reader.pages)
    except UnreadableError:
        raise
    except Exception as error:  # pypdf raises what comes: KeyError, RecursionError, its own
        raise UnreadableError(_damage(path, reason)) from error
    _check_pages(pages, limits)
    content = PdfContent([], [], "", ["read with pypdf, without layout: pdfium could not open the file"])
    characters = 0
    for number in range(1, pages + 1):
        at_page(number)
        try:
            texts = [line for text in reader.pages[number - 1].extract_text().splitlines() if (line := printable(text))]
        except MemoryError:
            raise
        except Exception as error:  # as above, for one page
            content.warnings.append(f"page {number} is damaged: {type(error).__name__}")
            texts = []
        content.pages.append(PdfPage([_placed(text, row) for row, text in enumerate(texts)]))
        characters += sum(map(len, texts))
        if characters > limits.characters:
            raise UnreadableError(f"more than {limits.characters} characters of text", page=number)
    at_page(None)
    return content


def _damage(path: Path, reason: str) -> str:
    """Tell what is wrong with a file that neither library can open: cut off, most often."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _END))
        whole = b"startxref" in file.read()
    return f"damaged PDF: {reason.strip().rstrip('.')}" if whole else "damaged PDF: its end is missing, it was cut off"


def _placed(text: str, row: int) -> Word:
    """Return a whole line as one word, set below the rows before it."""
    return Word(text, 0, 500, 700 - 12 * row, 710 - 12 * row, 700 - 12 * row, False, False, False)
