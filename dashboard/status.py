"""What the operations page shows, read from releases, generations, quarantine and catalogue; nothing is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from evaluation.catalogue import Catalogue
from evaluation.catalogue_runs import MeasureRecord, RunRecord
from indexing.generations import IndexedDocument, read_documents
from indexing.home import Home
from indexing.quarantine import Quarantined, read_quarantine
from indexing.releases import Release, current, list_releases
from training.versions import EncoderVersion, list_versions

_RELEASES_SHOWN = 12
_RUNS_SHOWN = 15


@dataclass(frozen=True)
class Status:
    """The state of an installation at one moment. ``release`` is None before the first ingest.

    ``versions`` is the newest judged version of each query encoder.
    """

    release: Release | None
    releases: list[Release]
    documents: dict[str, IndexedDocument]
    quarantine: list[Quarantined]
    measures: list[MeasureRecord]
    runs: list[RunRecord]
    versions: list[EncoderVersion]

    @property
    def pages(self) -> int:
        """Pages of all indexed documents."""
        return sum(document.pages for document in self.documents.values())

    @property
    def pages_without_text(self) -> int:
        """Pages of the indexed documents that gave no text."""
        return sum(document.pages_without_text for document in self.documents.values())

    @property
    def chunks(self) -> int:
        """Chunks in the served content."""
        return sum(document.chunks for document in self.documents.values())

    def as_json(self) -> dict[str, Any]:
        """Return the state as JSON-able values."""
        return {
            "release": asdict(self.release) if self.release else None,
            "documents": len(self.documents),
            "pages": self.pages,
            "pages_without_text": self.pages_without_text,
            "chunks": self.chunks,
            "quarantine": [
                {"document": entry.document, "reason": entry.reason, "page": entry.page} for entry in self.quarantine
            ],
            "measures": [asdict(record) for record in self.measures],
            "runs": [asdict(record) for record in self.runs],
            "versions": [
                {"encoder": version.encoder, "version": version.id, "verdict": version.verdict}
                for version in self.versions
            ],
        }


def read_status(home: Home, catalogue: Catalogue) -> Status:
    """Read the present state. Releases, measures and runs come newest first."""
    release = current(home)
    releases = list_releases(home)[::-1]
    return Status(
        release=release,
        releases=releases[:_RELEASES_SHOWN],
        documents=read_documents(home, release.generation, release.content) if release else {},
        quarantine=list(read_quarantine(home).values()),
        measures=latest_measures(catalogue.measures()),
        runs=catalogue.last_runs(_RUNS_SHOWN),
        versions=latest_versions(home),
    )


def latest_versions(home: Home) -> list[EncoderVersion]:
    """Return the newest judged version of each query encoder, by encoder."""
    latest = {version.encoder: version for version in list_versions(home) if version.verdict}
    return [latest[name] for name in sorted(latest)]


def latest_measures(records: list[MeasureRecord]) -> list[MeasureRecord]:
    """Return the latest record of each release, split and run, newest first."""
    latest = {(record.release, record.split, record.run): record for record in records}
    return sorted(latest.values(), key=lambda record: (record.release, record.time), reverse=True)
