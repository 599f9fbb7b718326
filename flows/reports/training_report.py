"""The report on one retrained encoder: one HTML file with curves, similarities and examples, that needs no network.

Texts are from documents and queries, so all of them are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from chunking.document import SECTION_SEPARATOR, Chunk
from dashboard.highlight import marked
from flows.opened import catalogue, opened
from flows.reports import training_pictures as pictures
from flows.reports.canvas import inline_svg, png_data_uri
from flows.settings import Settings
from indexing.home import Home, replacing
from training.versions import EncoderVersion, read_version

_EXAMPLE_CHARACTERS = 400


@dataclass(frozen=True)
class TrainingFacts:
    """A version with the texts of the queries and passages it names, as far as they are still there."""

    version: EncoderVersion
    queries: Mapping[str, str]
    chunks: Mapping[str, Chunk]


def write_reports(settings: Settings, report: dict[str, Any]) -> dict[str, list[str]]:
    """Write the page of every version of a retraining, and put its path beside it.

    Returns the pictures of each version as PNG data URIs, for an artifact.
    """
    home = settings.open_home()
    versions = [read_version(home, entry["version"]) for entry in report["versions"]]
    with opened(settings) as searcher, catalogue(settings) as book:
        texts = {query.id: query.text for split in ("dev", "test") for query in book.queries(split)}
        chunks = searcher.chunks
    drawn = {}
    for entry, version in zip(report["versions"], versions, strict=True):
        facts = TrainingFacts(version, texts, chunks)
        entry["report"] = str(write_report(home, facts))
        drawn[version.id] = [png_data_uri(figure) for figure in figures(version).values()]
    return drawn


def write_report(home: Home, facts: TrainingFacts) -> Path:
    """Write ``reports/training-<version>.html``, whole or not at all, and return its path."""
    path = home.reports / f"training-{facts.version.encoder}-{facts.version.id}.html"
    with replacing(path) as partial:
        partial.write_text(draw_html(facts), encoding="utf-8", errors="replace")
    return path


def figures(version: EncoderVersion) -> dict[str, Any]:
    """Return the pictures by name; none of a version that an older training made without looking."""
    history = version.training.get("history", [])
    if not any(entry.get("look", {}).get("similarities") for entry in history):
        return {}
    return {"curves": pictures.draw_curves(version.training), "similarities": pictures.draw_similarities(history)}


def draw_html(facts: TrainingFacts) -> str:
    """Return the report as one HTML document."""
    folder = Path(__file__).parent / "templates"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    version = facts.version
    moved = version.training.get("movers", {})
    return environment.get_template("training.html").render(
        style=Markup((folder / "ledger.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
        version=version,
        training=version.training,
        verdict=version.verdict,
        rows=_rows(version),
        worries=version.training.get("worries", []),
        pictures={name: Markup(inline_svg(figure, name)) for name, figure in figures(version).items()},  # noqa: S704
        movers=[
            (title, [_mover(entry, facts) for entry in moved.get(name, [])])
            for name, title in (("improved", "The most improved queries"), ("worsened", "The most worsened queries"))
        ],
    )


def _rows(version: EncoderVersion) -> list[tuple[str, str]]:
    training, lineage = version.training, version.lineage
    queries = lineage.get("queries", {})
    rows = [
        ("loss", version.loss),
        ("training queries", f"{queries.get('train', '')}"),
        ("steps", f"{training['best']['step']} kept of {training['planned_steps']} planned"),
        ("precision", f"{training['precision']} on {training.get('device', 'cpu')}"),
        ("seconds of training steps", f"{training['seconds']:.0f}"),
        ("queries per second", f"{training['queries_per_second']:.1f}"),
    ]
    if training.get("wall_seconds"):
        rows.append(("seconds with evaluations", f"{training['wall_seconds']:.0f}"))
        rows.append(("peak memory of the process", f"{training['peak_mb']} MB"))
    return rows


def _mover(entry: Mapping[str, Any], facts: TrainingFacts) -> dict[str, Any]:
    text = facts.queries.get(entry["query"], "")
    return {
        "query": text or entry["query"],
        "before": entry["before"],
        "after": entry["after"],
        "sides": [
            ("before", _passages(entry["found_before"], text, facts.chunks)),
            ("after", _passages(entry["found_after"], text, facts.chunks)),
        ],
    }


def _passages(found: Sequence[Mapping[str, Any]], query: str, chunks: Mapping[str, Chunk]) -> list[dict[str, Any]]:
    return [{**entry, **_passage(chunks.get(entry["chunk"]), query)} for entry in found]


def _passage(chunk: Chunk | None, query: str) -> dict[str, Any]:
    if chunk is None:
        return {"document": "no longer in the index", "section": "", "text": None}
    section = SECTION_SEPARATOR.join(chunk.section)
    return {"document": chunk.document, "section": section, "text": marked(chunk.text, query, _EXAMPLE_CHARACTERS)}
