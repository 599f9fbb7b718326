"""Versions of query encoders as people and programs ask for them: which there are, what made one, how two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from indexing.generations import read_generation
from indexing.home import MANIFEST, Home, SpecmineError, write_artifact, write_json
from indexing.releases import BASE, current, list_releases
from indexing.specs import EncoderSpec
from training.versions import EncoderVersion, list_versions, load_version, read_version, weights_file

# What of a lineage is a table of its own; a difference in one of its keys is told under this name.
_TABLES = {"settings": "[train]", "rule": "[promotion]", "code": "code", "data": "data", "queries": "queries"}


def list_all(home: Home) -> dict[str, Any]:
    """Return all versions, newest first, each with what it was trained by and what the referee said."""
    release = current(home)
    serving = release.encoders if release else {}
    return {
        "serving": serving,
        "versions": [
            {
                "version": version.id,
                "encoder": version.encoder,
                "created": version.created,
                "loss": version.loss,
                "form": version.lineage.get("settings", {}).get("form", "full"),
                "started_from": version.lineage.get("started_from", BASE),
                "before": version.verdict.get("before"),
                "after": version.verdict.get("after"),
                "verdict": _outcome(version),
                "served": serving.get(version.encoder) == version.id,
            }
            for version in reversed(list_versions(home))
        ],
    }


def show(home: Home, version_id: str) -> dict[str, Any]:
    """Return everything about a version but its histograms, and the releases that serve or served it."""
    version = read_version(home, version_id)
    told = asdict(version)
    del told["histograms"]
    weights = weights_file(home, version)
    return {
        "version": told.pop("id"),
        **told,
        "outcome": _outcome(version),
        "weights": str(weights),
        "bytes": weights.stat().st_size if weights.is_file() else None,
        "releases": [entry.id for entry in list_releases(home) if entry.encoders.get(version.encoder) == version.id],
    }


def diff(home: Home, before_id: str, after_id: str) -> dict[str, Any]:
    """Return what took part in the making of two versions and differs, and their measures side by side.

    ``comparable`` tells whether both were measured on the same queries over the same document vectors.
    """
    before, after = read_version(home, before_id), read_version(home, after_id)
    old, new = _took_part(before), _took_part(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    measured = [_measured_on(version) for version in (before, after)]
    return {
        "before": before.id,
        "after": after.id,
        "differs": {name: {"before": old.get(name), "after": new.get(name)} for name in names},
        "measures": {version.id: version.measures.get("after", {}) for version in (before, after)},
        "comparable": measured[0] == measured[1] and all(measured[0]),
        "verdicts": {version.id: version.verdict.get("reason", "") for version in (before, after)},
    }


def export(home: Home, version_id: str, directory: Path) -> dict[str, Any]:
    """Write a version as a directory that sentence-transformers loads; it appears whole or not at all.

    ``manifest.json`` in it keeps the lineage. Raises SpecmineError when the directory exists or cannot be written, and
    as ``load_version``.
    """
    if directory.exists():
        raise SpecmineError(f"{directory} exists: give another name, or remove it")
    version = read_version(home, version_id)
    encoder = load_version(home, _spec_of(home, version), version_id)
    try:
        with write_artifact(directory) as partial:
            encoder.export(partial)
            write_json(partial / MANIFEST, asdict(version))
    except OSError as error:
        raise SpecmineError(f"{directory} cannot be written: {error.strerror or error}") from None
    return {
        "version": version.id,
        "encoder": version.encoder,
        "directory": str(directory),
        "query_prompt": encoder.spec.query_prompt,
        "document_fingerprint": version.document_fingerprint,
        "bytes": sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()),
    }


def _outcome(version: EncoderVersion) -> str:
    if version.withdrawn:
        return "withdrawn"
    if not version.verdict:
        return "not judged"
    return "promoted" if version.verdict.get("promoted") else "kept"


def _took_part(version: EncoderVersion) -> dict[str, Any]:
    """Return all that a lineage tells, flat: the keys of its tables under the tables' names."""
    flat: dict[str, Any] = {"encoder": version.encoder, "document_fingerprint": version.document_fingerprint}
    for name, value in version.lineage.items():
        if name in _TABLES and isinstance(value, Mapping):
            flat |= {f"{_TABLES[name]} {key}": entry for key, entry in value.items()}
        else:
            flat[name] = value
    return flat


def _measured_on(version: EncoderVersion) -> tuple[str, str]:
    return version.document_fingerprint, str(version.lineage.get("data", {}).get("verdict", ""))


def _spec_of(home: Home, version: EncoderVersion) -> EncoderSpec:
    """Return the encoder as the index knows it that the version was trained for."""
    generation = read_generation(home, str(version.lineage.get("generation", "")))
    for part in generation.encoders:
        if part.spec.name == version.encoder:
            return part.spec
    raise SpecmineError(f"index {generation.id}, which version {version.id} was trained for, has no such encoder")
