"""What each release holds and finds alone, noted as soon as it is served, to compare with what people were answered."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.settings import load_settings
from indexing.home import SpecmineError
from indexing.releases import Release, current
from indexing.search import Searcher

LIMIT = 10
_SAME_SCORE = 2e-6  # what six decimals can differ by
_PAUSE = 0.05

Passage = tuple[str, int, int, str]
"""A passage: its document, its span there, and the digest of its text."""


@dataclass(frozen=True)
class Noted:
    """A release as it is alone: its passages, and what it finds for the queries that are compared."""

    passages: frozenset[Passage]
    found: Mapping[str, list[dict[str, Any]]]


def passage_of(result: Mapping[str, Any]) -> Passage:
    """Return the passage of a result of ``specmine search --json``."""
    start, end = result["span"]
    return (result["document"], start, end, hashlib.blake2b(result["text"].encode(), digest_size=8).hexdigest())


def note_releases(config: Path, queries: Sequence[str], folder: Path, stop: Path) -> None:
    """Write ``folder/<release>.json`` for each release that is served until ``stop`` exists.

    A release that is gone before it could be opened is noted as ``{"gone": why}``.
    """
    settings = load_settings(config)
    home, index = settings.open_home(), settings.index()
    while not stop.exists():
        release = current(home)
        path = folder / f"{release.id}.json" if release else None
        if release is None or path is None or path.exists():
            time.sleep(_PAUSE)
            continue
        try:
            searcher = Searcher.open(home, index, release)
        except SpecmineError as error:
            path.write_text(json.dumps({"gone": str(error)}), encoding="utf-8")
            continue
        path.write_text(json.dumps(_as_it_is_alone(searcher, release, queries)), encoding="utf-8")
        searcher.close()


def _as_it_is_alone(searcher: Searcher, release: Release, queries: Sequence[str]) -> dict[str, Any]:
    chunks = searcher.chunks.values()
    passages = [passage_of({"document": c.document, "span": [c.start, c.end], "text": c.text}) for c in chunks]
    return {
        "note": release.note,
        "passages": passages,
        "found": {query: searcher.search(query, LIMIT).as_json()["results"] for query in queries},
    }


def read_noted(folder: Path) -> dict[str, Noted]:
    """Return the releases that were noted, by id; those that were gone are left out."""
    noted = {}
    for path in sorted(folder.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        if "gone" not in told:
            noted[path.stem] = Noted(frozenset(map(tuple, told["passages"])), told["found"])
    return noted


def wrong_in(answer: Mapping[str, Any], noted: Mapping[str, Noted]) -> str | None:
    """Say what is wrong in an answer, by what its release holds and finds alone; None where nothing is."""
    release = noted.get(answer["release"])
    if release is None:
        return f"names {answer['release']}, which could not be looked at"
    results = answer["results"]
    if len(results) != LIMIT:
        return f"has {len(results)} results"
    strange = sum(passage_of(result) not in release.passages for result in results)
    if strange:
        return f"has {strange} passages that are not of {answer['release']}"
    alone = release.found.get(answer["query"])
    if alone is not None and not _same(results, alone):
        return f"differs from what {answer['release']} finds alone"
    return None


def _same(results: Sequence[Mapping[str, Any]], alone: Sequence[Mapping[str, Any]]) -> bool:
    return len(results) == len(alone) and all(
        passage_of(one) == passage_of(other) and abs(one["score"] - other["score"]) <= _SAME_SCORE
        for one, other in zip(results, alone, strict=True)
    )
