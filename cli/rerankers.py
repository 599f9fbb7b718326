"""``specmine reranker``: the trained re-rankers."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from cli.parameters import Given

reranker = App(name="reranker", help="The trained re-rankers; `specmine retrain --reranker` trains one.")


@reranker.default
def list_rerankers(*, session: Given) -> None:
    """List the trained re-rankers, how each is used and what the referee said; the served one is marked."""
    from cli.show import rerankers as show
    from flows.rerankers import list_all

    result = list_all(session.settings().open_home())
    session.emit(result, lambda console: show.listed(console, result))


@reranker.command(name="export")
def export_reranker(version: str, directory: Path, *, session: Given) -> None:
    """Copy a trained re-ranker to a directory that sentence-transformers and transformers load.

    Parameters
    ----------
    version
        The version's id, as `specmine reranker` lists it.
    directory
        Where it is written; it must not exist.
    """
    from rich.markup import escape

    from training.reranker_versions import export

    result = export(session.settings().open_home(), version, directory.absolute())
    told = f"{version} → {escape(result['directory'])}"
    session.emit(result, lambda console: console.print(told, soft_wrap=True))
