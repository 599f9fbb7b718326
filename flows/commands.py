"""What the commands do: open the settings, run a stage, say what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from flows import show
from flows.output import Session, Tell, table
from flows.settings import Settings, load_settings
from indexing.home import SpecmineError
from indexing.releases import Release
from indexing.specs import CrossEncoderSpec, EncoderSpec


def ingest(session: Session, paths: Sequence[Path], prune: bool, deployment: bool, prefect: bool | None) -> None:
    """Ingest here, as a flow, or in the deployed flow."""
    settings = load_settings(session.config)
    if deployment:
        from flows.deployments import start

        result = start("ingest", {"paths": [str(path.absolute()) for path in paths], "prune": prune})
        session.emit(result, lambda console: console.print(f"started flow run {result['flow_run']}"))
        return
    if as_flow(prefect):
        from flows.ingest import ingest as flow

        result = flow([str(path.absolute()) for path in paths], prune, config_of(settings))
    else:
        from flows import stages

        with session.progress() as tell:
            result = stages.ingest(settings, paths, prune, tell)
    session.emit(result, lambda console: show.ingest(console, result))


def search(session: Session, query: str, limit: int) -> None:
    """Answer one query."""
    from flows import searches
    from indexing.search import Searcher

    settings = load_settings(session.config)
    searcher = Searcher.open(settings.open_home(), settings.index())
    try:
        answer = searcher.search(query, limit)
    finally:
        searcher.close()
    result = answer.as_json()
    session.emit(result, lambda console: show.search(console, result))
    if problem := searches.log_answer(settings, answer):
        session.log(f"the search was not logged: {problem}")


def searches(session: Session, limit: int) -> None:
    """List the log of searches."""
    from flows import searches, show_searches

    result = searches.list_searches(load_settings(session.config), limit)
    session.emit(result, lambda console: show_searches.listing(console, result))


def evaluate(session: Session, split: str) -> None:
    """Measure the served release."""
    from flows import stages

    settings = load_settings(session.config)
    _check_split(split)
    with session.progress() as tell:
        result = stages.evaluate(settings, split, tell)
    session.emit(result, lambda console: show.measures(console, result))


def mine(session: Session, like: str | None, prefect: bool | None) -> None:
    """Mine negatives."""
    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.mine import mine as flow

        result = flow(config_of(settings), like)
    else:
        with session.progress() as tell:
            result = _mine(settings, like, tell)
    session.emit(result, lambda console: show.mine(console, result))


def _mine(settings: Settings, like: str | None, tell: Tell) -> dict[str, Any]:
    """Mine, and write the report on the new ledger, as the flow does."""
    from flows import ledger_report, stages

    result = stages.mine(settings, tell, like)
    tell("drawing the report", 0, 1)
    facts = ledger_report.gather(settings, result["ledger"])
    result["report"] = str(ledger_report.write_report(settings.open_home(), facts))
    tell("drawing the report", 1, 1)
    return result


def retrain(session: Session, prefect: bool | None) -> None:
    """Retrain the query encoders."""
    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.retrain import retrain as flow

        result = flow(config_of(settings))
    else:
        from flows import stages
        from flows.training_report import write_reports

        with session.progress() as tell:
            result = stages.retrain(settings, tell)
        write_reports(settings, result)
    session.emit(result, lambda console: show.retrain(console, result))


def retrain_reranker(session: Session, prefect: bool | None) -> None:
    """Retrain the re-ranker."""
    from flows import show_rerankers

    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.retrain_reranker import retrain_reranker as flow

        result = flow(config_of(settings))
    else:
        from flows import stages

        with session.progress() as tell:
            result = stages.retrain_reranker(settings, tell)
    session.emit(result, lambda console: show_rerankers.retrained(console, result))


def lifecycle(session: Session, paths: Sequence[Path], prune: bool, prefect: bool | None) -> None:
    """Ingest, mine, retrain, evaluate."""
    settings = load_settings(session.config)
    if as_flow(prefect):
        from flows.lifecycle import lifecycle as flow

        result = flow([str(path.absolute()) for path in paths], prune, config_of(settings))
    else:
        from flows import stages

        with session.progress() as tell:
            result = {
                "ingest": stages.ingest(settings, paths, prune, tell),
                "mine": _mine(settings, None, tell),
                "retrain": stages.retrain(settings, tell),
                "evaluate": stages.evaluate(settings, stages.held_out_split(settings), tell),
            }

    def tell_people(console: Console) -> None:
        show.ingest(console, result["ingest"])
        show.mine(console, result["mine"])
        show.retrain(console, result["retrain"])
        show.measures(console, result["evaluate"])

    session.emit(result, tell_people)


def reindex(session: Session, plan: bool, prefect: bool | None) -> None:
    """Plan a re-index, or do it."""
    settings = load_settings(session.config)
    if plan:
        from flows import stages

        result = stages.plan(settings)
    elif as_flow(prefect):
        from flows.reindex import reindex as flow

        result = flow(config_of(settings))
    else:
        from flows import stages

        with session.progress() as tell:
            result = stages.reindex(settings, tell)
    session.emit(result, lambda console: show.values(console, "re-index", result))


def promote(session: Session, version: str) -> None:
    """Serve a version of a query encoder."""
    from flows import stages

    result = stages.promote(load_settings(session.config), version)
    session.emit(result, lambda console: console.print(f"serving {result['release']}: {result['note']}"))


def geometry(session: Session, encoder: str, kind: str) -> None:
    """Find an encoder's documents by another geometry."""
    from flows import stages

    with session.progress() as tell:
        result = stages.geometry(load_settings(session.config), encoder, kind, tell)
    told = f"serving {result['release']}: {encoder} by {result['geometry']['kind']}"
    session.emit(result, lambda console: console.print(told))


def compare_geometry(session: Session, split: str) -> None:
    """Compare the geometries of the served encoders."""
    from flows import stages
    from flows.show_geometries import geometries

    with session.progress() as tell:
        result = stages.compare_geometry(load_settings(session.config), split, tell)
    session.emit(result, lambda console: geometries(console, result))


def rollback(session: Session) -> None:
    """Serve the release before."""
    from indexing.releases import rollback as roll_back
    from indexing.releases import served

    home = load_settings(session.config).open_home()
    with home.exclusive():
        before = served(home)
        release = roll_back(home)
    result = {"release": release.id, "before": before.id, "note": release.note}
    session.emit(result, lambda console: console.print(f"serving {release.id} again (was {before.id})"))


def _served_by(release: Release, encoder: str) -> str:
    geometry = release.geometry_of(encoder)
    return f"{encoder} {release.encoders[encoder]}" + (f" by {geometry.kind}" if geometry.has_points else "")


def releases(session: Session) -> None:
    """List the releases."""
    from indexing.releases import current, list_releases

    home = load_settings(session.config).open_home()
    served = current(home)
    every = list_releases(home)
    result = {"served": served.id if served else None, "releases": [asdict(release) for release in every]}
    columns = ["", "release", "created", "encoders", "re-ranker", "note"]
    rows = [
        [
            "→" if served and release.id == served.id else "",
            release.id,
            release.created,
            ", ".join(_served_by(release, name) for name in release.encoders),
            str(release.reranker or "none"),
            release.note,
        ]
        for release in every
    ]
    session.emit(result, lambda console: console.print(table("", columns, rows) if rows else "no release yet"))


def documents(session: Session) -> None:
    """List what is indexed and what is in quarantine."""
    from flows import show_documents
    from flows.documents import list_documents

    result = list_documents(load_settings(session.config).open_home())
    session.emit(result, lambda console: show_documents.listing(console, result))


def document(session: Session, name: str) -> None:
    """Show one document."""
    from flows import show_documents
    from flows.documents import show_document

    result = show_document(load_settings(session.config).open_home(), name)
    session.emit(result, lambda console: show_documents.one(console, result))


def inspect(session: Session, file: Path, page: int | None, html: Path | None) -> None:
    """Read one file as an ingest would, in a guarded process, and show what came of it."""
    from chunking.accounting import account
    from chunking.document import UnreadableError
    from chunking.inspect_blocks import seen_blocks
    from chunking.inspect_html import MOST_PICTURES, draw_html
    from chunking.stored import load
    from chunking.tokens import write_estimate
    from chunking.worker import Job, Unread, read_and_chunk_all
    from flows import show_inspect

    settings = load_settings(session.config)
    index = settings.index()
    tokenizers, notes = _fetched_tokenizers(settings), []
    if html and html.resolve() == file.resolve():
        raise SpecmineError(f"{html} is the document itself: give --html another name")
    wanted = (tuple(range(1, MOST_PICTURES + 1)) if page is None else (page,)) if html else ()
    chunking = replace(index.chunking, max_tokens=index.tokens_per_chunk)
    with TemporaryDirectory(prefix="specmine-inspect-") as folder:
        if not tokenizers:
            notes.append(
                "passages and tokens are estimated: `specmine models fetch` fetches the encoders, whose tokens count"
            )
            tokenizers = [Path(folder) / "estimate.json"]
            write_estimate(tokenizers[0])
        job = Job(file.absolute(), file.name, Path(folder), pictures=wanted)
        outcome = next(
            read_and_chunk_all(
                [job], index.limits, chunking, tokenizers, workers=1, ocr=index.ocr, reading=index.reading
            )
        )
        if isinstance(outcome, Unread):
            where = f" (page {outcome.page})" if outcome.page else ""
            raise UnreadableError(f"{file}: {outcome.reason}{where}")
        document, chunks = load(job.directory)
        if page is not None and not 1 <= page <= len(document.pages):
            raise SpecmineError(f"{file} has the pages 1 to {len(document.pages)}, there is no page {page}")
        books = account(document, chunks)
        result: dict[str, Any] = {"title": document.title, "warnings": [*notes, *document.warnings], **books.as_json()}
        if page is not None:
            seen = seen_blocks(document, chunks)[page]
            result["pages"] = [entry for entry in result["pages"] if entry["page"] == page]
            result["blocks"] = [block.as_json() for block in seen]
            result["dropped"] = list(document.pages[page - 1].dropped)
        if html:
            _write_text(html, draw_html(document, chunks, books, () if page is None else (page,), job.directory, notes))
            result["html"] = str(html)
    session.emit(result, lambda console: show_inspect.inspection(console, result, books, page))


def _fetched_tokenizers(settings: Settings) -> list[Path]:
    """Return the tokenizers of the configured encoders, or none unless all are there; makes no home."""
    from indexing.home import Home
    from indexing.models import status, tokenizer_in

    with TemporaryDirectory() as nowhere:
        home = settings.open_home() if settings.home.expanduser().exists() else Home(Path(nowhere))
        states = status(settings.index().encoders, home)
    found = [tokenizer_in(state.path) for state in states if state.path and not state.problem]
    return found if len(found) == len(states) else []


def _write_text(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecmineError(f"{file} cannot be written: {error.strerror}") from None


def import_judgements(session: Session, queries: Path, judgements: Path, split: str) -> None:
    """Import one split."""
    from flows.stages import catalogue

    settings = load_settings(session.config)
    _check_split(split)
    try:
        with catalogue(settings) as book:
            imported = book.import_files(split, queries, judgements)
    except ValueError as error:  # names file and line
        raise SpecmineError(str(error)) from None
    result = {"split": split, **asdict(imported)}
    session.emit(
        result,
        lambda console: console.print(
            f"{split}: {imported.queries} queries ({imported.new_queries} new), {imported.judgements} judgements"
        ),
    )


def judgements_from_searches(session: Session) -> None:
    """Import what searchers confirmed."""
    from flows import searches, show_searches

    result = searches.import_confirmed(load_settings(session.config))
    session.emit(result, lambda console: show_searches.imported(console, result))


def compare_chunking(session: Session, splitters: str, split: str, encoders: str, keep: bool) -> None:
    """Measure several chunkings of the indexed documents."""
    from flows import stages

    settings = load_settings(session.config)
    _check_split(split)
    names = [name.strip() for name in encoders.split(",") if name.strip()]
    with session.progress() as tell:
        result = stages.compare_chunking(settings, splitters, split, names, keep, tell)
    session.emit(result, lambda console: show.compared_chunkings(console, result))


def ledgers(session: Session) -> None:
    """List the ledgers."""
    from flows import ledgers as stored
    from flows import show_ledgers

    result = stored.list_all(load_settings(session.config).open_home())
    session.emit(result, lambda console: show_ledgers.listing(console, result))


def ledger(session: Session, name: str, query: str | None, verdict: str | None, limit: int | None) -> None:
    """Show one ledger."""
    from flows import ledgers, show_ledgers

    result = ledgers.show(load_settings(session.config).open_home(), name, query, verdict, limit)
    session.emit(result, lambda console: show_ledgers.one(console, result, limit))


def diff_ledgers(session: Session, before: str, after: str, limit: int | None) -> None:
    """Show how two ledgers differ."""
    from flows import ledgers, show_ledgers

    result = ledgers.diff(load_settings(session.config).open_home(), before, after)
    session.emit(result, lambda console: show_ledgers.diff(console, result, limit))


def report_ledger(session: Session, name: str) -> None:
    """Write the report on one ledger."""
    from flows import show_ledgers
    from flows.ledger_report import gather, report_json, write_report

    settings = load_settings(session.config)
    facts = gather(settings, name)
    result = report_json(facts, write_report(settings.open_home(), facts))
    session.emit(result, lambda console: show_ledgers.reported(console, result))


def export_ledger(session: Session, name: str, form: str, file: Path) -> None:
    """Write a ledger's training set."""
    from flows import ledgers, show_ledgers

    result = ledgers.export(load_settings(session.config).open_home(), name, form, file)
    session.emit(result, lambda console: show_ledgers.exported(console, result))


def review(session: Session, limit: int | None, reviewer: str | None) -> None:
    """Review the doubtful rows of the newest ledger."""
    from flows import review

    review.review(session, load_settings(session.config), limit, reviewer)


def decide(session: Session, query: str, passage: str, verdict: str, reviewer: str | None) -> None:
    """Decide about one passage."""
    from flows import review

    result = review.decide_one(load_settings(session.config), query, passage, verdict, reviewer)
    made = result["decision"]
    session.emit(
        result, lambda console: console.print(f"{query}, {made['document']}: {verdict}, decided by {made['reviewer']}")
    )


def models(session: Session, action: str) -> None:
    """List, fetch or verify the configured models; exit 1 when one is missing after a fetch, or damaged."""
    from indexing.models import status, tokenizer_file

    settings = load_settings(session.config)
    home, index = settings.open_home(), settings.index()
    specs: list[EncoderSpec | CrossEncoderSpec] = list(index.encoders)
    if index.cross_encoder:
        specs.append(index.cross_encoder)
    if action == "fetch":
        for spec in specs:
            session.log(f"fetching {spec.name}")
            tokenizer_file(spec, home)
    states = status(specs, home, verify=action == "verify")
    result = {"models": [asdict(state) for state in states]}
    columns = ["model", "source", "fetched", "verified", "MB", "problem"]
    words = {True: "yes", False: "no", None: ""}
    rows = [
        [
            state.name,
            state.source,
            words[state.fetched],
            words[state.verified],
            f"{state.bytes / 1e6:.0f}",
            state.problem,
        ]
        for state in states
    ]
    if action != "list" and not all(state.fetched and state.verified for state in states):
        session.status = 1
    session.emit(result, lambda console: console.print(table("", columns, rows, right=["MB"])))


def dashboard(session: Session, host: str, port: int) -> None:
    """Serve the pages until interrupted."""
    from dashboard.app import serve
    from flows.stages import catalogue

    settings = load_settings(session.config)
    url = f"http://{host}:{port}"
    session.emit({"url": url}, lambda console: console.print(f"specmine dashboard on {url}, until interrupted"))
    with catalogue(settings) as book:
        serve(settings.open_home(), settings.index(), book, host, port)


# Helpers


def config_of(settings: Settings) -> str | None:
    """Return the path of the configuration file as the flows take it."""
    return str(settings.file) if settings.file else None


def as_flow(prefect: bool | None) -> bool:
    """Tell whether to run as a Prefect flow. A configured API that does not answer is refused at once."""
    from flows.prefect_api import check_answers, configured_api

    url = configured_api()
    wanted = url is not None if prefect is None else prefect
    if wanted and url is not None:
        check_answers(url)
    return wanted


def _check_split(split: str) -> None:
    from evaluation.judgements import check_split

    try:
        check_split(split)
    except ValueError as error:
        raise SpecmineError(str(error)) from None
