"""Commands for documents: bring them in, cut and embed them anew, list them, look at what is read of one."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from cli.parameters import Deployed, Given, Orchestrated, Prune, Sources, absolute, flow_or_stage

documents = App(name="documents", help="The documents: what is indexed, and what could not be read.")


def ingest(
    *paths: Sources, prune: Prune = False, deployment: Deployed = False, prefect: Orchestrated = None, session: Given
) -> None:
    """Bring documents into the index and publish it."""
    from cli.show import documents as show

    settings = session.settings()
    parameters = {"paths": absolute(paths), "prune": prune}
    if deployment:
        from flows.deployments import batch_key, start

        begun = start("ingest", parameters, batch_key(settings, paths, prune))
        session.emit(begun, lambda console: console.print(show.started(begun), markup=False))
        return

    from flows import stages

    result = flow_or_stage(
        session, settings, prefect, "ingest", parameters, lambda tell: stages.ingest(settings, paths, prune, tell)
    )
    session.emit(result, lambda console: show.ingest(console, result))


def inbox(*, watch: bool = False, deployment: Deployed = False, prefect: Orchestrated = None, session: Given) -> None:
    """Ingest the files that were put into the inbox, once they have settled.

    Parameters
    ----------
    watch
        Go on until interrupted, and ingest whatever comes.
    """
    from cli.show import documents as show
    from flows import inbox_batches

    settings = session.settings()

    def once() -> None:
        if deployment:
            from flows.deployments import start

            begun = start("inbox", {}, inbox_batches.waiting_key(settings))
            session.emit(begun, lambda console: console.print(show.started(begun), markup=False))
            return
        result = flow_or_stage(
            session, settings, prefect, "inbox", {}, lambda tell: inbox_batches.take_in(settings, tell)
        )
        session.emit(result, lambda console: show.inbox(console, result))

    if not watch:
        once()
    else:
        inbox_batches.watch(settings, once, session.log)


def reindex(*, plan: bool = False, prefect: Orchestrated = None, session: Given) -> None:
    """Cut and embed the indexed documents anew under the present configuration.

    Parameters
    ----------
    plan
        Only say what would be done and what it would cost.
    """
    from cli.show import reindexing as show
    from flows import reindexing

    settings = session.settings()
    if plan:
        result = reindexing.plan(settings)
        session.emit(result, lambda console: show.plan(console, result))
        return
    result = flow_or_stage(session, settings, prefect, "reindex", {}, lambda tell: reindexing.reindex(settings, tell))
    session.emit(result, lambda console: show.done(console, result))
    if not result["published"]:
        session.log(f"not published, {result['release']} stays served: {'; '.join(result['reasons'])}")
        session.status = 1


@documents.default
def list_documents(*, session: Given) -> None:
    """List the indexed documents, and those in quarantine with the reason."""
    from cli.show import documents as show
    from flows.documents import list_documents

    result = list_documents(session.settings().open_home())
    session.emit(result, lambda console: show.listing(console, result))


@documents.command(name="show")
def show_document(document: str, *, session: Given) -> None:
    """Show everything about one document: its pages, sections and warnings.

    Parameters
    ----------
    document
        Its name, as `specmine documents` lists it.
    """
    from cli.show import documents as show
    from flows.documents import show_document

    result = show_document(session.settings().open_home(), document)
    session.emit(result, lambda console: show.one(console, result))


def inspect(file: Path, *, page: int | None = None, html: Path | None = None, session: Given) -> None:
    """Show what the reader makes of one file: pages, blocks, tables, passages, and what is left out.

    Parameters
    ----------
    file
        The document; nothing is indexed, and no home is needed.
    page
        Show the blocks of this page, counted from 1, in reading order.
    html
        Write one HTML file here that draws the blocks on the pages; with --page, of that page alone.
    """
    from cli.show import inspection as show
    from flows.inspection import inspect_file

    result, books = inspect_file(session.settings(), file, page, html)
    session.emit(result, lambda console: show.inspection(console, result, books, page))
