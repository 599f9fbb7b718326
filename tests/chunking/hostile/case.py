"""What a damaged or hostile file is, how reading it must end, and what such files of several kinds share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
