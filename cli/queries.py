"""``specmine judgements`` and ``specmine queries``: what is asked, and what is relevant for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from cli.parameters import Given, Orchestrated, Split, flow_or_stage

judgements = App(name="judgements", help="Judged queries: what is relevant for what.")
queries = App(name="queries", help="Queries: those that people judged, and synthetic ones where nobody did.")


@judgements.command(name="import")
def import_judgements(*, queries: Path, judgements: Path, split: Split, session: Given) -> None:
    """Import the judged queries of a split; importing twice changes nothing.

    Parameters
    ----------
    queries
        JSON lines {"id", "text"[, "group"]}, or BEIR's queries.jsonl.
    judgements
        JSON lines {"query", "document", "grade"} with a span, quote, section or pages, or BEIR's qrels (.tsv).
    """
    from flows.judgements import import_files

    result = import_files(session.settings(), queries, judgements, split)
    told = f"{split}: {result['queries']} queries ({result['new_queries']} new), {result['judgements']} judgements"
    session.emit(result, lambda console: console.print(told))


@judgements.command(name="from-searches")
def judgements_from_searches(*, session: Given) -> None:
    """Import what searchers confirmed ("this is it") into the split train; importing twice changes nothing.

    The ids of new queries begin with "search:". What was confirmed for a query of another split is left alone.
    """
    from cli.show import searches as show
    from flows.searches import import_confirmed

    result = import_confirmed(session.settings())
    session.emit(result, lambda console: show.imported(console, result))


@queries.command(name="generate")
def generate_queries(
    *,
    generator: Annotated[list[str] | None, Parameter(negative="")] = None,
    per_document: int | None = None,
    limit: int | None = None,
    seed: int | None = None,
    documents: Annotated[list[str] | None, Parameter(negative="")] = None,
    dry_run: Annotated[bool, Parameter(negative="")] = False,
    prefect: Orchestrated = None,
    session: Given,
) -> None:
    """Make synthetic queries from the indexed documents; what stands for an unchanged document is not made again.

    Parameters
    ----------
    generator
        headings, definitions, inverse_cloze, seq2seq or endpoint; give it several times for several. By default those
        of [generate].
    per_document
        How many queries each generator tries for a document.
    limit
        End when so many queries were kept.
    seed
        Of what is drawn by chance.
    documents
        Names of documents, or patterns with *; give it several times for several. All by default.
    dry_run
        Say what would be kept and dropped, and store nothing.
    """
    from cli.show import queries as show
    from flows import stages

    settings = session.settings()
    generators, names = generator or [], documents or []
    result = flow_or_stage(
        session,
        settings,
        prefect,
        "generate",
        {
            "generators": generators,
            "per_document": per_document,
            "limit": limit,
            "seed": seed,
            "documents": names,
            "dry_run": dry_run,
        },
        lambda tell: stages.generate(
            stages.generating(settings, generators, per_document, seed), names, limit, dry_run, tell
        ),
    )
    session.emit(result, lambda console: show.generated(console, result, settings.mine.synthetic))


@queries.command(name="list")
def list_queries(*, split: Split | None = None, limit: int | None = None, session: Given) -> None:
    """List the queries of the catalogue; synthetic ones with what made them.

    Parameters
    ----------
    split
        train, dev, test, guard or synthetic; all by default.
    limit
        How many to show; 20 by default, with --json all.
    """
    from cli.show import queries as show
    from flows.queries import list_all

    result = list_all(session.settings(), split, None if session.json else limit or 20)
    session.emit(result, lambda console: show.listing(console, result))


@queries.command(name="remove")
def remove_queries(
    *, generator: str, documents: Annotated[list[str] | None, Parameter(negative="")] = None, session: Given
) -> None:
    """Remove the synthetic queries that a generator made.

    Parameters
    ----------
    generator
        Its name, as `specmine queries list --split synthetic` shows it.
    documents
        Only of these documents; give it several times for several.
    """
    from flows.queries import remove

    result = remove(session.settings(), generator, documents or [])
    told = f"removed {result['removed']} queries that {generator} made of {result['documents']} documents"
    session.emit(result, lambda console: console.print(told))
