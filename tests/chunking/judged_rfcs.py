"""The sections of RFCs that were judged: where each begins and ends, found without the reader."""

from __future__ import annotations

import json
from pathlib import Path

from chunking.sections import parse_numbered


def sections(folder: Path) -> dict[str, set[tuple[str, int, int]]]:
    """Return document → judged (section number, start, end)."""
    found: dict[str, set[tuple[str, int, int]]] = {}
    for split in ("train", "dev"):
        for line in (folder / f"judgements.{split}.jsonl").read_text(encoding="utf-8").splitlines():
            judged = json.loads(line)
            found.setdefault(judged["document"], set()).add((judged["section"], judged["start"], judged["end"]))
    return found


def number_of(heading: str) -> str:
    """Return a heading's number as judgements write it ("4.2.1", "A.3"); "" where it has none."""
    found = parse_numbered(heading)
    return ".".join(chr(part - 1000 + 64) if part > 1000 else str(part) for part in found.number) if found else ""
