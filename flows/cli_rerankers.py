"""The command ``specmine reranker``."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from flows.cli_parameters import Given

reranker = App(name="reranker", help="The trained re-rankers; `specmine retrain --reranker` trains one.")


@reranker.default
def list_rerankers(*, session: Given) -> None:
    """List the trained re-rankers, how each is used and what the referee said; the served one is marked."""
    from flows import rerankers

    rerankers.rerankers(session)


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
    from flows import rerankers

    rerankers.export(session, version, directory)
