"""Damaged and hostile PDFs, written by hand."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import pypdf

from tests.chunking.hostile.case import EMPTY, PICTURE, WORDS, Case

MEGABYTE = 1024 * 1024


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
