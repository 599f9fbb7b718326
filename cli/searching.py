"""Commands that answer: search, the log of searches, the pages in a browser, and metrics."""

from __future__ import annotations

from pathlib import Path

from cli.parameters import Given


def search(query: str, *, limit: int = 10, session: Given) -> None:
    """Search the served release.

    Parameters
    ----------
    query
        What to look for, in English or Japanese.
    limit
        How many passages to return, 1 to 100.
    """
    from cli.show import searches as show
    from flows import searches
    from indexing.search import Searcher

    settings = session.settings()
    searcher = Searcher.open(settings.open_home(), settings.index())
    try:
        answer = searcher.search(query, limit)
    finally:
        searcher.close()
    result = answer.as_json()
    session.emit(result, lambda console: show.found(console, result))
    if problem := searches.log_answer(settings, answer):
        session.log(f"the search was not logged: {problem}")


def searches(*, limit: int = 20, session: Given) -> None:
    """List the log of searches, the newest first.

    Parameters
    ----------
    limit
        How many searches to list; with --json each with all its results.
    """
    from cli.show import searches as show
    from flows.searches import list_searches

    result = list_searches(session.settings(), limit)
    session.emit(result, lambda console: show.listing(console, result))


def dashboard(*, host: str = "127.0.0.1", port: int = 8765, session: Given) -> None:
    """Open the pages for search, review and operations.

    Parameters
    ----------
    host
        The address to listen on.
    port
        The port to listen on.
    """
    from dashboard.app import serve
    from flows.opened import catalogue
    from flows.run_service import run_service

    settings = session.settings()
    url = f"http://{host}:{port}"
    session.emit({"url": url}, lambda console: console.print(f"specmine dashboard on {url}, until interrupted"))
    with catalogue(settings) as book:
        serve(settings.open_home(), settings.index(), book, host, port, run_service(settings))


def metrics(*, out: Path | None = None, session: Given) -> None:
    """Print metrics of runs, documents and quality for Prometheus; `specmine dashboard` has them at /metrics.

    Parameters
    ----------
    out
        Write them to this file instead, whole or not at all: for the textfile collector of a node exporter.
    """
    from flows.metrics import metrics_text, write_metrics

    settings = session.settings()
    result = {"file": str(out)} if out else {"metrics": metrics_text(settings)}
    if out:
        write_metrics(settings, out)
    session.emit(result, lambda console: print("\n".join(result.values())))
