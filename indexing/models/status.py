"""What is known of the configured models: which are fetched, whole, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexing.home import Home, SpecmineError, is_whole
from indexing.models.directories import checked_directory, from_hub_cache
from indexing.models.fetching import describe, pooling_of
from indexing.models.wheels import check_files, wheel_directory
from indexing.specs import CrossEncoderSpec, EncoderSpec, HubSource, WheelSource


@dataclass(frozen=True)
class ModelStatus:
    """What is known of one configured model. ``verified`` is None while it is not fetched."""

    name: str
    source: str
    fetched: bool
    verified: bool | None
    path: Path | None
    bytes: int
    problem: str = ""


def status(specs: Sequence[EncoderSpec | CrossEncoderSpec], home: Home, verify: bool = False) -> list[ModelStatus]:
    """Return what is known of each model, without fetching any. ``verify`` reads every file and compares hashes."""
    return [_status_of(spec, home, verify) for spec in specs]


def _status_of(spec: EncoderSpec | CrossEncoderSpec, home: Home, verify: bool) -> ModelStatus:
    source = spec.source
    described = describe(source)
    try:
        if isinstance(source, WheelSource):
            directory = wheel_directory(source, home, pooling_of(spec))
            if not is_whole(directory):
                return ModelStatus(spec.name, described, False, None, None, 0)
            check_files(directory, hashes=verify)
        elif isinstance(source, HubSource):
            cached = from_hub_cache(source)
            if cached is None:
                return ModelStatus(spec.name, described, False, None, None, 0)
            directory = cached
        else:
            directory = checked_directory(Path(source.directory).expanduser(), source.directory)
    except SpecmineError as error:
        return ModelStatus(spec.name, described, False, False, None, 0, problem=str(error))
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    return ModelStatus(spec.name, described, True, True, directory, size)
