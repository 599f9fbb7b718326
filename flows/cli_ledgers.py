"""The commands ``specmine ledger`` and ``specmine review``."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from flows.cli_parameters import Given

ledger = App(name="ledger", help="The ledgers of mined negatives: what was found, why, and how to take it elsewhere.")
review = App(name="review", help="People decide what the rules could not: is a passage a negative, or right too?")


@ledger.default
def list_ledgers(*, session: Given) -> None:
    """List the ledgers, the newest first."""
    from flows import commands

    commands.ledgers(session)


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
    from flows import commands

    commands.ledger(session, ledger, query, verdict, limit)


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
    from flows import commands

    commands.diff_ledgers(session, before, after, limit)


@ledger.command(name="report")
def report_ledger(ledger: str = "latest", *, session: Given) -> None:
    """Write pictures of a ledger and its hardest negatives to one HTML file that opens without a network.

    Parameters
    ----------
    ledger
        Its id, as `specmine ledger` lists it.
    """
    from flows import commands

    commands.report_ledger(session, ledger)


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
    from flows import commands

    commands.export_ledger(session, ledger, format, out)


@review.default
def review_queue(*, limit: int | None = None, reviewer: str | None = None, session: Given) -> None:
    """Go through the doubtful passages of the newest ledger, the most worthwhile first; with --json list them.

    Parameters
    ----------
    limit
        How many to show; all by default.
    reviewer
        Who decides; the name you are logged in with by default.
    """
    from flows import commands

    commands.review(session, limit, reviewer)


@review.command(name="decide")
def decide(query: str, passage: str, verdict: str, *, reviewer: str | None = None, session: Given) -> None:
    """Decide about one passage of the newest ledger; of several decisions about a passage the last counts.

    Parameters
    ----------
    query
        The query's id.
    passage
        The passage's id, as `specmine review --json` or `specmine ledger show` gives it.
    verdict
        negative, relevant (right too), duplicate (repeats the judged passage) or unsure.
    reviewer
        Who decides; the name you are logged in with by default.
    """
    from flows import commands

    commands.decide(session, query, passage, verdict, reviewer)
