"""The report on a ledger: one HTML file with pictures and examples that needs no network and no script.

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
from flows.opened import opened
from flows.reports import ledger_captions as captions
from flows.reports import ledger_pictures as pictures
from flows.reports.canvas import inline_svg, png_data_uri
from flows.settings import Settings
from indexing.home import Home, SpecmineError, replacing
from indexing.hyperbolic import hyperbolic_name
from indexing.releases import read_release
from mining import figures
from mining.ledger import KEPT, RANDOM, VERDICTS, Ledger, LedgerError, LedgerQuery, LedgerRow, read_ledger
from mining.passages import ledger_passages
from mining.similarities import Similarities, measure_similarities

_EXAMPLE_CHARACTERS = 300
_NEIGHBOURS_SHOWN = 3
_NO_HYPERBOLIC = (
    'This ledger was mined without hyperbolic neighbours: add "hyperbolic" to [mine] sources in specmine.toml.'
)


@dataclass(frozen=True)
class LedgerFacts:
    """All that is shown of a ledger. ``chunks`` holds the passages by id, none where their content is gone.

    ``without_similarities`` says why there are none, in one line, and is "" where there are.
    """

    ledger: Ledger
    funnel: Sequence[figures.FunnelStage]
    languages: Sequence[figures.LanguageCounts]
    overlap: figures.Overlap
    neighbours: Sequence[figures.Neighbours]
    scores: figures.CrossScores
    hardest: Sequence[figures.HardNegative]
    similarities: Sequence[Similarities]
    without_similarities: str
    chunks: Mapping[str, Chunk]


def gather(settings: Settings, ledger_id: str) -> LedgerFacts:
    """Read a ledger and compute what is shown of it. Raises LedgerError as ``read_ledger`` does.

    Similarities take the encoders and the vectors of the release it was mined on; where these are gone, or the texts,
    the report is made without them.
    """
    home = settings.open_home()
    ledger = read_ledger(home, ledger_id)
    similarities: list[Similarities] = []
    reason = ""
    try:
        with opened(settings, read_release(home, str(ledger.manifest["release"]))) as searcher:
            chunks: Mapping[str, Chunk] = searcher.chunks
            similarities = measure_similarities(ledger, searcher)
    except (OSError, KeyError, SpecmineError) as error:
        reason = f"Not measured, for the release that it was mined on cannot be opened: {error}"
        chunks = _passages(home, ledger)
    return facts_of(ledger, similarities, reason, chunks)


def facts_of(
    ledger: Ledger, similarities: Sequence[Similarities], without_similarities: str, chunks: Mapping[str, Chunk]
) -> LedgerFacts:
    """Compute what comes from the ledger alone, and put the rest beside it."""
    return LedgerFacts(
        ledger,
        figures.funnel(ledger),
        figures.count_languages(ledger),
        figures.source_overlap(ledger),
        figures.compare_neighbours(ledger),
        figures.cross_scores(ledger),
        figures.hardest(ledger),
        similarities,
        without_similarities,
        chunks,
    )


def write_report(home: Home, facts: LedgerFacts) -> Path:
    """Write the report to ``reports/ledger-<id>.html``, whole or not at all, and return its path."""
    path = home.reports / f"ledger-{facts.ledger.id}.html"
    with replacing(path) as partial:
        partial.write_text(draw_html(facts), encoding="utf-8", errors="replace")
    return path


def report_json(facts: LedgerFacts, path: Path) -> dict[str, Any]:
    """Return what was written, with the keys other programs rely on; ``notes`` say what the report lacks."""
    notes = [facts.without_similarities, "" if facts.neighbours else _NO_HYPERBOLIC]
    notes.append("" if facts.chunks else "The texts of the passages are no longer in the home.")
    return {
        "ledger": facts.ledger.id,
        "report": str(path),
        "bytes": path.stat().st_size,
        "notes": [note for note in notes if note],
    }


def artifact_pictures(facts: LedgerFacts) -> list[tuple[str, str]]:
    """Return the pictures for an artifact, the most telling first: each a caption and a PNG data URI."""
    drawn = [(captions.funnel(facts.funnel), pictures.draw_funnel(facts.funnel))]
    if facts.scores.cross:
        doubt = captions.not_believed(facts.languages)
        drawn.append(
            (captions.cross_scores(facts.scores, facts.languages), pictures.draw_cross_scores(facts.scores, doubt))
        )
    drawn.append((captions.sources(facts.overlap), pictures.draw_sources(facts.overlap)))
    drawn += [(captions.similarities(one), pictures.draw_similarities(one)) for one in facts.similarities]
    return [(caption, png_data_uri(figure)) for caption, figure in drawn]


def draw_html(facts: LedgerFacts) -> str:
    """Return the report as one HTML document."""
    folder = Path(__file__).parent / "templates"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["words"] = pictures.words
    ledger, overlap = facts.ledger, facts.overlap
    cross_caption = captions.cross_scores(facts.scores, facts.languages)
    not_believed = captions.not_believed(facts.languages)
    counts = ledger.manifest.get("verdicts", {})
    return environment.get_template("ledger.html").render(
        style=Markup((folder / "ledger.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
        ledger=ledger,
        manifest=ledger.manifest,
        kept=counts.get(KEPT, 0),
        random=counts.get(RANDOM, 0),
        verdicts={verdict: meaning for verdict, meaning in VERDICTS.items() if verdict in counts},
        counts=counts,
        languages=facts.languages,
        funnel=_picture("funnel", pictures.draw_funnel(facts.funnel), captions.funnel(facts.funnel)),
        similarities=[_similarities(one) for one in facts.similarities],
        sampled=facts.similarities[0].queries if facts.similarities else 0,
        without_similarities=facts.without_similarities,
        overlap=overlap,
        sources=_picture("sources", pictures.draw_sources(overlap), captions.sources(overlap)),
        combinations=_picture("combinations", pictures.draw_combinations(overlap), captions.combinations(overlap))
        if overlap.combinations
        else None,
        neighbours=[_neighbours(one, facts.chunks) for one in facts.neighbours],
        no_hyperbolic=_NO_HYPERBOLIC,
        cross=_picture("cross", pictures.draw_cross_scores(facts.scores, not_believed), cross_caption)
        if facts.scores.cross
        else None,
        cross_caption=cross_caption,
        hardest=[_hard(one, facts.chunks) for one in facts.hardest],
    )


def _picture(name: str, figure: Any, caption: str) -> dict[str, Any]:
    return {"svg": Markup(inline_svg(figure, name)), "caption": caption}  # noqa: S704  drawn here, of our own names


def _similarities(measured: Similarities) -> dict[str, Any]:
    picture = _picture(measured.encoder, pictures.draw_similarities(measured), captions.similarities(measured))
    return {"encoder": measured.encoder, **picture}


def _neighbours(compared: figures.Neighbours, chunks: Mapping[str, Chunk]) -> dict[str, Any]:
    made: dict[str, Any] = {"encoder": compared.encoder, "caption": captions.neighbours(compared), "svg": None}
    if compared.queries:
        made |= _picture(hyperbolic_name(compared.encoder), pictures.draw_neighbours(compared), made["caption"])
    made["examples"] = [
        {
            "query": one.query,
            "lists": [
                (title, [_neighbour(found, one.query, chunks) for found in side[:_NEIGHBOURS_SHOWN]], len(side))
                for title, side in (("only by cosine", one.cosine), ("only by hyperbolic distance", one.hyperbolic))
            ],
        }
        for one in compared.examples
    ]
    return made


def _neighbour(found: figures.Neighbour, query: LedgerQuery, chunks: Mapping[str, Chunk]) -> dict[str, Any]:
    return {
        "rank": found.rank,
        "verdict": found.row.verdict,
        **_passage(chunks.get(found.row.chunk), query, found.row, _EXAMPLE_CHARACTERS),
    }


def _hard(hard: figures.HardNegative, chunks: Mapping[str, Chunk]) -> dict[str, Any]:
    """Return a hard negative beside the judged passage that the ensemble ranks highest."""
    query = hard.query
    return {
        "query": query,
        "row": hard.row,
        "judged": _passage(chunks.get(query.positives[0]) if query.positives else None, query, None),
        "others": max(len(query.positives) - 1, 0),
        "negative": _passage(chunks.get(hard.row.chunk), query, hard.row),
    }


def _passage(
    chunk: Chunk | None, query: LedgerQuery, row: LedgerRow | None, longest: int | None = None
) -> dict[str, Any]:
    """Return where a passage stands and its text with the query's words marked; no text where it is gone."""
    if chunk is None:
        place = f"{row.document}, characters {row.start} to {row.end}" if row else ""
        return {"document": place, "section": "", "pages": "", "lead": "", "text": None}
    first, last = chunk.first_page, chunk.last_page
    return {
        "document": chunk.document,
        "section": SECTION_SEPARATOR.join(chunk.section),
        "pages": f"page {first}" if first == last else f"pages {first} to {last}",
        "lead": chunk.lead,
        "text": marked(chunk.text, query.text, longest) if longest else marked(chunk.text, query.text),
    }


def _passages(home: Home, ledger: Ledger) -> Mapping[str, Chunk]:
    try:
        return ledger_passages(home, ledger)
    except LedgerError:
        return {}
