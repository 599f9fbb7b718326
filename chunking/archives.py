"""The ZIP files that office formats are, opened only where unpacking them stays within limits."""

from __future__ import annotations

import zipfile
from pathlib import Path

from chunking.document import UnreadableError
from chunking.limits import ReadLimits

_MOST_ENTRIES = 20_000
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what office files with a password, and those before 2007, begin with
_ENCRYPTED = 1  # flag bit of an entry


def open_archive(path: Path, limits: ReadLimits) -> zipfile.ZipFile:
    """Open a ZIP file. Raises UnreadableError where it is none, encrypted, damaged or unpacks to more than the limit.

    The sizes that the directory tells can be believed: of an entry no more is ever unpacked.
    """
    with path.open("rb") as file:
        head = file.read(8)
    if head == _OLE:
        raise UnreadableError("encrypted with a password, or of a format older than 2007: save it anew without")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:  # the last for versions not known to it
        if head[:2] == b"PK":
            raise UnreadableError(f"damaged ZIP file: {error}") from None
        raise UnreadableError(f"not a ZIP file: it begins with {ascii(head)[1:]}") from None
    entries = archive.infolist()
    if len(entries) > _MOST_ENTRIES:
        raise UnreadableError(f"{len(entries)} files in the ZIP file, more than the limit of {_MOST_ENTRIES}")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise UnreadableError("the ZIP file is encrypted")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.unpacked_megabytes * 1_000_000:
        size = f"{unpacked / 1e6:.0f} MB"
        raise UnreadableError(f"unpacks to {size}, more than the limit of {limits.unpacked_megabytes} MB")
    return archive
