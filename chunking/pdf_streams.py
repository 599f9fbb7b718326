"""What a PDF's streams tell without a parser: bombs, before one holds them in memory, and the number of page objects.

Streams lie in the file one after another, whatever the cross-references say, so no parser is needed to find them. Those
of an encrypted file, and those packed with LZW, are not looked into: the limit on memory is left to end them.
"""

from __future__ import annotations

import base64
import mmap
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from chunking.document import UnreadableError
from chunking.limits import ReadLimits

_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_OBJECT = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+obj\b")
_FILTER = re.compile(rb"/(FlateDecode|Fl|ASCII85Decode|A85|ASCIIHexDecode|AHx)\b")
_IMAGE = re.compile(rb"/Subtype\s*/Image\b")
_OBJECTS = re.compile(rb"/Type\s*/ObjStm\b")
_OBSCURE = re.compile(rb"/(?:Predictor|LZWDecode|LZW|Crypt)\b")
_PAGE = re.compile(rb"/Type\s*/Page\b")
_ESCAPE = re.compile(rb"#([0-9a-fA-F]{2})")  # PDF 32000-1, 7.3.5: any character of a name may be written so
_LONGEST_HEAD = 4096
_LONGEST_NUMBER = 20  # characters of an object's number and generation
_MOST_PACKINGS = 8  # writers use one, at most two
_DEFLATE = 1032  # times: the most that deflate packs into one byte
_AT_ONCE = 1 << 20


def refuse_bombs(path: Path, limits: ReadLimits) -> None:
    """Raise UnreadableError where a stream unpacks to more than the limit. Pictures are left out: nobody unpacks them.

    It costs little: only what is large enough to reach the limit at deflate's best is unpacked, and not kept.
    """
    limit = limits.unpacked_megabytes * 1_000_000
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for match in _STREAM.finditer(data):
            head = _head(data, match.start())
            filters = _FILTER.findall(head)
            packings = sum(name.startswith(b"Fl") for name in filters)
            if packings > _MOST_PACKINGS:
                raise UnreadableError(f"{_name(head)} is packed {packings} times over")
            end = _end(data, match.end())
            if not packings or (end - match.end()) * _DEFLATE**packings <= limit or _IMAGE.search(head):
                continue
            unpacked = 0
            for part in _unpacked(data, match.end(), end, filters):
                unpacked += len(part)
                if unpacked > limit:
                    raise UnreadableError(f"{_name(head)} unpacks to more than {limits.unpacked_megabytes} MB")


def count_page_objects(data: bytes) -> int | None:
    """Return how many objects call themselves a page: the document's pages, and what stays of earlier versions.

    None where some of them may be hidden, in an encrypted file for one.
    """
    if b"/Encrypt" in data:
        return None
    count = len(_PAGE.findall(data))
    for match in _STREAM.finditer(data):
        head = _head(data, match.start())
        if not _OBJECTS.search(head):
            continue
        if _OBSCURE.search(head):
            return None
        objects = b"".join(_unpacked(data, match.end(), _end(data, match.end()), _FILTER.findall(head)))
        count += len(_PAGE.findall(objects))
    return count


def _end(data: bytes | mmap.mmap, start: int) -> int:
    end = data.find(b"endstream", start)
    return len(data) if end < 0 else end


def _head(data: bytes | mmap.mmap, end: int) -> bytes:
    """Return the stream's dictionary from its object's number on, names written plainly."""
    head = data[max(0, end - _LONGEST_HEAD) : end]
    begins = [match.start() for match in _OBJECT.finditer(head, max(0, head.rfind(b" obj") - _LONGEST_NUMBER))]
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), head[begins[-1] :] if begins else head)


def _name(head: bytes) -> str:
    match = _OBJECT.match(head)
    return f"the stream of object {int(match[1])}" if match else "a stream"


def _unpacked(data: bytes | mmap.mmap, start: int, end: int, filters: list[bytes]) -> Iterable[bytes]:
    """Return the stream's bytes through all its filters, as far as they are sound, in parts."""
    parts: Iterable[bytes] = (data[at : min(at + _AT_ONCE, end)] for at in range(start, end, _AT_ONCE))
    for name in filters:
        parts = _inflated(parts) if name.startswith(b"Fl") else _from_ascii(parts, name)
    return parts


def _inflated(parts: Iterable[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    for part in parts:
        rest = part
        while rest and not inflate.eof:
            try:
                yield inflate.decompress(rest, _AT_ONCE)
            except zlib.error:
                return
            rest = inflate.unconsumed_tail


def _from_ascii(parts: Iterable[bytes], name: bytes) -> Iterator[bytes]:
    text = b"".join(b"".join(parts).split())
    try:
        if name in (b"ASCII85Decode", b"A85"):
            yield base64.a85decode(text.partition(b"~")[0])
        else:
            yield bytes.fromhex(text.partition(b">")[0].decode("ascii"))
    except ValueError:
        return
