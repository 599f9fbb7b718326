"""Releases: what search reads, named by one pointer that is replaced atomically.

A release is a generation's content, one query-encoder version for each encoder, the fusion and the re-ranker's version.
``releases/<id>.json`` is written once; ``releases/CURRENT`` names the served one. Publishing and rolling back rename
a new CURRENT over the old, so that a reader sees the old release or the new one and never a mixture.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from indexing.geometry import COSINE, Geometry
from indexing.home import Home, SpecmineError, read_json, remove_partials, write_json

BASE = "base"
_RELEASE_ID = re.compile(r"r\d{4,9}")


@dataclass(frozen=True)
class Fusion:
    """How the sources' lists become one: a method of ``indexing.fusion.FUSIONS`` and a weight for each source.

    Sources without a weight take no part.
    """

    method: str
    weights: dict[str, float]


@dataclass(frozen=True)
class Reranker:
    """How a cross-encoder re-orders the head of a fused list.

    ``name`` is that of the configured cross-encoder, ``version`` one that was trained from it or ``base`` for it as
    published. The first ``depth`` passages are scored; what orders them is the mean of their fused scores and the
    cross-encoder's, which weighs ``weight`` (0 to 1), each put on one scale by ``scale``, a name of
    ``indexing.reranking.SCALES``. Queries of other languages than ``languages`` (ISO 639-1), in which it was proven,
    are left as they are; None: of all that the cross-encoder reads.
    """

    name: str
    version: str = BASE
    weight: float = 0.5
    scale: str = "minmax"
    depth: int = 20
    languages: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Release:
    """One state of the whole search: ``encoders`` maps each encoder to its query version, ``base`` when untrained.

    ``geometry`` is that of the encoders whose documents are not found by the cosine. ``previous`` is the release that
    was served when this one was published, and where ``rollback`` goes.
    """

    generation: str
    content: int
    encoders: dict[str, str]
    fusion: Fusion
    reranker: Reranker | None = None
    note: str = ""
    id: str = ""
    created: str = ""
    previous: str | None = None
    geometry: dict[str, Geometry] = field(default_factory=dict)

    def geometry_of(self, encoder: str) -> Geometry:
        """Return by what an encoder's documents are found."""
        return self.geometry.get(encoder, COSINE)

    def searches_like(self, other: Release) -> bool:
        """Tell whether the two search in the same way and in the same index, whatever documents it has."""
        return self._without_documents() == other._without_documents()

    def _without_documents(self) -> Release:
        return replace(self, content=0, note="", id="", created="", previous=None)


def publish(home: Home, release: Release) -> Release:
    """Give ``release`` the next id, write it and make it the served one. Returns it with id, time and predecessor.

    Raises LockedHomeError, and publishes nothing, when another writer took the place of this one.
    """
    with home.published():
        remove_partials(home.releases)
        served = current(home)
        number = 1 + max((int(path.stem[1:]) for path in _files(home)), default=0)
        numbered = replace(
            release,
            id=f"r{number:04d}",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            previous=served.id if served else None,
        )
        write_json(home.releases / f"{numbered.id}.json", asdict(numbered))
        _point_to(home, numbered.id)
    return numbered


def current(home: Home) -> Release | None:
    """Return the served release, or None when nothing was published yet."""
    pointer = home.releases / "CURRENT"
    if not pointer.exists():
        return None
    return read_release(home, str(read_json(pointer)["release"]))


def served(home: Home) -> Release:
    """Return the served release. Raises SpecmineError when nothing is indexed yet."""
    release = current(home)
    if release is None:
        raise SpecmineError(f"nothing is indexed in {home.root} yet: run `specmine ingest PATH` first")
    return release


def read_release(home: Home, release_id: str) -> Release:
    """Return one release. Raises SpecmineError when there is none of that id."""
    path = home.releases / f"{release_id}.json"
    if not _RELEASE_ID.fullmatch(release_id) or not path.exists():
        known = ", ".join(release.id for release in list_releases(home)[-5:]) or "none"
        raise SpecmineError(f"there is no release {release_id!r}; the latest are: {known}")
    content: dict[str, Any] = read_json(path)
    reranker = content.get("reranker")
    if isinstance(reranker, str):  # as releases told it before a re-ranker had versions
        reranker = {"name": reranker}
    if reranker is not None:
        languages = reranker.get("languages")
        reranker = Reranker(**{**reranker, "languages": None if languages is None else tuple(languages)})
    geometry = {name: Geometry(**fields) for name, fields in content.get("geometry", {}).items()}
    fusion = Fusion(**content["fusion"])
    return Release(**{**content, "fusion": fusion, "reranker": reranker, "geometry": geometry})


def list_releases(home: Home) -> list[Release]:
    """Return all releases, oldest first."""
    return [read_release(home, path.stem) for path in sorted(_files(home), key=lambda path: int(path.stem[1:]))]


def rollback(home: Home) -> Release:
    """Serve again the release that was served before the present one, and return it."""
    release = served(home)
    if release.previous is None:
        raise SpecmineError(f"release {release.id} is the first one: there is nothing to roll back to")
    previous = read_release(home, release.previous)
    with home.published():
        _point_to(home, previous.id)
    return previous


def _point_to(home: Home, release_id: str) -> None:
    write_json(home.releases / "CURRENT", {"release": release_id})


def _files(home: Home) -> list[Path]:
    return [path for path in home.releases.glob("r*.json") if _RELEASE_ID.fullmatch(path.stem)]
