"""Commands that learn and measure: evaluate, mine, retrain, and once round with all of them."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from cli.parameters import Given, Orchestrated, Prune, Sources, Split, absolute, flow_or_stage


def evaluate(*, split: Split = "test", session: Given) -> None:
    """Measure the served release on the judged queries of a split."""
    from cli.show import learning as show
    from flows import stages
    from flows.judgements import check_split

    settings = session.settings()
    check_split(split)
    with session.progress() as tell:
        result = stages.evaluate(settings, split, tell)
    session.emit(result, lambda console: show.measures(console, result))


def mine(*, like: str | None = None, prefect: Orchestrated = None, session: Given) -> None:
    """Mine hard negatives for the training queries.

    Parameters
    ----------
    like
        Make this ledger again, with its settings and on its release, and say whether it is the same.
    """
    from cli.show import learning as show
    from flows import without_prefect

    settings = session.settings()
    result = flow_or_stage(
        session, settings, prefect, "mine", {"like": like}, lambda tell: without_prefect.mine(settings, like, tell)
    )
    session.emit(result, lambda console: show.mine(console, result))


def retrain(
    *, reranker: Annotated[bool, Parameter(negative="")] = False, prefect: Orchestrated = None, session: Given
) -> None:
    """Retrain the query encoders on the newest ledger; publish what is proven better.

    Parameters
    ----------
    reranker
        Retrain the re-ranker instead, from the pretrained cross-encoder.
    """
    from cli.show import learning as show
    from cli.show import rerankers as show_rerankers
    from flows import stages, without_prefect

    settings = session.settings()
    if reranker:
        result = flow_or_stage(
            session, settings, prefect, "retrain_reranker", {}, lambda tell: stages.retrain_reranker(settings, tell)
        )
        session.emit(result, lambda console: show_rerankers.retrained(console, result))
    else:
        result = flow_or_stage(
            session, settings, prefect, "retrain", {}, lambda tell: without_prefect.retrain(settings, tell)
        )
        session.emit(result, lambda console: show.retrain(console, result))


def lifecycle(*paths: Sources, prune: Prune = False, prefect: Orchestrated = None, session: Given) -> None:
    """Ingest, mine, retrain and evaluate, in this order."""
    from cli.show import documents as show_documents
    from cli.show import learning as show
    from flows import without_prefect

    settings = session.settings()
    result = flow_or_stage(
        session,
        settings,
        prefect,
        "lifecycle",
        {"paths": absolute(paths), "prune": prune},
        lambda tell: without_prefect.lifecycle(settings, paths, prune, tell),
    )

    def tell_people(console: Console) -> None:
        show_documents.ingest(console, result["ingest"])
        show.mine(console, result["mine"])
        show.retrain(console, result["retrain"])
        show.measures(console, result["evaluate"])

    session.emit(result, tell_people)
