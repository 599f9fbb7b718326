"""What is seen in a home after a fault: what it answers, what it holds, what a run left over.

Ids that hold a time, and numbers that a killed run used up, are left out.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.leases import Leases
from flows.opened import catalogue
from flows.settings import Settings
from indexing.generations import open_store, read_generation
from indexing.home import PARTIAL_SUFFIX, Home, read_json
from indexing.releases import BASE, current, list_releases, read_release
from indexing.search import Searcher
from mining.ledger import list_ledgers, read_manifest
from samples import corpus
from training.versions import list_versions, read_version

ASKED = 6  # queries that are searched for after each fault
DEPTH = 10
Answers = dict[str, list[list[Any]]]
State = dict[str, Any]


def served_answers(settings: Settings) -> Answers | None:
    """Open the served release as a new process would, and search; None where nothing is served yet.

    Raises whatever a user would meet, and ValueError where a result is not of the release.
    """
    home = settings.open_home()
    if current(home) is None:
        return None
    searcher = Searcher.open(home, settings.index())
    try:
        known, answers = set(searcher.chunk_ids), {}
        for row in corpus.queries("test")[:: len(corpus.queries("test")) // ASKED][:ASKED]:
            found = searcher.search(row["text"], DEPTH)
            answers[row["id"]] = [[result.chunk.id, round(result.score, 5)] for result in found.results]
            if found.release != searcher.release.id or not known.issuperset(chunk for chunk, _ in answers[row["id"]]):
                raise ValueError(f"{row['id']} was answered with passages that are not of {searcher.release.id}")
        if not any(answers.values()):
            raise ValueError("nothing was found")
        return answers
    finally:
        searcher.close()


def state_of(settings: Settings) -> State:
    """Return what a home holds, as JSON-able values that an undisturbed run would leave alike."""
    home = settings.open_home()
    searcher = Searcher.open(home, settings.index())
    try:
        release = searcher.release
        indexed = {name: asdict(entry) for name, entry in sorted(searcher.documents.items())}
        state = {
            "answers": served_answers(settings),
            "documents": indexed,
            "chunks": _digest(sorted(searcher.chunks)),
            "vectors": {name: searcher.vector_checksum(name) for name in searcher.generation.names},
            "generation": release.generation,
            "encoders": {name: _version(home, version) for name, version in release.encoders.items()},
            "fusion": asdict(release.fusion),
            "reranker": asdict(release.reranker) if release.reranker else None,
        }
    finally:
        searcher.close()
    with catalogue(settings) as book:
        queries = {split: len(book.queries(split)) for split in corpus.SPLITS}
        judgements = {split: len(book.judgements(split)) for split in corpus.SPLITS}
    quarantine = home.root / "quarantine.json"
    return {
        **state,
        "versions": sorted(_version(home, version.id) for version in list_versions(home)),
        "ledger": read_manifest(home)["sha256"] if list_ledgers(home) else None,
        "quarantine": sorted(entry["document"] for entry in read_json(quarantine)) if quarantine.exists() else [],
        "queries": queries,
        "judgements": judgements,
        "stored documents": sorted(path.name for path in home.documents.iterdir()),
        "stored vectors": {
            str(path.relative_to(home.vectors)): _digest(path.read_bytes())
            for path in sorted(home.vectors.rglob("*.npy"))
        },
    }


def left_over(settings: Settings, kills: int) -> list[str]:
    """Return what a run that went on after ``kills`` kills should have cleared away, and did not."""
    home = settings.open_home()
    found = [str(path.relative_to(home.root)) for path in home.root.rglob(f"*{PARTIAL_SUFFIX}")]
    found += [str(path.relative_to(home.root)) for path in home.encoders.glob("*/unfinished-*")]
    found += [str(path.relative_to(home.root)) for path in (home.ledgers / "unfinished").glob("*/")]
    found += ["reindex.json"] if (home.root / "reindex.json").exists() else []
    release = current(home)
    if release is not None:
        contents = home.generations / release.generation / "contents"
        found += ["contents"] if len(list(contents.iterdir())) > 4 else []
    for what, number in (("ledgers", len(list_ledgers(home))), ("releases", len(list_releases(home)))):
        found += [f"{number} {what}"] if number > kills + 6 else []
    with catalogue(settings) as book:
        leases = Leases(book)
        dead = leases.dead()  # whoever wants it next takes its place at once
        found += [f"lease {lease}" for lease in leases.held() if lease not in dead or lease.name.startswith("run ")]
    return found


def has_contents(settings: Settings) -> list[str]:
    """Return the releases that a rollback would come to first and whose content is gone."""
    home = settings.open_home()
    release = current(home)
    if release is None or release.previous is None:
        return []
    before = read_release(home, release.previous)
    store = open_store(home, read_generation(home, before.generation), settings.index().qdrant)
    return [] if store.has(before.content) else [before.id]


def documents_in(settings: Settings, documents: Path, report: dict[str, Any]) -> str | None:
    """Return what is wrong with an ingest's account: every file is indexed, unchanged, renamed or in quarantine."""
    files = len(list(documents.iterdir()))
    counted = report["documents"]
    told = sum(counted[name] for name in ("indexed", "renamed", "unchanged", "quarantined"))
    return None if told == files else f"{files} files, and {told} accounted for: {counted}"


def _version(home: Home, version_id: str) -> str:
    if version_id == BASE:
        return BASE
    version = read_version(home, version_id)
    return f"{version.encoder} {version.sha256} {version.verdict.get('promoted')}"


def _digest(content: bytes | list[str]) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else "\n".join(content).encode()).hexdigest()
