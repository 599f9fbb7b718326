"""The registry of re-ranker versions: models, what made them, how they are put together with the fusion, the verdicts.

``rerankers/<version>/`` holds ``manifest.json`` (a RerankerVersion) and ``model/``, a directory that
``sentence_transformers.CrossEncoder`` and transformers load as it is. Ids begin with the UTC time, so that they sort by
age. Every version is kept, promoted or not, and its model never changes; ``outcome.json`` beside it is what its last
judging found.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chunking.document import sha256_file
from indexing.encoders.cross import CrossEncoder, save_cross_encoder
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, write_artifact, write_json
from indexing.releases import Reranker
from indexing.reranking import MODEL
from training.versions import WEIGHTS

_OUTCOME = "outcome.json"
_VERSION_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True)
class RerankerVersion:
    """One trained re-ranker.

    ``name`` is that of the cross-encoder it was trained from, ``base_fingerprint`` its weights; ``max_tokens`` and
    ``languages`` are what it reads. ``job`` is the hash of all that determines its weights; ``lineage`` tells them
    apart (release, ledger, settings with seed, hashes and counts of the data); ``training`` how the run went;
    ``sha256`` is that of the weights.
    """

    name: str
    base_fingerprint: str
    max_tokens: int
    languages: tuple[str, ...]
    job: str
    lineage: dict[str, Any]
    training: dict[str, Any]
    id: str = ""
    created: str = ""
    sha256: str = ""


def register(home: Home, version: RerankerVersion, encoder: CrossEncoder) -> RerankerVersion:
    """Write the model with ``version``, whole or not at all. Returns it with its id, time and checksum."""
    now = datetime.now(UTC)
    named = replace(version, id=f"{now:%Y%m%dT%H%M%S}-{version.job[:4]}", created=now.isoformat(timespec="seconds"))
    with write_artifact(home.rerankers / named.id) as partial:
        (partial / MODEL).mkdir()
        save_cross_encoder(encoder, partial / MODEL, str(version.lineage.get("ledger")))
        named = replace(named, sha256=sha256_file(partial / MODEL / WEIGHTS))
        write_json(partial / MANIFEST, asdict(named))
    return named


def list_rerankers(home: Home) -> list[RerankerVersion]:
    """Return all versions, oldest first. A damaged one is passed over."""
    found = []
    for folder in sorted(home.rerankers.iterdir()):
        if _VERSION_ID.fullmatch(folder.name) and is_whole(folder):
            try:
                found.append(_read(folder))
            except SpecmineError:
                continue  # read_reranker says what is wrong to whoever asks for it
    return found


def is_reranker(home: Home, version_id: str) -> bool:
    """Tell whether there is a re-ranker version of this id."""
    return bool(_VERSION_ID.fullmatch(version_id)) and is_whole(home.rerankers / version_id)


def read_reranker(home: Home, version_id: str) -> RerankerVersion:
    """Return the version of this id. Raises SpecmineError when there is none, or it is damaged."""
    if not is_reranker(home, version_id):
        known = ", ".join(version.id for version in list_rerankers(home)[-5:]) or "none"
        raise SpecmineError(f"there is no re-ranker version {version_id!r}; the latest are: {known}")
    version = _read(home.rerankers / version_id)
    weights = home.rerankers / version_id / MODEL / WEIGHTS
    if not weights.is_file() or sha256_file(weights) != version.sha256:
        raise SpecmineError(
            f"the weights in {weights} are missing or damaged: roll back, remove the version and retrain"
        )
    return version


def write_outcome(home: Home, version_id: str, outcome: dict[str, Any]) -> None:
    """Keep beside a version what judging it found: how it is used, and what the referee said."""
    write_json(home.rerankers / version_id / _OUTCOME, outcome)


def read_outcome(home: Home, version_id: str) -> dict[str, Any] | None:
    """Return what judging a version found, None while it was not judged."""
    path = home.rerankers / version_id / _OUTCOME
    return read_json(path) if path.is_file() else None


def as_judged(home: Home, version: RerankerVersion) -> Reranker:
    """Return how a version is used in a release: in the languages it was proven in, else in all it was judged in.

    Raises SpecmineError when it was not judged in any.
    """
    outcome = read_outcome(home, version.id)
    if outcome is None:
        raise SpecmineError(f"re-ranker {version.id} was not judged yet: run `specmine retrain --reranker` again")
    used = outcome["use"]
    judged = [name for name, verdict in outcome["verdicts"].items() if verdict]
    languages = tuple(used["languages"] or judged)
    if not languages:
        raise SpecmineError(f"re-ranker {version.id} was judged in no language: import judgements and train it again")
    return Reranker(**{**used, "languages": languages})


def export(home: Home, version_id: str, directory: Path) -> dict[str, Any]:
    """Copy a version's model to ``directory``, which must not exist, whole or not at all. Returns what was written."""
    version = read_reranker(home, version_id)
    if directory.exists():
        raise SpecmineError(f"{directory} exists: give another name, or remove it")
    partial = directory.with_name(f"{directory.name}.partial")
    try:
        shutil.copytree(home.rerankers / version_id / MODEL, partial)
        write_json(partial / "specmine.json", {**asdict(version), "outcome": read_outcome(home, version_id)})
        partial.rename(directory)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise SpecmineError(f"{directory} cannot be written: {error.strerror or error}") from None
    return {"version": version.id, "directory": str(directory), "sha256": version.sha256}


def _read(folder: Path) -> RerankerVersion:
    try:
        content = read_json(folder / MANIFEST)
        return RerankerVersion(**{**content, "languages": tuple(content["languages"])})
    except (TypeError, KeyError):
        raise SpecmineError(f"{folder / MANIFEST} is not that of a re-ranker version: remove {folder}") from None
