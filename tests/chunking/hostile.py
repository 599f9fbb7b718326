"""A corpus of damaged and hostile files, made here, each with how reading it must end.

``CORPUS`` maps a file's name to its ``Case``: the bytes, and either what is read of it or the reason it is refused for.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import docx
import openpyxl
import pypdf

MEGABYTE = 1024 * 1024
WORDS = "Tighten the flange bolts to 25 Nm."


@dataclass(frozen=True)
class Case:
    """A file's bytes; the regular expression its reason matches, "" where it is read; what is then found in its text.

    ``page`` is where reading ended, ``warning`` a regular expression that one of the warnings matches.
    """

    make: Callable[[], bytes]
    reason: str = ""
    page: int | None = None
    finds: str = ""
    warning: str = ""


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(999)
EMPTY = r"the file is empty \(0 bytes\)"


def entity_bomb() -> bytes:
    """Return a document type whose entity ``i`` would be 10⁹ characters long."""
    entities = b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(8))
    return b'<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "0123456789">%s]>' % entities


# -- PDFs by hand ----------------------------------------------------------------------------------------------------


def pdf(*objects: bytes) -> bytes:
    """Write a PDF by hand, with a correct cross-reference table."""
    data, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        size, table, size, len(data)
    )  # fmt: skip


CATALOG, PAGES = b"<</Type/Catalog /Pages 2 0 R>>", b"<</Type/Pages /Kids[3 0 R] /Count 1>>"
PAGE = b"<</Type/Page /Parent 2 0 R /MediaBox[0 0 595 842] /Contents 4 0 R /Resources<</Font<</F 5 0 R>>>> >>"
FONT = b"<</Type/Font /Subtype/Type1 /BaseFont/Helvetica>>"
DRAWN = b"BT /F 12 Tf 72 700 Td (%s) Tj ET" % WORDS.encode()


def stream(content: bytes = DRAWN, entries: bytes = b"", length: bytes | None = None) -> bytes:
    """Return a stream object of these bytes; ``length`` is what it says of itself, the truth unless told."""
    told = b"%d" % len(content) if length is None else length
    return b"<</Length %s %s>>stream\n%s\nendstream" % (told, entries, content)


def one_page(content: bytes | None = None, page: bytes = PAGE, font: bytes = FONT, *more: bytes) -> bytes:
    """Return a document of one page whose contents are object 4 and whose font is object 5; more objects follow."""
    return pdf(CATALOG, PAGES, page, stream() if content is None else content, font, *more)


def cut(at: bytes, plus: int = 0, last: bool = False) -> Callable[[], bytes]:
    """Truncate the good document where ``at`` stands in it first (or last), some bytes further on."""

    def make() -> bytes:
        whole = one_page()
        place = (whole.rindex if last else whole.index)(at) + plus
        return whole[:place]

    return make


def changed(old: bytes, new: bytes) -> Callable[[], bytes]:
    """Replace bytes of the good document; its places shift where the lengths differ."""

    def make() -> bytes:
        whole = one_page()
        assert old in whole
        return whole.replace(old, new)

    return make


def inflating(megabytes: int, times: int = 1) -> bytes:
    """Return a content stream that inflates to so many megabytes of text operators, packed so many times over."""
    packed = b""
    packer = zlib.compressobj(9)
    for _ in range(megabytes):
        packed += packer.compress(b"(boom) Tj " * (MEGABYTE // 10))
    packed += packer.flush()
    for _ in range(times - 1):
        packed = zlib.compress(packed, 9)
    return stream(packed, b"/Filter[%s]" % (b"/FlateDecode" * times))


def encrypted(password: str) -> bytes:
    """Encrypt the good document so that it opens with this password."""
    out = io.BytesIO()
    writer = pypdf.PdfWriter(io.BytesIO(one_page()))
    writer.encrypt(password, owner_password="owner", algorithm="AES-256")
    writer.write(out)
    return out.getvalue()


def with_previous(place: bytes) -> bytes:
    """Let the trailer name a cross-reference table before it: at ``place``, or its own."""
    whole = one_page()
    own = whole[whole.rindex(b"startxref\n") + 10 : whole.rindex(b"\n%%EOF")]
    return whole.replace(b"/Root 1 0 R>>", b"/Root 1 0 R /Prev %s>>" % (place or own))


def with_outline(*items: bytes) -> bytes:
    """Return the good document with an outline: object 6 is its root, the items follow from 7 on."""
    catalog = b"<</Type/Catalog /Pages 2 0 R /Outlines 6 0 R>>"
    root = b"<</Type/Outlines /First 7 0 R /Last 7 0 R /Count 1>>"
    return pdf(catalog, PAGES, PAGE, stream(), FONT, root, *items)


def drawing_forms(depth: int, each: int) -> bytes:
    """Return a page that draws form XObjects drawing the next one ``each`` times, ``depth`` deep."""
    page = PAGE.replace(b"/Resources<<", b"/Resources<</XObject<</X 6 0 R>> ")
    head = b"/Type/XObject /Subtype/Form /BBox[0 0 595 842] "
    forms = [
        stream(b"/X Do " * each, head + b"/Resources<</XObject<</X %d 0 R>>>>" % (7 + number))
        for number in range(depth)
    ]
    last = stream(DRAWN, head + b"/Resources<</Font<</F 5 0 R>>>>")
    return one_page(stream(b"/X Do"), page, FONT, *forms, last)


def own_form() -> bytes:
    """Return a page with a form XObject that draws itself."""
    page = PAGE.replace(b"/Resources<<", b"/Resources<</XObject<</X 6 0 R>> ")
    head = b"/Type/XObject /Subtype/Form /BBox[0 0 595 842] /Resources<</XObject<</X 6 0 R>>/Font<</F 5 0 R>>>>"
    return one_page(stream(DRAWN + b" /X Do"), page, FONT, stream(b"/X Do /X Do", head))


def to_unicode(mapping: bytes) -> bytes:
    """Return the good document, its font with this /ToUnicode stream."""
    font = b"<</Type/Font /Subtype/Type1 /BaseFont/Helvetica /ToUnicode 6 0 R>>"
    return one_page(None, PAGE, font, stream(mapping))


def two_pages(kids: bytes) -> bytes:
    """Return a document with another page, object 6; its page tree has these kids and says that there is one."""
    tree = PAGES.replace(b"[3 0 R]", kids)
    second, text = PAGE.replace(b"4 0 R", b"7 0 R"), stream(DRAWN.replace(WORDS.encode(), b"A second page."))
    return pdf(CATALOG, tree, PAGE, stream(), FONT, second, text)


def page_chain(length: int) -> bytes:
    """Return a page tree of one page below so many nodes of one kid each."""
    nodes = [
        b"<</Type/Pages /Kids[%d 0 R] /Count 1 %s>>" % (n + 1, b"/Parent %d 0 R" % (n - 1) if n > 2 else b"")
        for n in range(2, 2 + length)
    ]
    last = 2 + length
    page = PAGE.replace(b"2 0 R", b"%d 0 R" % (last - 1)).replace(b"4 0 R", b"%d 0 R" % (last + 1))
    return pdf(CATALOG, *nodes, page.replace(b"5 0 R", b"%d 0 R" % (last + 2)), stream(), FONT)


BROKEN_FONT = (
    b"<</Type/Font /Subtype/TrueType /BaseFont/Broken /FirstChar 0 /LastChar 999999999 /Widths[1 2] "
    b"/FontDescriptor<</Type/FontDescriptor /FontName/Broken /Flags 4 /FontFile2 6 0 R>>>>"
)
CID_FONT = b"<</Type/Font /Subtype/Type0 /BaseFont/Loop /Encoding/Identity-H /DescendantFonts[5 0 R] /ToUnicode 5 0 R>>"
NO_TEXT = r"none of the 1 pages has text: (they are blank|scanned pages need character recognition: see \[ocr\])"
NO_PAGES = "the PDF has no pages"
CUT_OFF = "damaged PDF: its end is missing, it was cut off"
DAMAGED = r"damaged PDF: Failed to load document \(PDFium: Data format error\)"
PAGE_DAMAGED = r"none of the 1 pages has text: page 1 is damaged: Failed to load page\."
OUT_OF_MEMORY = r"needs more than 1024 MB of memory, most likely: the reader process gave up \(SIGABRT\)"

PDFS: dict[str, Case] = {
    # cut short, from the front to the end
    "cut_in_header.pdf": Case(cut(b"-1.7"), r"not a PDF: the file begins with '%PDF'"),
    "cut_after_header.pdf": Case(cut(b"1 0 obj"), CUT_OFF),
    "cut_in_catalog.pdf": Case(cut(b"/Pages 2"), CUT_OFF),
    "cut_in_page_tree.pdf": Case(cut(b"/Kids", 3), CUT_OFF),
    "cut_before_page.pdf": Case(cut(b"3 0 obj"), CUT_OFF),
    "cut_in_page.pdf": Case(cut(b"/MediaBox", 5), CUT_OFF),
    "cut_before_stream.pdf": Case(cut(b"4 0 obj"), CUT_OFF),
    "cut_in_stream.pdf": Case(cut(b"the flange"), CUT_OFF),
    "cut_before_endstream.pdf": Case(cut(b"endstream"), CUT_OFF),
    "cut_in_font.pdf": Case(cut(b"/BaseFont"), CUT_OFF),
    "cut_before_xref.pdf": Case(cut(b"xref\n0"), CUT_OFF),
    "cut_in_xref.pdf": Case(cut(b"65535"), CUT_OFF),
    "cut_before_trailer.pdf": Case(cut(b"trailer"), CUT_OFF),
    "cut_in_trailer.pdf": Case(cut(b"/Root"), CUT_OFF),
    "cut_before_startxref.pdf": Case(cut(b"startxref"), finds=WORDS),
    "cut_in_startxref.pdf": Case(cut(b"startxref", 11), finds=WORDS),
    "cut_before_eof.pdf": Case(cut(b"%%EOF", last=True), finds=WORDS),
    # cross references
    "previous_is_itself.pdf": Case(lambda: with_previous(b""), finds=WORDS),
    "previous_is_nowhere.pdf": Case(lambda: with_previous(b"99999999999999999999"), finds=WORDS),
    "wrong_places.pdf": Case(changed(b"00000 n", b"00007 n"), finds=WORDS),
    "startxref_negative.pdf": Case(changed(b"startxref\n", b"startxref\n-"), finds=WORDS),
    "million_entries_told.pdf": Case(changed(b"xref\n0 6", b"xref\n0 999999999"), finds=WORDS),
    "root_is_no_catalog.pdf": Case(changed(b"/Root 1 0 R", b"/Root 5 0 R"), finds=WORDS, warning="read with pypdf, .+"),
    "root_is_missing.pdf": Case(changed(b"/Root 1 0 R", b"/Root 9 0 R"), finds=WORDS, warning="read with pypdf, .+"),
    "object_is_itself.pdf": Case(lambda: pdf(CATALOG, b"2 0 R", PAGE, stream(), FONT), DAMAGED),
    # page trees
    "no_pages.pdf": Case(lambda: pdf(CATALOG, b"<</Type/Pages /Kids[] /Count 0>>"), NO_PAGES),
    "own_kid.pdf": Case(lambda: pdf(CATALOG, b"<</Type/Pages /Kids[2 0 R] /Count 1>>"), PAGE_DAMAGED),
    "kids_in_a_ring.pdf": Case(
        lambda: pdf(CATALOG, b"<</Type/Pages /Kids[3 0 R]>>", b"<</Type/Pages /Kids[2 0 R]>>"), DAMAGED
    ),
    "count_too_large.pdf": Case(changed(b"/Count 1", b"/Count 900000"), "900000 pages, more than the limit of 5000"),
    "count_a_little_too_large.pdf": Case(
        changed(b"/Count 1", b"/Count 3"), finds=WORDS, warning="page 2 is damaged: .+"
    ),
    "count_too_small.pdf": Case(
        lambda: two_pages(b"[3 0 R 6 0 R]"),
        finds="A second page.",
        warning="the page tree's /Count is 1, but it holds 2 pages: .+",
    ),
    "count_too_small_in_a_ring.pdf": Case(
        lambda: two_pages(b"[3 0 R 2 0 R 6 0 R]"),
        finds=WORDS,
        warning=r"the page tree is damaged .+: pages after page 1 .+",
    ),
    "count_negative.pdf": Case(changed(b"/Count 1", b"/Count -7"), finds=WORDS),
    "million_kids.pdf": Case(
        lambda: (
            one_page().replace(b"[3 0 R]", b"[" + b"3 0 R " * 1_000_000 + b"]").replace(b"/Count 1", b"/Count 1000000")
        ),
        "1000000 pages, more than the limit of 5000",
    ),
    "million_kids_hidden.pdf": Case(
        lambda: one_page().replace(b"[3 0 R]", b"[" + b"3 0 R " * 1_000_000 + b"]"), finds=WORDS
    ),
    "deep_page_tree.pdf": Case(lambda: page_chain(3000), PAGE_DAMAGED),
    # streams
    "length_is_itself.pdf": Case(lambda: one_page(stream(length=b"4 0 R")), finds=WORDS),
    "length_too_large.pdf": Case(lambda: one_page(stream(length=b"99999999")), finds=WORDS),
    "length_negative.pdf": Case(lambda: one_page(stream(length=b"-1")), finds=WORDS),
    "unknown_filter.pdf": Case(lambda: one_page(stream(entries=b"/Filter/BogusDecode")), finds=WORDS),
    "wrong_filter.pdf": Case(lambda: one_page(stream(entries=b"/Filter/FlateDecode")), finds=WORDS),
    "picture_as_text.pdf": Case(lambda: one_page(stream(entries=b"/Filter/DCTDecode")), finds=WORDS),
    "hundred_filters.pdf": Case(
        lambda: one_page(stream(entries=b"/Filter[" + b"/FlateDecode" * 100 + b"]")),
        "the stream of object 4 is packed 100 times over",
    ),
    "bomb.pdf": Case(lambda: one_page(inflating(250)), "the stream of object 4 unpacks to more than 200 MB"),
    "bomb_in_a_bomb.pdf": Case(
        lambda: one_page(inflating(250, times=2)), "the stream of object 4 unpacks to more than 200 MB"
    ),
    # values
    "deep_arrays.pdf": Case(changed(b"/Type/Catalog", b"/Type/Catalog /X " + b"[" * 200_000), DAMAGED),
    "deep_dictionaries.pdf": Case(changed(b"/Type/Catalog", b"/Type/Catalog " + b"/X<<" * 200_000), DAMAGED),
    "deep_text_array.pdf": Case(lambda: one_page(stream(DRAWN + b"[" * 500_000)), finds=WORDS),
    "huge_numbers.pdf": Case(
        lambda: one_page(stream(DRAWN.replace(b"72 700", b"9" * 400 + b" -" + b"9" * 400))), finds=WORDS
    ),
    "huge_font_size.pdf": Case(lambda: one_page(stream(DRAWN.replace(b"F 12", b"F 1e30"))), NO_TEXT),
    "huge_box.pdf": Case(changed(b"[0 0 595 842]", b"[0 0 1e38 1e38]"), finds=WORDS),
    "negative_box.pdf": Case(changed(b"[0 0 595 842]", b"[595 842 -9 -9]"), finds=WORDS),
    "empty_box.pdf": Case(changed(b"[0 0 595 842]", b"[0 0 0 0]"), finds=WORDS),
    "million_states.pdf": Case(lambda: one_page(stream(b"q " * 1_000_000 + DRAWN)), finds=WORDS),
    "rotated_by_7.pdf": Case(changed(b"/MediaBox", b"/Rotate 7 /MediaBox"), finds=WORDS),
    # what is drawn
    "form_draws_itself.pdf": Case(own_form, OUT_OF_MEMORY, page=1),
    "forms_nested_deep.pdf": Case(lambda: drawing_forms(400, 1), NO_TEXT),
    "forms_doubling.pdf": Case(lambda: drawing_forms(28, 2), OUT_OF_MEMORY, page=1),
    "font_is_noise.pdf": Case(
        lambda: one_page(None, PAGE, BROKEN_FONT, stream(bytes(range(256)) * 64)), finds="Tighten"
    ),
    "font_is_missing.pdf": Case(changed(b"/F 5 0 R", b"/F 9 0 R"), finds=WORDS),
    "font_is_itself.pdf": Case(lambda: one_page(None, PAGE, CID_FONT), finds="瑨攠"),
    "to_unicode_is_noise.pdf": Case(lambda: to_unicode(bytes(range(256)) * 64), finds=WORDS),
    "to_unicode_of_everything.pdf": Case(
        lambda: to_unicode(
            b"1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <00000000> <ffffffff> <0041> endbfrange"
        ),
        finds="o",
    ),
    "to_unicode_to_nothing.pdf": Case(lambda: to_unicode(b"1 beginbfrange <00> <ff> <0000> endbfrange"), finds=WORDS),
    # outlines
    "outline_in_a_ring.pdf": Case(
        lambda: with_outline(
            b"<</Title(a) /Parent 6 0 R /Next 8 0 R /Dest[3 0 R /Fit]>>", b"<</Title(b) /Parent 6 0 R /Next 7 0 R>>"
        ),
        finds=WORDS,
    ),
    "outline_is_its_own_child.pdf": Case(
        lambda: with_outline(b"<</Title(a) /Parent 7 0 R /First 7 0 R /Last 7 0 R /Next 7 0 R>>"), finds=WORDS
    ),
    "outline_of_a_huge_title.pdf": Case(
        lambda: with_outline(b"<</Title(" + b"word " * 400_000 + b") /Parent 6 0 R /Dest[3 0 R /Fit]>>"), finds=WORDS
    ),
    # encrypted
    "encrypted.pdf": Case(lambda: encrypted("secret"), "encrypted: it opens only with a password"),
    "encrypted_without_password.pdf": Case(lambda: encrypted(""), finds=WORDS),
    "encrypted_by_nobody.pdf": Case(
        changed(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt<</Filter/Nobody /V 9>>"),
        "encrypted by a method that is not known",
    ),
    # no PDF at all
    "zero_bytes.pdf": Case(lambda: b"", EMPTY),
    "picture.pdf": Case(lambda: PICTURE, r"not a PDF: the file begins with '\\x89PNG.*"),
    "noise.pdf": Case(lambda: zlib.compress(bytes(range(256)) * 9) * 9, "not a PDF: the file begins with .+"),
    "noise_with_header.pdf": Case(lambda: b"%PDF-1.7\n" + bytes(range(1, 256)) * 40, CUT_OFF),
    "nul_bytes.pdf": Case(lambda: b"%PDF-1.7\n" + bytes(100_000), CUT_OFF),
    "words_before_header.pdf": Case(lambda: b"mail header\n" * 40 + one_page(), finds=WORDS),
}


# -- text, Markdown, HTML --------------------------------------------------------------------------------------------

TEXTS: dict[str, Case] = {
    "zero_bytes.txt": Case(lambda: b"", EMPTY),
    "zero_bytes.md": Case(lambda: b"", EMPTY),
    "zero_bytes.html": Case(lambda: b"", EMPTY),
    "picture.txt": Case(lambda: PICTURE, "not a text file: a NUL byte at byte 8"),
    "picture.md": Case(lambda: PICTURE, "not a text file: a NUL byte at byte 8"),
    "picture.html": Case(lambda: PICTURE, "not an HTML file: a NUL byte at byte 8"),
    "nul_at_the_end.txt": Case(lambda: WORDS.encode() + b"\0", f"not a text file: a NUL byte at byte {len(WORDS)}"),
    "utf16.txt": Case(lambda: WORDS.encode("utf-16-be"), "not a text file: a NUL byte at byte 0"),
    "byte_order_mark.txt": Case(lambda: WORDS.encode("utf-8-sig"), finds=WORDS),
    "latin1.txt": Case(lambda: "Größe".encode("latin-1"), "not UTF-8: byte 2 is 0xf6; convert the file to UTF-8"),
    "shift_jis.txt": Case(lambda: "日本語".encode("shift_jis"), "not UTF-8: byte 0 is 0x93; convert the file to UTF-8"),
    "cut_in_a_character.txt": Case(lambda: "Ä".encode()[:1], "not UTF-8: byte 0 is 0xc3; convert the file to UTF-8"),
    "controls.txt": Case(lambda: b"\x01\x02word" * 99, "not a text file: more than 5 % control characters"),
    "blanks.txt": Case(lambda: b" \n\t\r\n\x0c" * 500, "the file has no text, only white space"),
    "rules.txt": Case(lambda: b"----------\n" * 500, finds="-----"),
    "hundred_megabytes.txt": Case(
        lambda: b"word " * 20_000_000, "100000000 characters of text, more than the limit of 50000000"
    ),
    "one_word.txt": Case(lambda: b"x" * 2_000_000, finds="xxx"),
    "newlines.txt": Case(lambda: b"first" + b"\n" * 500_000 + b"last", finds="last"),
    "form_feeds.txt": Case(lambda: b"first" + b"\f" * 5000 + b"last", "5001 pages, more than the limit of 5000"),
    "dots.txt": Case(lambda: b"Contents\n\n" + (b". " * 5000 + b"x\n") * 20, finds="Contents"),
    "combining.txt": Case(lambda: ("a" + "\u0301" * 100_000).encode(), finds="a\u0301"),
    "turned_round.txt": Case(lambda: ("\u202e" * 5000 + WORDS).encode(), finds=WORDS),
    "deep_quotes.md": Case(lambda: b"> " * 5000 + WORDS.encode(), finds=WORDS),
    "deep_lists.md": Case(lambda: b"".join(b" " * (2 * n) + b"- x\n" for n in range(1500)), finds="- x"),
    "brackets.md": Case(lambda: b"[" * 20_000 + WORDS.encode(), finds=WORDS),
    "emphasis.md": Case(lambda: b"*a **b " * 20_000, finds="**b"),
    "backticks.md": Case(lambda: b"".join(b"`" * n + b" " for n in range(1, 700)), finds="``"),
    "front_matter_without_end.md": Case(lambda: b"---\n" + b"a: b\n" * 50_000 + WORDS.encode(), finds=WORDS),
    "deep.html": Case(lambda: b"<div>" * 100_000, "elements are nested more than 400 deep"),
    "deep_lists.html": Case(lambda: b"<ul><li>x" * 50_000, "elements are nested more than 400 deep"),
    "deep_tables.html": Case(lambda: b"<table><tr><td>x" * 5000, "elements are nested more than 400 deep"),
    "comments_only.html": Case(lambda: b"<!-- x -->" * 10_000, "the page has no text"),
    "scripts_only.html": Case(lambda: b"<script>alert('x')</script>" * 1000, "the page has no text"),
    "tag_without_end.html": Case(lambda: b"<p" * 20_000, finds="<p"),
    "comment_without_end.html": Case(lambda: WORDS.encode() + b"<!--" * 20_000, finds=WORDS),
    "million_attributes.html": Case(lambda: b"<p " + b"a=b " * 200_000 + b">" + WORDS.encode(), finds=WORDS),
    "references.html": Case(lambda: b"<p>" + b"&nbsp;&#x1F600;&bogus;&#99999999999;" * 20_000, finds="bogus"),
    "wide_cells.html": Case(
        lambda: b"<table><tr><td colspan=999999999 rowspan=999999999>" + WORDS.encode() + b"</table>", finds=WORDS
    ),
    "entity_bomb.xhtml": Case(
        lambda: entity_bomb() + b"<html><body><p>" + WORDS.encode() + b" &i;</p></body></html>", finds=WORDS
    ),
    "foreign_entity.xhtml": Case(
        lambda: (
            b'<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><p>' + WORDS.encode() + b" &x;</p></html>"
        ),
        finds=WORDS,
    ),
}

# -- office formats --------------------------------------------------------------------------------------------------

REQIF_HEAD = """<?xml version="1.0" encoding="UTF-8"?>%s
<REQ-IF xmlns="http://www.omg.org/spec/ReqIF/20110401/reqif.xsd" xmlns:h="http://www.w3.org/1999/xhtml">
<THE-HEADER><REQ-IF-HEADER IDENTIFIER="x"><TITLE>Brake system</TITLE></REQ-IF-HEADER></THE-HEADER>
<CORE-CONTENT><REQ-IF-CONTENT><DATATYPES><DATATYPE-DEFINITION-ENUMERATION IDENTIFIER="d"><SPECIFIED-VALUES>
<ENUM-VALUE IDENTIFIER="high" LONG-NAME="high"/></SPECIFIED-VALUES></DATATYPE-DEFINITION-ENUMERATION></DATATYPES>
<SPEC-TYPES><SPEC-OBJECT-TYPE IDENTIFIER="t"><SPEC-ATTRIBUTES>
<ATTRIBUTE-DEFINITION-STRING IDENTIFIER="id" LONG-NAME="ReqIF.ForeignID"/>
<ATTRIBUTE-DEFINITION-STRING IDENTIFIER="chapter" LONG-NAME="ReqIF.ChapterName"/>
<ATTRIBUTE-DEFINITION-XHTML IDENTIFIER="text" LONG-NAME="ReqIF.Text"/>
<ATTRIBUTE-DEFINITION-ENUMERATION IDENTIFIER="priority" LONG-NAME="Priority"/>
</SPEC-ATTRIBUTES></SPEC-OBJECT-TYPE></SPEC-TYPES>"""


def requirement(identifier: str, number: str = "", xhtml: str = "", chapter: str = "", priority: str = "") -> str:
    """Return a SPEC-OBJECT of ReqIF."""
    values = ""
    for name, value in (("id", number), ("chapter", chapter)):
        if value:
            values += f'<ATTRIBUTE-VALUE-STRING THE-VALUE="{value}">{_defined("STRING", name)}</ATTRIBUTE-VALUE-STRING>'
    if xhtml:
        tagged = re.sub(r"<(/?)(?=\w)", r"<\1h:", xhtml)
        values += f"<ATTRIBUTE-VALUE-XHTML>{_defined('XHTML', 'text')}<THE-VALUE><h:div>{tagged}</h:div></THE-VALUE>"
        values += "</ATTRIBUTE-VALUE-XHTML>"
    if priority:
        values += f"<ATTRIBUTE-VALUE-ENUMERATION>{_defined('ENUMERATION', 'priority')}<VALUES>"
        values += f"<ENUM-VALUE-REF>{priority}</ENUM-VALUE-REF></VALUES></ATTRIBUTE-VALUE-ENUMERATION>"
    return f'<SPEC-OBJECT IDENTIFIER="{identifier}"><VALUES>{values}</VALUES></SPEC-OBJECT>'


def _defined(kind: str, name: str) -> str:
    reference = f"ATTRIBUTE-DEFINITION-{kind}-REF"
    return f"<DEFINITION><{reference}>{name}</{reference}></DEFINITION>"


def reqif(objects: str, tree: str = "", doctype: str = "") -> bytes:
    """Return a ReqIF file of these SPEC-OBJECTs and this hierarchy."""
    specification = f'<SPECIFICATION IDENTIFIER="s" LONG-NAME="S"><CHILDREN>{tree}</CHILDREN></SPECIFICATION>'
    return (
        REQIF_HEAD.replace("%s", doctype)
        + f"<SPEC-OBJECTS>{objects}</SPEC-OBJECTS><SPECIFICATIONS>{specification}</SPECIFICATIONS>"
        + "</REQ-IF-CONTENT></CORE-CONTENT></REQ-IF>"
    ).encode()


def word(body: bytes | None = None, **more: bytes) -> bytes:
    """Return a Word document by python-docx, its document.xml replaced by ``body``; ``more`` are files put beside."""
    out = io.BytesIO()
    document = docx.Document()
    document.add_paragraph(WORDS)
    document.save(out)
    return rezipped(out.getvalue(), {"word/document.xml": body} if body else {}, more)


def workbook(sheet: bytes | None = None, **more: bytes) -> bytes:
    """Return a workbook by openpyxl, its first sheet's XML replaced."""
    out = io.BytesIO()
    book = openpyxl.Workbook()
    book.active.append(["ID", "Text"])
    book.active.append(["R-1", WORDS])
    book.save(out)
    return rezipped(out.getvalue(), {"xl/worksheets/sheet1.xml": sheet} if sheet else {}, more)


def rezipped(data: bytes, changed: dict[str, bytes], more: dict[str, bytes]) -> bytes:
    """Zip anew with some entries changed and some more."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, changed.get(name) or old.read(name))
        for name, content in more.items():
            new.writestr(name, content)
    return out.getvalue()


def many_entries(count: int) -> bytes:
    """Return a ZIP file of so many empty files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(count):
            archive.writestr(str(number), b"")
    return out.getvalue()


def encrypted_zip() -> bytes:
    """Return a ZIP file whose entries say that they are encrypted."""
    data = bytearray(word())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
PARAGRAPH = b"<w:p><w:r><w:t>%s</w:t></w:r></w:p>" % WORDS.encode()
ROW = b'<row r="%d"><c r="%s%d" t="inlineStr"><is><t>%s</t></is></c></row>'
ENTITIES = "the XML has a document type with entities of its own: refused"
ENTITY_TYPE = entity_bomb().partition(b"?>")[2].decode().replace("DOCTYPE html", "DOCTYPE x")

OFFICE: dict[str, Case] = {
    "zero_bytes.docx": Case(lambda: b"", EMPTY),
    "picture.docx": Case(lambda: PICTURE, r"not a ZIP file: it begins with '\\x89PNG.+"),
    "cut.docx": Case(lambda: word()[:-200], "damaged ZIP file: .+"),
    "with_password.docx": Case(
        lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(999), "encrypted with a password, or of a format older .+"
    ),
    "encrypted_entries.docx": Case(encrypted_zip, "the ZIP file is encrypted"),
    "many_entries.docx": Case(
        lambda: many_entries(20_001), "20001 files in the ZIP file, more than the limit of 20000"
    ),
    "bomb.docx": Case(lambda: word(media=bytes(250_000_000)), r"unpacks to \d+ MB, more than the limit of 200 MB"),
    "bomb.xlsx": Case(lambda: workbook(media=bytes(250_000_000)), r"unpacks to \d+ MB, more than the limit of 200 MB"),
    "workbook.docx": Case(workbook, "not a Word document: a ZIP file of something else"),
    "document.xlsx": Case(word, "damaged workbook: File contains no valid workbook part"),
    "damaged_xml.docx": Case(lambda: word(b"<w:document"), "damaged Word document: .+"),
    "damaged_xml.xlsx": Case(lambda: workbook(b"<worksheet"), "damaged workbook: .+"),
    "entity_bomb.docx": Case(
        lambda: word(
            b"%s<w:document %s><w:body>%s<w:p><w:r><w:t>&h;</w:t></w:r></w:p></w:body></w:document>"
            % (ENTITY_TYPE.encode(), W, PARAGRAPH)
        ),
        "damaged Word document: Maximum entity amplification factor exceeded.+",
    ),
    "entity_bomb.xlsx": Case(
        lambda: workbook(
            b"%s<worksheet %s><sheetData><row><c><v>&h;</v></c></row></sheetData></worksheet>"
            % (ENTITY_TYPE.encode(), S)
        ),
        ENTITIES,
    ),
    "entity_bomb.reqif": Case(lambda: reqif(requirement("o", "R-1", "&h;"), doctype=ENTITY_TYPE), ENTITIES),
    "foreign_entity.reqif": Case(
        lambda: reqif(requirement("o", "R-1", "&x;"), doctype='<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        ENTITIES,
    ),
    "deep_tables.docx": Case(
        lambda: word(b"<w:document %s><w:body>%s</w:body></w:document>" % (W, b"<w:tbl><w:tr><w:tc>" * 5000)),
        "damaged Word document: .+",
    ),
    "wide_cells.docx": Case(
        lambda: word(
            b'<w:document %s><w:body><w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr>%s</w:tc>'
            b"</w:tr><w:tr><w:tc>%s</w:tc></w:tr></w:tbl></w:body></w:document>" % (W, PARAGRAPH, PARAGRAPH)
        ),
        finds=WORDS,
    ),
    "last_cell_of_all.xlsx": Case(
        lambda: workbook(
            b'<worksheet %s><dimension ref="A1:XFD1048576"/><sheetData>%s%s</sheetData></worksheet>'
            % (S, ROW % (1, b"A", 1, WORDS.encode()), ROW % (1048576, b"XFD", 1048576, b"x"))
        ),
        finds=WORDS,
    ),
    "no_text.docx": Case(lambda: word(b"<w:document %s><w:body/></w:document>" % W), "the document has no text"),
    "no_text.xlsx": Case(lambda: workbook(b"<worksheet %s><sheetData/></worksheet>" % S), "the workbook has no text"),
    "noise.reqif": Case(lambda: PICTURE, "damaged XML: .+"),
    "cut.reqif": Case(lambda: reqif(requirement("o", "R-1", WORDS))[:-20], "damaged XML: .+"),
    "other.reqif": Case(lambda: b"<html/>", "not a ReqIF file: its root is <html>"),
    "deep.reqif": Case(
        lambda: reqif(
            requirement("o", "R-1", WORDS),
            "<SPEC-HIERARCHY><OBJECT><SPEC-OBJECT-REF>o</SPEC-OBJECT-REF></OBJECT><CHILDREN>" * 2000
            + "</CHILDREN></SPEC-HIERARCHY>" * 2000,
        ),
        "requirements are nested more than 400 deep",
    ),
    "no_reqif.reqifz": Case(lambda: many_entries(3), r"no \.reqif file in the ZIP file"),
    "picture.reqifz": Case(lambda: PICTURE, r"not a ZIP file: it begins with .+"),
}

CORPUS = PDFS | TEXTS | OFFICE
