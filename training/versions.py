"""The registry of query-encoder versions: weights, what made them, and the verdict on them.

``encoders/<encoder>/<version>/`` holds ``model.safetensors`` and ``manifest.json`` (an EncoderVersion). Ids begin with
the UTC time, so that they sort by age. Every version is kept, promoted or not; nothing is ever changed but that the
verdict is added once, when all versions of one retraining are there to be compared; monitoring may withdraw a version.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chunking.document import sha256_file
from indexing.geometry import COSINE, Geometry
from indexing.home import MANIFEST, Home, SpecmineError, is_whole, read_json, write_artifact, write_json
from indexing.models.fingerprints import encoder_fingerprint
from indexing.specs import EncoderSpec

if TYPE_CHECKING:  # who only lists versions does not wait for torch
    from indexing.encoders.query import QueryEncoder

WEIGHTS = "model.safetensors"

_VERSION_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True)
class EncoderVersion:
    """One retrained query encoder.

    ``document_fingerprint`` names the document vectors it belongs to. ``job`` is the hash of all that determines its
    weights: settings, queries, judgements, masks, document vectors. ``lineage`` tells them apart (release, generation,
    content, ledger, settings with seed, code, hashes and counts of the data); ``training`` how the run went;
    ``measures`` the means before and after on every part of the queries; ``verdict`` what the referee said when it was
    made, empty where the retraining ended before; ``withdrawn`` why it is promoted no more but by hand;
    ``histograms`` the similarities before and after; ``geometry`` by what its documents are found, empty for the
    cosine; ``sha256`` is that of the weights. What older specmines did not write is empty.
    """

    encoder: str
    document_fingerprint: str
    loss: str
    job: str
    lineage: dict[str, Any]
    training: dict[str, Any]
    verdict: dict[str, Any]
    histograms: dict[str, dict[str, list[float]]]
    id: str = ""
    created: str = ""
    sha256: str = ""
    measures: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    withdrawn: str = ""
    geometry: dict[str, Any] = field(default_factory=dict)

    @property
    def searched_by(self) -> Geometry:
        """By what the version's documents are found."""
        return Geometry(**self.geometry) if self.geometry else COSINE


def register(home: Home, version: EncoderVersion, encoder: QueryEncoder) -> EncoderVersion:
    """Write ``encoder``'s weights with ``version``, whole or not at all. Returns it with its id, time and checksum."""
    now = datetime.now(UTC)
    named = replace(version, id=f"{now:%Y%m%dT%H%M%S}-{version.job[:4]}", created=now.isoformat(timespec="seconds"))
    with write_artifact(home.encoders / version.encoder / named.id) as partial:
        encoder.save_weights(partial / WEIGHTS)
        named = replace(named, sha256=sha256_file(partial / WEIGHTS))
        write_json(partial / MANIFEST, asdict(named))
    return named


def record_verdict(home: Home, version: EncoderVersion, verdict: dict[str, Any]) -> EncoderVersion:
    """Write the verdict on a registered version into its manifest, and return the version with it."""
    return _rewrite(home, replace(version, verdict=verdict))


def withdraw(home: Home, version_id: str, reason: str) -> EncoderVersion:
    """Write into a version's manifest why no retraining shall promote it again, and return the version with it."""
    return _rewrite(home, replace(read_version(home, version_id), withdrawn=reason))


def list_versions(home: Home, encoder: str | None = None) -> list[EncoderVersion]:
    """Return all versions, or those of one encoder, oldest first. A damaged one is passed over."""
    found = []
    for folder in home.encoders.glob("*/*"):
        if _VERSION_ID.fullmatch(folder.name) and is_whole(folder) and encoder in (None, folder.parent.name):
            try:
                found.append(_read(folder))
            except SpecmineError:
                continue  # read_version says what is wrong to whoever asks for it
    return sorted(found, key=lambda version: (version.id, version.encoder))


def read_version(home: Home, version_id: str) -> EncoderVersion:
    """Return the version of this id. Raises SpecmineError when there is none or its manifest is damaged."""
    # Ids come from the command line and the API: only what has the form of an id ever becomes a path.
    folders = sorted(home.encoders.glob(f"*/{version_id}")) if _VERSION_ID.fullmatch(version_id) else []
    whole = [folder for folder in folders if is_whole(folder)]
    if not whole:
        known = ", ".join(version.id for version in list_versions(home)[-5:]) or "none"
        raise SpecmineError(f"there is no query-encoder version {version_id!r}; the latest are: {known}")
    return _read(whole[0])


def load_version(home: Home, spec: EncoderSpec, version_id: str) -> QueryEncoder:
    """Return a version of encoder ``spec``, ready to embed.

    Raises SpecmineError in one line when it is a version of another encoder, belongs to other document vectors than
    those of ``spec``, or its weights are not the ones that were registered.
    """
    from indexing.encoders.query import load_query_encoder

    version = read_version(home, version_id)
    if version.encoder != spec.name:
        raise SpecmineError(f"version {version_id} is one of encoder {version.encoder!r}, not of {spec.name!r}")
    fingerprint, _ = encoder_fingerprint(spec, home)
    if version.document_fingerprint != fingerprint:
        raise SpecmineError(
            f"version {version_id} of {spec.name} belongs to document vectors {version.document_fingerprint[:12]}, "
            f"this index has {fingerprint[:12]}: retrain it for this index, or serve the release it was made for"
        )
    path = weights_file(home, version)
    if not path.is_file() or sha256_file(path) != version.sha256:
        raise SpecmineError(f"the weights in {path} are missing or damaged: roll back, remove the version and retrain")
    return load_query_encoder(spec, home, path, version_id)


def weights_file(home: Home, version: EncoderVersion) -> Path:
    """Return where a version's weights lie."""
    return home.encoders / version.encoder / version.id / WEIGHTS


def _rewrite(home: Home, version: EncoderVersion) -> EncoderVersion:
    write_json(weights_file(home, version).with_name(MANIFEST), asdict(version))
    return version


def _read(folder: Path) -> EncoderVersion:
    try:
        return EncoderVersion(**read_json(folder / MANIFEST))
    except TypeError:
        raise SpecmineError(f"{folder / MANIFEST} is not that of a query-encoder version: remove {folder}") from None
