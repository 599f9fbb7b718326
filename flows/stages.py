"""The stages, put together: settings in, a report as JSON-able values out. No Prefect here.
What only some stages need is imported there, so that no command waits for what it does not use.

The command line calls these functions directly; the flows call the same ones and add what an orchestrator gives.
Every run that changes something, or measures, is written into the catalogue's log, whether it succeeds or fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chunking.document import as_shown
from evaluation.catalogue import Catalogue, Decision
from evaluation.judgements import Judgement, Query, follow_renames, training_splits
from evaluation.measures import Measures
from evaluation.projection import Projection, project
from flows.lessons import lessons
from flows.settings import Settings
from flows.stage_runs import logged
from indexing.generations import present_names, read_generation
from indexing.home import SpecmineError, write_json
from indexing.ingest import ingest as ingest_documents
from indexing.parts import Workers, here
from indexing.regeometry import content_with_points, lacks_points
from indexing.releases import Release, publish, read_release, served
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
            unmapped_reasons=_count_reasons(projection),
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


def promote(settings: Settings, version_id: str) -> dict[str, Any]:
    """Serve a version that was registered, of a query encoder or of the re-ranker, whatever the verdict on it."""
    from training.reranker_versions import is_reranker
    from training.versions import load_version, read_version

    home = settings.open_home()
    if is_reranker(home, version_id):
        return _promote_reranker(settings, version_id)
    with logged(settings, "promote") as summary, home.exclusive():
        release = served(home)
        version = read_version(home, version_id)
        specs = {part.spec.name: part.spec for part in read_generation(home, release.generation).encoders}
        if version.encoder not in specs:
            raise SpecmineError(
                f"version {version_id} is one of {version.encoder!r}, which the served index does not use"
            )
        load_version(home, specs[version.encoder], version_id)  # refuses other document vectors and damaged weights
        if release.encoders[version.encoder] != version_id:
            wanted = {**release.geometry, version.encoder: version.searched_by}
            proposed = replace(
                release,
                content=content_with_points(home, settings.index(), release, wanted, lambda *_: None),
                encoders={**release.encoders, version.encoder: version_id},
                geometry={name: found for name, found in wanted.items() if found.has_points},
                note=f"promote {version.encoder} {version_id}",
            )
            release = publish(home, proposed)
        summary.update(release=release.id, encoder=version.encoder, version=version_id, note=release.note)
    return summary


def _promote_reranker(settings: Settings, version_id: str) -> dict[str, Any]:
    from training.reranker_versions import as_judged, read_reranker

    home = settings.open_home()
    with logged(settings, "promote") as summary, home.exclusive():
        release = served(home)
        use = as_judged(home, read_reranker(home, version_id))
        if release.reranker != use:
            release = publish(home, replace(release, reranker=use, note=f"promote re-ranker {use}"))
        summary.update(release=release.id, encoder=use.name, version=version_id, note=release.note)
    return summary


def shadow(settings: Settings, version_id: str, limit: int, tell: Tell) -> dict[str, Any]:
    """Answer the latest queries of the log with a version in the place of the served encoder, and compare the answers.

    The served release goes on serving; nothing is published.
    """
    from training.live import live_queries
    from training.shadow import shadow as score_beside
    from training.versions import read_version

    if limit < 1:
        raise SpecmineError(f"the limit must be 1 or more, not {limit}")
    home = settings.open_home()
    with logged(settings, "shadow") as summary, opened(settings) as before, catalogue(settings) as book:
        version = read_version(home, version_id)
        if version.encoder not in before.release.encoders:
            raise SpecmineError(
                f"version {version_id} is one of {version.encoder!r}, which the served index does not use"
            )
        book.forget_searches(settings.search.log_days)
        live = live_queries(book.searches(), before.document_text, present_names(before.documents), limit)
        encoders = {**before.release.encoders, version.encoder: version_id}
        geometry = {**before.release.geometry, version.encoder: version.searched_by}
        if lacks_points(home, before.release, geometry):
            raise SpecmineError(
                f"version {version_id} finds documents by {version.searched_by.kind}, for which the served content "
                "holds no points: it can be served by `specmine promote`, but not beside what is served"
            )
        with opened(settings, replace(before.release, id="", encoders=encoders, geometry=geometry)) as after:
            found = score_beside(before, after, live, settings.promotion, tell)
        summary.update(served=before.release.id, version=version_id, encoder=version.encoder, **found.as_json())
    return summary


def monitor(settings: Settings, tell: Tell) -> dict[str, Any]:
    """Compare the served release with the one before it; where it has fallen below, serve that one again."""
    from training.monitor import monitor as watch

    with logged(settings, "monitor") as summary, catalogue(settings) as book:
        book.forget_searches(settings.search.log_days)
        home, index = settings.open_home(), settings.index()
        summary.update(watch(home, index, book, settings.monitor, settings.promotion, tell).as_json())
    return summary


def geometry(settings: Settings, encoder: str, kind: str, tell: Tell) -> dict[str, Any]:
    """Find an encoder's documents by another geometry from now on; nothing is embedded for it."""
    from indexing.geometry import Geometry
    from indexing.regeometry import serve_geometry

    try:
        wanted = Geometry(kind)  # type: ignore[arg-type]
    except ValueError as error:
        raise SpecmineError(str(error)) from None
    with logged(settings, "geometry") as summary:
        release = serve_geometry(settings.open_home(), settings.index(), encoder, wanted, tell)
        found = release.geometry_of(encoder)
        summary.update(release=release.id, encoder=encoder, geometry=asdict(found), note=release.note)
    return summary


def compare_geometry(settings: Settings, split: str, tell: Tell) -> dict[str, Any]:
    """Measure every geometry of every served encoder on one split; nothing is published."""
    from training.geometries import compare_geometries

    with logged(settings, "compare geometry") as summary, opened(settings) as searcher, catalogue(settings) as book:
        queries, projection = judged(searcher, book, split)
        judgements = follow_renames(book.judgements(split), present_names(searcher.documents))
        summary.update(split=split, **compare_geometries(searcher, queries, judgements, projection, tell))
    return summary


def compare_chunking(
    settings: Settings, splitters: str, split: str, encoders: Sequence[str], keep: bool, tell: Tell
) -> dict[str, Any]:
    """Measure several chunkings of the served documents on one split; leave the report in ``comparisons/``."""
    from flows.reports import compared_chunkings
    from training.compare_chunking import compare_chunking as compare
    from training.compare_chunking import parse_chunkings

    chunkings = parse_chunkings(splitters)
    index, home = settings.index(), settings.open_home()
    with logged(settings, "compare chunking") as summary, catalogue(settings) as book:
        queries, judgements = book.queries(split), book.judgements(split)
        if not queries:
            raise _no_queries(split)
        summary.update(split=split, **compare(home, index, chunkings, encoders, queries, judgements, keep, tell))
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        report = home.comparisons / f"chunking-{split}-{stamp}.md"
        summary["report"] = str(report)
        write_json(report.with_suffix(".json"), summary)
        report.write_text(compared_chunkings.markdown(summary), encoding="utf-8")
    return summary


@contextmanager
def opened(settings: Settings, release: Release | None = None) -> Iterator[Searcher]:
    """Yield ``release``, or the served one, open for searching."""
    searcher = Searcher.open(settings.open_home(), settings.index(), release)
    try:
        yield searcher
    finally:
        searcher.close()


@contextmanager
def catalogue(settings: Settings) -> Iterator[Catalogue]:
    """Yield the catalogue."""
    book = Catalogue(settings.catalogue_url())
    try:
        yield book
    finally:
        book.close()


def judged(searcher: Searcher, book: Catalogue, split: str, shown: bool = False) -> tuple[list[Query], Projection]:
    """Return the queries of a split and their judgements on the searcher's chunks; at least one must map.

    ``shown`` asks whether what is shown for a chunk answers a query, rather than the chunk itself.
    """
    queries = book.queries(split)
    if not queries:
        raise _no_queries(split)
    judgements = follow_renames(book.judgements(split), present_names(searcher.documents))
    return queries, _projected(searcher, judgements, split, shown)


def learned(
    searcher: Searcher, book: Catalogue, synthetic: bool, decisions: Sequence[Decision]
) -> tuple[list[Query], Projection]:
    """Return the queries that train, and what answers them: as judged, as made, and as people confirmed since."""
    from mining.decisions import confirmed_judgements

    splits = training_splits(synthetic)
    queries = [query for split in splits for query in book.queries(split)]
    if not queries:
        raise _no_queries("train")
    stored = [judgement for split in splits for judgement in book.judgements(split)]
    confirmed = confirmed_judgements({query.id for query in queries}, decisions)
    judgements = [*follow_renames(stored, present_names(searcher.documents)), *confirmed]
    return queries, _projected(searcher, judgements, "train", shown=False)


def _projected(searcher: Searcher, judgements: Sequence[Judgement], split: str, shown: bool) -> Projection:
    chunks = searcher.chunks.of_documents(judgement.document for judgement in judgements)
    projection = project(judgements, map(as_shown, chunks) if shown else chunks, searcher.document_text)
    if not projection.units:
        reasons = ", ".join(f"{count} × {reason}" for reason, count in _count_reasons(projection).items())
        raise SpecmineError(
            f"no judgement of split {split!r} maps to an indexed passage ({reasons or 'none is relevant'})"
        )
    return projection


def _no_queries(split: str) -> SpecmineError:
    hint = ""
    if split == "train":
        hint = "; or `specmine queries generate`, and let them train with synthetic = true in [mine]"
    return SpecmineError(
        f"there are no judged queries of split {split!r}: run "
        f"`specmine judgements import --queries FILE --judgements FILE --split {split}`{hint}"
    )


def _count_reasons(projection: Projection) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in projection.unmapped:
        counts[entry.reason] = counts.get(entry.reason, 0) + 1
    return counts
