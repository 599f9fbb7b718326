"""The stages, put together: settings in, a report as JSON-able values out. No Prefect here.

The command line calls these functions directly; the flows call the same ones and add what an orchestrator gives.
Every run that changes something, or measures, is written into the catalogue's log, whether it succeeds or fails.
What only some stages need is imported there, so that no command waits for what it does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.catalogue import Catalogue
from evaluation.judgements import Query, follow_renames
from evaluation.measures import Measures
from evaluation.projection import Projection, project
from flows.lessons import lessons
from flows.opened import catalogue, count_reasons, judged, learned, opened
from flows.settings import Settings
from flows.stage_runs import logged
from indexing.generations import present_names
from indexing.home import SpecmineError
from indexing.ingest import ingest as ingest_documents
from indexing.parts import Workers, here
from indexing.releases import read_release
from indexing.search import Searcher

Tell = Callable[[str, int, int], None]
"""Called with the stage's name, what is done and the total."""


def ingest(
    settings: Settings, paths: Sequence[Path], prune: bool, tell: Tell, workers: Workers = here
) -> dict[str, Any]:
    """Bring the documents under ``paths``, or under those of ``[sources]``, into the served index."""
    wanted = list(paths) or list(settings.sources.paths)
    if not wanted:
        raise SpecmineError("there is nothing to ingest: give a folder, or set paths in [sources] of specmine.toml")
    with logged(settings, "ingest") as summary:
        report = ingest_documents(wanted, settings.open_home(), settings.index(), prune, tell, workers)
        summary.update(report.as_json())
    return summary


def evaluate(settings: Settings, split: str, tell: Tell) -> dict[str, Any]:
    """Measure every run of the served release on the queries of ``split``, and record the measures.

    What is measured is what a reader is shown: a clause, where small passages stand for theirs.
    """
    with logged(settings, "evaluate") as summary, opened(settings) as searcher, catalogue(settings) as book:
        queries, projection = judged(searcher, book, split, shown=True)
        measured = measure(searcher, book, split, queries, projection, tell)
        summary.update(
            release=searcher.release.id,
            split=split,
            queries=len(projection.units),
            unmapped_judgements=len(projection.unmapped),
            unmapped_reasons=count_reasons(projection),
            runs={name: values.mean for name, values in measured.items()},
        )
    return summary


def held_out_split(settings: Settings) -> str:
    """Return the split that a lifecycle ends with: ``test``, or ``dev`` where no test query is known."""
    with catalogue(settings) as book:
        return "test" if book.queries("test") else "dev"


def measure(
    searcher: Searcher, book: Catalogue, split: str, queries: Sequence[Query], projection: Projection, tell: Tell
) -> dict[str, Measures]:
    """Measure every run of the searcher's release on judged queries, and record the means."""
    from training.referee import evaluate_release

    tell("evaluating", 0, len(projection.units))
    measured = evaluate_release(searcher, queries, projection)
    book.record_measures(searcher.release.id, split, {name: values.mean for name, values in measured.items()})
    tell("evaluating", len(projection.units), len(projection.units))
    return measured


def mine(settings: Settings, tell: Tell, like: str | None = None) -> dict[str, Any]:
    """Mine negatives for the training queries, synthetic ones too where they may train, and write them to a new ledger.

    ``like`` is a ledger to make again: with its settings and on its release. The summary says under the same key
    whether the rows are the same, byte for byte, and what took part that differs.
    """
    from mining.decisions import decisions_in_force
    from mining.diff import differing
    from mining.feedback import passed_over
    from mining.ledger import read_manifest
    from mining.mine import mine as mine_negatives
    from mining.settings import settings_of

    home, mining, release = settings.open_home(), settings.mine, None
    model = read_manifest(home, like) if like else None
    if model is not None:
        try:
            mining, release = settings_of(model), read_release(home, str(model["release"]))
        except ValueError as error:
            raise SpecmineError(f"ledger {model['id']} cannot be made again: {error}") from None
    with logged(settings, "mine") as summary, opened(settings, release) as searcher, catalogue(settings) as book:
        renamed = present_names(searcher.documents)
        learned_from = lessons(book, mining.synthetic)
        decisions = decisions_in_force(book, renamed)
        queries, projection = learned(searcher, book, mining.synthetic, decisions)
        book.forget_searches(settings.search.log_days)
        searches = book.searches(with_feedback=True) if "feedback" in mining.sources else []
        feedback = passed_over(queries, searches, searcher.chunks.values(), searcher.document_text, renamed)
        report = mine_negatives(
            searcher, queries, projection, searcher.cross_encoder, mining, home, decisions, tell, feedback
        )
        summary.update(report.as_json(), lessons=learned_from)
        if model is not None:
            made = read_manifest(home, report.ledger)
            differs = {name: {"before": was, "after": now} for name, (was, now) in differing(model, made).items()}
            summary["like"] = {"ledger": model["id"], "same": made["sha256"] == model["sha256"], "differs": differs}
    return summary


def retrain(settings: Settings, tell: Tell, encoders: Sequence[str] = ()) -> dict[str, Any]:
    """Retrain the query encoders, on the newest ledger where there is one; publish what the referee finds better.

    ``encoders`` names those to train; all when empty.
    """
    from mining.ledger import list_ledgers, read_ledger
    from training.retrain import retrain as retrain_encoders

    with logged(settings, "retrain") as summary, opened(settings) as searcher, catalogue(settings) as book:
        ledger = read_ledger(searcher.home) if list_ledgers(searcher.home) else None
        report = retrain_encoders(
            searcher,
            book,
            ledger,
            settings.training(),
            settings.compositions(),
            settings.promotion,
            tell,
            settings.mine.synthetic,
            encoders,
        )
        summary.update(report.as_json())
    return summary


def retrain_reranker(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Retrain the re-ranker on the newest ledger; publish it where the referee finds it better."""
    from mining.ledger import read_ledger
    from training.retrain_reranker import retrain_reranker as retrain_one

    with logged(settings, "retrain reranker") as summary, opened(settings) as searcher, catalogue(settings) as book:
        report = retrain_one(
            searcher,
            book,
            read_ledger(searcher.home),
            settings.reranking(),
            settings.promotion,
            tell,
            settings.mine.synthetic,
        )
        summary.update(report.as_json())
    return summary


def generating(settings: Settings, generators: Sequence[str], per_document: int | None, seed: int | None) -> Settings:
    """Return the settings with what one run of ``generate`` asks for in place of the configured."""
    changes: dict[str, Any] = {"generators": tuple(generators)} if generators else {}
    changes |= {"per_document": per_document} if per_document is not None else {}
    changes |= {"seed": seed} if seed is not None else {}
    try:
        return settings.model_copy(update={"generate": replace(settings.generate, **changes)})
    except ValueError as error:
        raise SpecmineError(str(error)) from None


def generate(
    settings: Settings, documents: Sequence[str], limit: int | None, dry_run: bool, tell: Tell
) -> dict[str, Any]:
    """Make synthetic queries for the indexed documents, and store those that search finds the source of."""
    from mining.generate import Scope
    from mining.generate import generate as make_queries

    if limit is not None and limit < 1:
        raise SpecmineError(f"the limit must be 1 or more, not {limit}")
    home = settings.open_home()
    with logged(settings, "generate") as summary, opened(settings) as searcher, catalogue(settings) as book:
        queries = book.queries("train")
        judgements = follow_renames(book.judgements("train"), present_names(searcher.documents))
        judged_chunks = searcher.chunks.of_documents(judgement.document for judgement in judgements)
        projection = project(judgements, judged_chunks, searcher.document_text)
        asked = [(query.text, projection.positives(query.id)) for query in queries if query.id in projection.units]
        scope = Scope(tuple(documents), limit, dry_run)
        judge = searcher.cross_encoder
        report = make_queries(searcher, book, asked, judge, settings.generate, settings.mine, home, scope, tell)
        summary.update(report.as_json())
    return summary


def monitor(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Compare the served release with the one before it; where it has fallen below, serve that one again."""
    from training.monitor import monitor as watch

    with logged(settings, "monitor") as summary, catalogue(settings) as book:
        book.forget_searches(settings.search.log_days)
        home, index = settings.open_home(), settings.index()
        summary.update(watch(home, index, book, settings.monitor, settings.promotion, tell).as_json())
    return summary
