"""Hostile text, Markdown and HTML."""

from __future__ import annotations

from tests.chunking.hostile.case import EMPTY, PICTURE, WORDS, Case, entity_bomb

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
