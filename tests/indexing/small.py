"""Two short specifications, an index of them, and what it serves."""

from __future__ import annotations

from indexing.generations import IndexedDocument, read_documents
from indexing.home import Home
from indexing.ingest import IngestReport
from indexing.releases import served
from indexing.search import Searcher
from indexing.settings import IndexSettings
from indexing.specs import WORDLLAMA

SETTINGS = IndexSettings(encoders=(WORDLLAMA,), cross_encoder=None)

PUMP = """# Pump specification

## 1 Scope

This specification covers centrifugal pumps for cooling water.

## 2 Pressure

### 2.1 Operating pressure

The operating pressure shall not exceed {pressure} bar at 40 °C.

### 2.2 Relief valve

The relief valve shall open at 110 % of the operating pressure.
"""
VALVE = """# Valve specification

## 1 Actuator

The actuator closes the valve within 30 seconds after loss of power.

## 2 Marking

Every valve carries its serial number on a riveted plate.
"""


def counts(report: IngestReport) -> tuple[int, int, int, int]:
    return report.indexed, report.unchanged, report.removed, len(report.quarantine)


def documents_of(home: Home) -> dict[str, IndexedDocument]:
    release = served(home)
    return read_documents(home, release.generation, release.content)


def served_passages(home: Home) -> set[tuple[str, str, str]]:
    """The id, section path and text of every passage that is served, as the store holds them."""
    searcher = Searcher.open(home, SETTINGS)
    chunks = searcher._reader.chunks([chunk for chunk, _ in searcher._reader.vectors("wordllama")])
    return {(chunk.id, " > ".join(chunk.section), chunk.text) for chunk in chunks.values()}
