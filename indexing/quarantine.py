"""Documents that could not be read, with the reason: kept until they can be, or are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from indexing.home import Home, read_json, write_json

_FILE = "quarantine.json"


@dataclass(frozen=True)
class Quarantined:
    """A document that could not be read. ``content_hash`` is empty where not even the bytes could be.

    ``when`` is the time (UTC, ISO 8601) at which it was first met as it is, empty where that was not written down.
    ``tried`` names the bytes, the reader and the limits of the attempt: until one of them changes, there is no other.
    """

    document: str
    reason: str
    page: int | None
    source: str
    content_hash: str = ""
    when: str = ""
    tried: str = ""


def read_quarantine(home: Home) -> dict[str, Quarantined]:
    """Return the documents that could not be read when they were last met, by id."""
    path = home.root / _FILE
    if not path.exists():
        return {}
    return {entry["document"]: Quarantined(**entry) for entry in read_json(path)}


def write_quarantine(home: Home, entries: Sequence[Quarantined], met: set[str], removed: Sequence[str]) -> None:
    """Keep what could not be read; what was met again and read, or is gone, leaves the list."""
    forgotten = met | set(removed)
    before = {name: entry for name, entry in read_quarantine(home).items() if name not in forgotten}
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    now = {**before, **{entry.document: replace(entry, when=entry.when or moment) for entry in entries}}
    write_json(home.root / _FILE, [asdict(now[name]) for name in sorted(now)])
