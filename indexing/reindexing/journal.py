"""The re-index that is under way: begun and not published yet, whether it runs, was interrupted or was found worse.

Until it is published, the served index is another than the configured one; ingests go on with the served one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from indexing.home import Home, read_json, write_json

_FILE = "reindex.json"


@dataclass(frozen=True)
class UnderWay:
    """``generation`` is being built since ``began`` (UTC, ISO 8601); ``refused`` says why it was not published."""

    generation: str
    began: str
    refused: tuple[str, ...] = ()


def begin(home: Home, generation_id: str) -> None:
    """Note that a re-index to this generation is under way; one that was interrupted keeps its beginning."""
    before = under_way(home)
    same = before is not None and before.generation == generation_id
    began = before.began if before and same else datetime.now(UTC).isoformat(timespec="seconds")
    write_json(home.root / _FILE, asdict(UnderWay(generation_id, began)))


def refuse(home: Home, reasons: Sequence[str]) -> None:
    """Note why what was built is not published."""
    before = under_way(home)
    if before is not None:
        write_json(home.root / _FILE, asdict(UnderWay(before.generation, before.began, tuple(reasons))))


def end(home: Home) -> None:
    """Note that it is published."""
    (home.root / _FILE).unlink(missing_ok=True)


def under_way(home: Home) -> UnderWay | None:
    """Return the re-index that is under way, None without one."""
    path = home.root / _FILE
    if not path.exists():
        return None
    saved = read_json(path)
    return UnderWay(saved["generation"], saved["began"], tuple(saved["refused"]))
