"""``specmine ledger``: the ledgers of mined negatives."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from cli.parameters import Given

ledger = App(name="ledger", help="The ledgers of mined negatives: what was found, why, and how to take it elsewhere.")


@ledger.default
def list_ledgers(*, session: Given) -> None:
    """List the ledgers, the newest first."""
    from cli.show import ledgers as show
    from flows import ledgers

    result = ledgers.list_all(session.settings().open_home())
    session.emit(result, lambda console: show.listing(console, result))


@ledger.command(name="show")
def show_ledger(
    ledger: str = "latest",
    *,
    query: str | None = None,
    verdict: str | None = None,
    limit: int | None = None,
    session: Given,
) -> None:
    """Show a ledger: how many candidates have which verdict, and the candidates with their sources and the reason.

    Parameters
    ----------
    ledger
        Its id, as `specmine ledger` lists it.
    query
        Only candidates of this query: its id, or some of its words.
    verdict
        Only candidates with this verdict.
    limit
        How many candidates to show; 20 by default, with --json all.
    """
    from cli.show import ledgers as show
    from flows import ledgers

    result = ledgers.show(session.settings().open_home(), ledger, query, verdict, limit)
    session.emit(result, lambda console: show.one(console, result, limit))


@ledger.command(name="diff")
def diff_ledgers(before: str, after: str, *, limit: int | None = None, session: Given) -> None:
    """Show which candidates changed their verdict from one ledger to another, appeared or went away.

    Parameters
    ----------
    before
        The id of the earlier ledger.
    after
        The id of the later one, or "latest".
    limit
        How many candidates of each kind to show; 20 by default.
    """
    from cli.show import ledgers as show
    from flows import ledgers

    result = ledgers.diff(session.settings().open_home(), before, after)
    session.emit(result, lambda console: show.diff(console, result, limit))


@ledger.command(name="report")
def report_ledger(ledger: str = "latest", *, session: Given) -> None:
    """Write pictures of a ledger and its hardest negatives to one HTML file that opens without a network.

    Parameters
    ----------
    ledger
        Its id, as `specmine ledger` lists it.
    """
    from cli.show import ledgers as show
    from flows.reports.ledger_report import gather, report_json, write_report

    settings = session.settings()
    facts = gather(settings, ledger)
    result = report_json(facts, write_report(settings.open_home(), facts))
    session.emit(result, lambda console: show.reported(console, result))


@ledger.command(name="export")
def export_ledger(ledger: str = "latest", *, format: str, out: Path, session: Given) -> None:
    """Write a ledger's positives and negatives as a training set, in the text that the encoders read.

    Parameters
    ----------
    ledger
        Its id, as `specmine ledger` lists it.
    format
        triplets, sentence-transformers (anchor, positive, negative_1, negative_2 …) or jsonl (all that is known).
    out
        The file to write, .parquet or .jsonl; it must not exist.
    """
    from cli.show import ledgers as show
    from flows import ledgers

    result = ledgers.export(session.settings().open_home(), ledger, format, out)
    session.emit(result, lambda console: show.exported(console, result))
